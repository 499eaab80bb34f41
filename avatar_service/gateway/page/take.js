/** Owns one take: a portrait and speech become a playing video. Knows the client and the `<video>`, not the page around it. */

import { ChunkedStreamingClient, aheadS, playHls, playLive, prefersLive } from "./client/index.js";

/**
 * @typedef {import("./speech.js").Speech} Speech
 * @typedef {import("./speech.js").Piece} Piece
 * @typedef {import("./client/client.js").SessionStatus} SessionStatus
 * @typedef {"lowest_latency" | "balanced" | "best_quality"} Preset
 * @typedef {"preparing" | "waiting" | "live" | "finished" | "failed"} State
 *
 * @typedef {object} Listener what is told of the progress
 * @property {(state: State) => void} onState
 * @property {(piece: Piece) => void} onPiece
 * @property {(firstPictureS: number) => void} onFirstPicture
 * @property {(status: SessionStatus) => void} onStatus
 * @property {() => void} onBlocked the browser wants a click before it plays
 */

const POLL_S = 1;
const STORED_POLL_S = 0.2;
const LIVE_TARGET_S = 0.3;

export class Take {
  #client;
  #video;
  #listener;
  /** @type {Speech | null} */
  #speech = null;
  #stopPlayback = () => {};
  #firstSoundAt = Number.NaN;
  #over = new AbortController();
  #stopped = new AbortController();

  /**
   * @param {string} server
   * @param {HTMLVideoElement} video
   * @param {Listener} listener
   */
  constructor(server, video, listener) {
    this.#client = new ChunkedStreamingClient(server);
    this.#video = video;
    this.#listener = listener;
    /** @type {State} */
    this.state = "preparing";
    this.downloadUrl = "";
    this.playlistUrl = "";
  }

  /**
   * Run to the end of the video; resolves when it has been seen, or was left.
   *
   * @param {Blob} portrait
   * @param {Speech} speech
   * @param {{ preset: Preset, abr: boolean }} options
   * @throws {Error} with a text for a person
   */
  async run(portrait, speech, options) {
    this.#speech = speech;
    try {
      this.#enter("preparing");
      const answer = await this.#client.initSession(portrait, { ...options, audio_sample_rate: speech.sampleRateHz });
      this.downloadUrl = this.#client.url(answer.download_url);
      this.playlistUrl = this.#client.url(answer.hls_url);
      this.#enter("waiting");
      await Promise.race([Promise.all([this.#feed(speech), this.#watch(answer, speech.isLive)]), this.#poll()]);
      await this.#untilStored();
      if (!this.#over.signal.aborted) this.#enter("finished");
    } catch (error) {
      this.#enter("failed");
      this.#stopPlayback();
      throw error;
    } finally {
      this.#over.abort();
      await speech.close();
    }
  }

  /** Seconds by which the picture is behind the speech, had all of it been spoken live from the first sound. */
  get behindS() {
    return (performance.now() - this.#firstSoundAt) / 1000 - this.#video.currentTime;
  }

  /** Seconds of video that wait in the browser. */
  get aheadS() {
    return aheadS(this.#video);
  }

  /** Stop here: what was made so far stays, to be seen and downloaded. */
  stop() {
    this.#speech?.finish();
    this.#video.pause();
    this.#stopped.abort();
  }

  /** Leave: stop the picture, and remove what the server keeps. */
  async leave() {
    this.#over.abort();
    this.#stopPlayback();
    await this.#speech?.close();
    await this.#client.cleanup({ keepalive: true });
  }

  /** @param {State} state */
  #enter(state) {
    this.state = state;
    this.#listener.onState(state);
  }

  /** @param {Speech} speech */
  async #feed(speech) {
    for await (const piece of speech.pieces()) {
      if (this.#over.signal.aborted) return;
      if (Number.isNaN(this.#firstSoundAt)) {
        // Live speech was spoken before its chunk was whole.
        const spokenMs = speech.isLive ? (1000 * piece.samples.length) / speech.sampleRateHz : 0;
        this.#firstSoundAt = performance.now() - spokenMs;
      }
      this.#listener.onPiece(piece);
      await this.#client.feedAudioChunk(piece.wav, piece.isFinal);
    }
  }

  /**
   * @param {import("./client/client.js").SessionAnswer} answer
   * @param {boolean} isLive
   */
  async #watch(answer, isLive) {
    const video = this.#video;
    this.#whenFirstPictureShows();
    let failed = (/** @type {Error} */ _) => {};
    const ended = new Promise((resolve, reject) => {
      failed = reject;
      const options = { signal: this.#over.signal, once: true };
      video.addEventListener("ended", resolve, options);
      video.addEventListener("error", () => reject(new Error("The video cannot be played here.")), options);
      this.#over.signal.addEventListener("abort", resolve);
      this.#stopped.signal.addEventListener("abort", resolve);
    });
    if (prefersLive()) {
      const targetS = isLive ? LIVE_TARGET_S : Number.POSITIVE_INFINITY;
      this.#stopPlayback = playLive(video, this.#client.url(answer.live_url), { targetS, onError: (error) => failed(error) });
    } else {
      this.#stopPlayback = await playHls(video, this.#client.url(answer.hls_url));
    }
    video.play().catch((error) => {
      if (error.name === "NotAllowedError") this.#listener.onBlocked();
    });
    await ended;
  }

  #whenFirstPictureShows() {
    const shown = () => {
      this.#enter("live");
      this.#listener.onFirstPicture((performance.now() - this.#firstSoundAt) / 1000);
    };
    const video = this.#video;
    if (typeof video.requestVideoFrameCallback === "function") video.requestVideoFrameCallback(shown);
    else video.addEventListener("playing", shown, { signal: this.#over.signal, once: true });
  }

  /** Wait until the server has the whole take of one that was stopped. */
  async #untilStored() {
    while (this.#stopped.signal.aborted && !this.#over.signal.aborted) {
      if ((await this.#client.getStatus()).status === "complete") return;
      await new Promise((resolve) => setTimeout(resolve, STORED_POLL_S * 1000));
    }
  }

  async #poll() {
    while (!this.#over.signal.aborted) {
      const status = await this.#client.getStatus().catch(() => null); // one lost answer is no failure: feeding tells
      if (this.#over.signal.aborted) return;
      if (status !== null) this.#listener.onStatus(status);
      if (status?.status === "error") throw new Error(status.error ?? "The session failed.");
      await new Promise((resolve) => setTimeout(resolve, POLL_S * 1000));
    }
  }
}
