/** Owns one conversation over WebRTC: session, signalling, connection and data channel. Opens no microphone, plays nothing. */

import { ask } from "./ask.js";

/**
 * @typedef {Record<string, any>} Word a message of the data channel, by its `type`; docs/gateway.md lists them
 *
 * @typedef {object} ConversationOptions
 * @property {MediaStream | null} [microphone] what is heard; without one the avatar says texts only
 * @property {"lowest_latency" | "balanced" | "best_quality"} [preset] how speed and quality are weighed
 * @property {RTCIceTransportPolicy} [iceTransportPolicy] "relay": over a TURN server only
 * @property {"disabled" | "maintain_resolution"} [degradationPreference] what the session gives up so that more are
 *   admitted: nothing, or every second frame while there are more than places
 *
 * @typedef {object} ConversationListener
 * @property {(word: Word) => void} [onWord] what the session says
 * @property {(error: Error) => void} [onLost] the connection failed, or the session was ended by the server
 */

const GATHER_MS = 1500;

/** One live session of the gateway, and the way to it. */
export class Conversation {
  #serverUrl;
  #listener;
  #sessionUrl = "";
  #isOver = false;
  /** @type {RTCPeerConnection | null} */
  #connection = null;
  /** @type {RTCDataChannel | null} */
  #channel = null;

  /**
   * @param {string} [serverUrl] of the gateway
   * @param {ConversationListener} [listener]
   */
  constructor(serverUrl = "http://localhost:9999", listener = {}) {
    this.#serverUrl = serverUrl.replace(/\/+$/, "");
    this.#listener = listener;
  }

  /** The connection, for its statistics; null before `open`. */
  get connection() {
    return this.#connection;
  }

  /**
   * Open a session and connect to it.
   *
   * @param {Blob} image a JPEG, PNG or WebP picture of a face
   * @param {ConversationOptions} [options]
   * @returns {Promise<MediaStream>} the avatar, for `srcObject` of a `<video>`
   * @throws {import("./ask.js").GatewayError}
   */
  async open(image, options = {}) {
    const { microphone = null, preset = "lowest_latency", iceTransportPolicy = "all" } = options;
    const form = new FormData();
    form.append("image", image, "portrait");
    form.append("preset", preset);
    form.append("degradation_preference", options.degradationPreference ?? "disabled");
    const codecs = RTCRtpReceiver.getCapabilities("video")?.codecs ?? [];
    if (!codecs.some((codec) => codec.mimeType.toLowerCase() === "video/h264")) form.append("vp8", "true");
    const session = await (await ask(`${this.#serverUrl}/api/live`, { method: "POST", body: form })).json();
    this.#sessionUrl = `${this.#serverUrl}/api/live/${session.session_id}`;
    if (this.#isOver) await this.#delete(false); // it was closed meanwhile
    const connection = new RTCPeerConnection({ iceServers: session.ice_servers.map(known), iceTransportPolicy });
    this.#connection = connection;
    const avatar = new MediaStream();
    connection.ontrack = ({ track }) => avatar.addTrack(track);
    connection.onconnectionstatechange = () => {
      if (connection.connectionState === "failed") this.#lose("The connection to the avatar was lost.");
    };
    connection.addTransceiver("video", { direction: "recvonly" });
    const voice = microphone?.getAudioTracks()[0];
    connection.addTransceiver(voice ?? "audio", { direction: voice === undefined ? "recvonly" : "sendrecv" });
    this.#channel = connection.createDataChannel("control");
    this.#channel.onmessage = ({ data }) => this.#hear(JSON.parse(data));
    await connection.setLocalDescription();
    await gathered(connection);
    const offer = { method: "POST", headers: { "Content-Type": "application/sdp" }, body: connection.localDescription?.sdp };
    const answer = await ask(this.#serverUrl + session.webrtc_url, offer);
    await connection.setRemoteDescription({ type: "answer", sdp: await answer.text() });
    return avatar;
  }

  /** Have the avatar stop speaking at once. */
  interrupt() {
    this.send({ type: "interrupt" });
  }

  /**
   * Change how the avatar looks.
   *
   * @param {object} changes pose, gaze, emotion, …
   */
  control(changes) {
    this.send({ type: "control", ...changes });
  }

  /** @param {object} word as the data channel takes it; is lost while that is not open */
  send(word) {
    if (this.#channel?.readyState === "open") this.#channel.send(JSON.stringify(word));
  }

  /**
   * Have the avatar say a text, where the gateway has a synthesiser.
   *
   * @param {string} text
   * @param {string} [voice] a language of `GET /api/speech`
   * @throws {import("./ask.js").GatewayError}
   */
  async say(text, voice = "") {
    await ask(`${this.#sessionUrl}/say`, { method: "POST", body: new URLSearchParams({ text, voice }) });
  }

  /**
   * End the conversation, and the session.
   *
   * @param {object} [options]
   * @param {boolean} [options.keepalive] let the request outlive the page
   */
  async close({ keepalive = false } = {}) {
    this.#isOver = true;
    this.#connection?.close();
    await this.#delete(keepalive);
  }

  /** @param {boolean} keepalive */
  async #delete(keepalive) {
    if (this.#sessionUrl !== "") await fetch(this.#sessionUrl, { method: "DELETE", keepalive }).catch(() => {}); // it ends by itself, too
  }

  /** @param {Word} word */
  #hear(word) {
    this.#listener.onWord?.(word);
    if (word.type === "ended") this.#lose("The session was ended by the server.");
  }

  /** @param {string} text */
  #lose(text) {
    if (!this.#isOver) this.#listener.onLost?.(new Error(text));
  }
}

/** @param {RTCIceServer} server one without a user must not name one */
function known({ urls, username, credential }) {
  return username ? { urls, username, credential } : { urls };
}

/** @param {RTCPeerConnection} connection */
async function gathered(connection) {
  if (connection.iceGatheringState === "complete") return;
  await new Promise((resolve) => {
    connection.onicegatheringstatechange = () => connection.iceGatheringState === "complete" && resolve(null);
    setTimeout(resolve, GATHER_MS);
  });
}
