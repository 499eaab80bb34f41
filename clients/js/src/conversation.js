/** Owns one conversation over WebRTC: session, signalling, connection and data channel. Opens no microphone, plays nothing. */

import { GatewayError, ask } from "./ask.js";

/**
 * @typedef {Record<string, any>} Word a message of the data channel, by its `type`; docs/gateway.md lists them
 *
 * @typedef {object} ConversationOptions
 * @property {MediaStream | null} [microphone] what is heard; without one the avatar says texts only
 * @property {"lowest_latency" | "balanced" | "best_quality"} [preset] how speed and quality are weighed
 * @property {string} [avatarId] an avatar that the server keeps, in place of a picture
 * @property {RTCIceTransportPolicy} [iceTransportPolicy] "relay": over a TURN server only
 * @property {"disabled" | "maintain_resolution"} [degradationPreference] what the session gives up so that more are
 *   admitted: nothing, or every second frame while there are more than places
 *
 * @typedef {object} ConversationListener
 * @property {(word: Word) => void} [onWord] what the session says
 * @property {(error: Error) => void} [onLost] the connection failed, or the session was ended by the server
 */

const GATHER_MS = 1500;

/** One live session of the gateway at a time, and the way to it. */
export class Conversation {
  #serverUrl;
  #listener;
  #sessionUrl = "";
  #over = new AbortController();
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
   * Open a session and connect to it; one that was opened before is ended.
   *
   * @param {Blob | null} image a JPEG, PNG or WebP picture of a face; null with `avatarId`
   * @param {ConversationOptions} [options]
   * @returns {Promise<MediaStream>} the avatar, for `srcObject` of a `<video>`
   * @throws {GatewayError} also if it is closed meanwhile
   */
  async open(image, options = {}) {
    const { microphone = null, preset = "lowest_latency", avatarId = "", iceTransportPolicy = "all" } = options;
    const ending = this.close();
    const over = new AbortController();
    this.#over = over;
    await ending;
    check(over);
    const form = new FormData();
    if (image !== null) form.append("image", image, "portrait");
    if (avatarId !== "") form.append("avatar_id", avatarId);
    form.append("preset", preset);
    form.append("degradation_preference", options.degradationPreference ?? "disabled");
    const codecs = RTCRtpReceiver.getCapabilities("video")?.codecs ?? [];
    if (!codecs.some((codec) => codec.mimeType.toLowerCase() === "video/h264")) form.append("vp8", "true");
    const session = await (await ask(`${this.#serverUrl}/api/live`, { method: "POST", body: form })).json();
    const sessionUrl = `${this.#serverUrl}/api/live/${session.session_id}`;
    if (over.signal.aborted) await end(sessionUrl);
    check(over);
    this.#sessionUrl = sessionUrl;
    const connection = new RTCPeerConnection({ iceServers: session.ice_servers.map(known), iceTransportPolicy });
    this.#connection = connection;
    const avatar = new MediaStream();
    connection.ontrack = ({ track }) => avatar.addTrack(track);
    connection.onconnectionstatechange = () => {
      if (connection.connectionState === "failed") this.#lose(over, "The connection to the avatar was lost.");
    };
    connection.addTransceiver("video", { direction: "recvonly" });
    const voice = microphone?.getAudioTracks()[0];
    connection.addTransceiver(voice ?? "audio", { direction: voice === undefined ? "recvonly" : "sendrecv" });
    this.#channel = connection.createDataChannel("control");
    this.#channel.onmessage = ({ data }) => this.#hear(over, JSON.parse(data));
    await connection.setLocalDescription();
    await gathered(connection);
    check(over);
    const offer = { method: "POST", headers: { "Content-Type": "application/sdp" }, body: connection.localDescription?.sdp };
    const answer = await ask(this.#serverUrl + session.webrtc_url, offer);
    const sdp = await answer.text();
    check(over);
    await connection.setRemoteDescription({ type: "answer", sdp });
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
   * End the conversation, and the session; another may be opened.
   *
   * @param {object} [options]
   * @param {boolean} [options.keepalive] let the request outlive the page
   */
  async close({ keepalive = false } = {}) {
    const sessionUrl = this.#sessionUrl;
    this.#sessionUrl = "";
    this.#over.abort();
    this.#connection?.close();
    if (sessionUrl !== "") await end(sessionUrl, keepalive);
  }

  /**
   * @param {AbortController} over of the session that says it
   * @param {Word} word
   */
  #hear(over, word) {
    this.#listener.onWord?.(word);
    if (word.type === "ended") this.#lose(over, "The session was ended by the server.");
  }

  /**
   * @param {AbortController} over of the session that is lost
   * @param {string} text
   */
  #lose(over, text) {
    if (!over.signal.aborted) this.#listener.onLost?.(new Error(text));
  }
}

/** @param {AbortController} over */
function check(over) {
  if (over.signal.aborted) throw new GatewayError("The conversation was ended before it began.");
}

/**
 * @param {string} sessionUrl
 * @param {boolean} [keepalive]
 */
async function end(sessionUrl, keepalive = false) {
  await fetch(sessionUrl, { method: "DELETE", keepalive }).catch(() => {}); // it ends by itself, too
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
