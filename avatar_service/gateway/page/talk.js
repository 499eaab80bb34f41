/** Owns one conversation: a microphone and a talking portrait over WebRTC. Knows the `<video>`, not the page around it. */

import { asked } from "./asked.js";
import { Delay } from "./delay.js";
import { textForm } from "./speech.js";

/**
 * @typedef {import("./take.js").State} State
 *
 * @typedef {object} Figures once a second
 * @property {number | null} behindS how far the avatar is behind the voice
 * @property {number} fps
 * @property {number} freezes
 * @property {number | null} serviceMs what of it the service takes
 *
 * @typedef {object} Listener what is told of the progress
 * @property {(state: State) => void} onState
 * @property {(firstPictureS: number) => void} onFirstPicture
 * @property {(peak: number, seconds: number) => void} onLevel of the voice
 * @property {(figures: Figures) => void} onFigures
 * @property {(word: any) => void} onWord what the session says
 * @property {(text: string) => void} onProblem it goes on without something
 * @property {() => void} onBlocked the browser wants a click before it plays
 */

const GATHER_MS = 1500;
const FIGURES_MS = 1000;

export class Talk {
  #server;
  #video;
  #listener;
  #over = new AbortController();
  /** @type {(error: Error) => void} */
  #fail = () => {};
  /** @type {RTCPeerConnection | null} */
  #connection = null;
  /** @type {RTCDataChannel | null} */
  #channel = null;
  /** @type {MediaStream | null} */
  #microphone = null;
  /** @type {Delay | null} */
  #delay = null;
  #sessionUrl = "";
  /** @type {number | null} */
  #serviceMs = null;

  /**
   * @param {string} server
   * @param {HTMLVideoElement} video
   * @param {Listener} listener
   */
  constructor(server, video, listener) {
    this.#server = server;
    this.#video = video;
    this.#listener = listener;
    /** @type {State} */
    this.state = "preparing";
  }

  /**
   * Talk until `leave`, or until the session ends.
   *
   * @param {Blob} portrait
   * @param {{ preset: string, canSay: boolean }} options where text can be said, it needs no microphone
   * @throws {Error} with a text for a person
   */
  async run(portrait, options) {
    const began = performance.now();
    try {
      this.#enter("preparing");
      this.#microphone = await openMicrophone().catch((error) => {
        if (!options.canSay) throw error;
        this.#listener.onProblem(`${error.message} What you type is spoken all the same.`);
        return null;
      });
      const session = await this.#open(portrait, options);
      this.#enter("waiting");
      this.#whenFirstPictureShows(began);
      const ended = new Promise((resolve, reject) => {
        this.#fail = reject;
        this.#over.signal.addEventListener("abort", resolve);
      });
      await this.#connect(session);
      const timer = setInterval(() => this.#measure(), FIGURES_MS);
      await ended.finally(() => clearInterval(timer));
      this.#enter("finished");
    } catch (error) {
      if (!this.#over.signal.aborted) this.#enter("failed");
      if (!this.#over.signal.aborted) throw error;
    } finally {
      await this.leave();
    }
  }

  /** Have the avatar stop speaking at once. */
  interrupt() {
    this.send({ type: "interrupt" });
  }

  /**
   * Have the avatar say a text.
   *
   * @param {string} text
   * @param {string} voice
   * @throws {Error} with the server's own words
   */
  async say(text, voice) {
    await asked(`${this.#sessionUrl}/say`, { method: "POST", body: textForm(text, voice) });
  }

  /** @param {object} word as the data channel takes it */
  send(word) {
    if (this.#channel?.readyState === "open") this.#channel.send(JSON.stringify(word));
  }

  /** End the conversation. */
  async leave() {
    if (this.#over.signal.aborted) return;
    this.#over.abort();
    this.#connection?.close();
    for (const track of this.#microphone?.getTracks() ?? []) track.stop();
    this.#video.srcObject = null;
    if (this.#sessionUrl !== "") await fetch(this.#sessionUrl, { method: "DELETE", keepalive: true }).catch(() => {});
    await this.#delay?.close();
  }

  /** @param {State} state */
  #enter(state) {
    this.state = state;
    this.#listener.onState(state);
  }

  /**
   * @param {Blob} portrait
   * @param {{ preset: string }} options
   */
  async #open(portrait, { preset }) {
    const form = new FormData();
    form.append("image", portrait, "portrait");
    form.append("preset", preset);
    const codecs = RTCRtpReceiver.getCapabilities("video")?.codecs ?? [];
    if (!codecs.some((codec) => codec.mimeType.toLowerCase() === "video/h264")) form.append("vp8", "true");
    const session = await (await asked(`${this.#server}/api/live`, { method: "POST", body: form })).json();
    this.#sessionUrl = `${this.#server}/api/live/${session.session_id}`;
    return session;
  }

  /** @param {{ webrtc_url: string, ice_servers: RTCIceServer[] }} session */
  async #connect(session) {
    const connection = new RTCPeerConnection({ iceServers: session.ice_servers.map(known) });
    this.#connection = connection;
    const avatar = new MediaStream();
    connection.addTransceiver("video", { direction: "recvonly" });
    const voice = this.#microphone?.getAudioTracks()[0];
    connection.addTransceiver(voice ?? "audio", { direction: voice === undefined ? "recvonly" : "sendrecv" });
    const channel = connection.createDataChannel("control");
    this.#channel = channel;
    channel.onmessage = ({ data }) => this.#hear(JSON.parse(data));
    connection.onconnectionstatechange = () => {
      if (connection.connectionState === "failed") this.#fail(new Error("The connection to the avatar was lost."));
    };
    connection.ontrack = ({ track }) => {
      avatar.addTrack(track);
      if (track.kind === "audio" && this.#microphone !== null) {
        this.#delay = new Delay(this.#microphone, new MediaStream([track]), this.#listener.onLevel);
      }
    };
    await connection.setLocalDescription();
    await gathered(connection);
    const headers = { "Content-Type": "application/sdp" };
    const body = connection.localDescription?.sdp;
    const answer = await asked(`${this.#server}${session.webrtc_url}`, { method: "POST", headers, body });
    await connection.setRemoteDescription({ type: "answer", sdp: await answer.text() });
    this.#video.srcObject = avatar;
    this.#video.play().catch((error) => {
      if (error.name === "NotAllowedError") this.#listener.onBlocked();
    });
  }

  /** @param {any} word */
  #hear(word) {
    if (word.type === "status") this.#serviceMs = word.delay_ms;
    if (word.type === "ended") this.#fail(new Error("The session was ended by the server."));
    this.#listener.onWord(word);
  }

  async #measure() {
    const report = await this.#connection?.getStats();
    for (const stats of report?.values() ?? []) {
      if (stats.type !== "inbound-rtp" || stats.kind !== "video") continue;
      const { framesPerSecond: fps = 0, freezeCount: freezes = 0 } = stats;
      this.#listener.onFigures({ behindS: this.#delay?.seconds ?? null, fps, freezes, serviceMs: this.#serviceMs });
    }
  }

  /** @param {number} began */
  #whenFirstPictureShows(began) {
    const shown = () => {
      if (this.#over.signal.aborted) return;
      this.#enter("live");
      this.#listener.onFirstPicture((performance.now() - began) / 1000);
    };
    const video = this.#video;
    if (typeof video.requestVideoFrameCallback === "function") video.requestVideoFrameCallback(shown);
    else video.addEventListener("playing", shown, { signal: this.#over.signal, once: true });
  }
}

async function openMicrophone() {
  if (navigator.mediaDevices === undefined) throw new Error("Browsers give the microphone only to pages on https or localhost.");
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true } });
  } catch (cause) {
    const refused = cause instanceof DOMException && cause.name === "NotAllowedError";
    throw new Error(refused ? "The microphone was refused. Allow it for this page and try again." : "No microphone was found.", { cause });
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
