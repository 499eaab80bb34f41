/** Owns one conversation: a microphone and a talking portrait over WebRTC. Knows the `<video>`, not the page around it. */

import { Conversation } from "./client/index.js";
import { Delay } from "./delay.js";

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

const FIGURES_MS = 1000;

export class Talk {
  #conversation;
  #video;
  #listener;
  #over = new AbortController();
  /** @type {(error: Error) => void} */
  #fail = () => {};
  /** @type {MediaStream | null} */
  #microphone = null;
  /** @type {Delay | null} */
  #delay = null;
  /** @type {number | null} */
  #serviceMs = null;

  /**
   * @param {string} server
   * @param {HTMLVideoElement} video
   * @param {Listener} listener
   */
  constructor(server, video, listener) {
    this.#conversation = new Conversation(server, { onWord: (word) => this.#hear(word), onLost: (error) => this.#fail(error) });
    this.#video = video;
    this.#listener = listener;
    /** @type {State} */
    this.state = "preparing";
  }

  /**
   * Talk until `leave`, or until the session ends.
   *
   * @param {Blob} portrait
   * @param {{ preset: import("./take.js").Preset, canSay: boolean }} options where text can be said, it needs no microphone
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
      if (this.#over.signal.aborted) return; // it was left meanwhile
      this.#whenFirstPictureShows(began);
      const ended = new Promise((resolve, reject) => {
        this.#fail = reject;
        this.#over.signal.addEventListener("abort", resolve);
      });
      const opening = this.#conversation.open(portrait, { microphone: this.#microphone, preset: options.preset });
      this.#play(await opening);
      this.#enter("waiting");
      const timer = setInterval(() => this.#measure(), FIGURES_MS);
      await ended.finally(() => clearInterval(timer));
      this.#enter("finished");
    } catch (error) {
      if (!this.#over.signal.aborted) this.#enter("failed");
      if (!this.#over.signal.aborted) throw error;
    } finally {
      await this.leave();
      this.#release(); // if it was left before there was a microphone
    }
  }

  #release() {
    for (const track of this.#microphone?.getTracks() ?? []) track.stop();
  }

  /** Have the avatar stop speaking at once. */
  interrupt() {
    this.#conversation.interrupt();
  }

  /**
   * Have the avatar say a text.
   *
   * @param {string} text
   * @param {string} voice
   * @throws {Error} with the server's own words
   */
  async say(text, voice) {
    await this.#conversation.say(text, voice);
  }

  /** @param {object} word as the data channel takes it */
  send(word) {
    this.#conversation.send(word);
  }

  /** End the conversation. */
  async leave() {
    if (this.#over.signal.aborted) return;
    this.#over.abort();
    this.#release();
    this.#video.srcObject = null;
    await this.#conversation.close({ keepalive: true });
    await this.#delay?.close();
  }

  /** @param {State} state */
  #enter(state) {
    this.state = state;
    this.#listener.onState(state);
  }

  /** @param {MediaStream} avatar */
  #play(avatar) {
    if (this.#microphone !== null) this.#delay = new Delay(this.#microphone, avatar, this.#listener.onLevel);
    this.#video.srcObject = avatar;
    this.#video.play().catch((error) => {
      if (error.name === "NotAllowedError") this.#listener.onBlocked();
    });
  }

  /** @param {any} word */
  #hear(word) {
    if (word.type === "status") this.#serviceMs = word.delay_ms;
    this.#listener.onWord(word);
  }

  async #measure() {
    const report = await this.#conversation.connection?.getStats();
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
