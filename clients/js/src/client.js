/**
 * Owns the REST calls of one session. Never touches a microphone, a `<video>` or a file.
 *
 * @typedef {Blob | ArrayBuffer | Uint8Array} Bytes
 *
 * @typedef {object} SessionOptions what `initSession` may ask for; the names are the form's.
 * @property {boolean} [crop] crop the portrait to the face (default true); not with `avatar_id`
 * @property {number} [seed] of everything random (default 42)
 * @property {number} [nfe] steps of a generative engine, 5 to 50 (default 10)
 * @property {number} [cfg_scale] guidance of a generative engine, 1 to 5 (default 2)
 * @property {number} [chunk_duration] seconds of audio that the caller means to send at a time, 0.1 to 10 (default 1)
 * @property {number} [audio_sample_rate] of raw PCM chunks in Hz; files say their own (default 24000)
 * @property {"lowest_latency" | "balanced" | "best_quality"} [preset] how speed and quality are weighed
 * @property {string} [engine] which engine; the server's own by default
 * @property {string} [avatar_id] an avatar that the server keeps, in place of a picture
 * @property {"on_audio" | "live"} [mode] live: the video goes on while nothing is fed (default on_audio)
 * @property {boolean} [abr] also make a smaller picture, for adaptive bitrate
 * @property {number[]} [pose_style] head pose of a generative engine
 * @property {number[]} [gaze_style] gaze of a generative engine
 *
 * @typedef {object} SessionAnswer
 * @property {"success"} status
 * @property {string} session_id
 * @property {string} hls_url path of the HLS playlist
 * @property {string} live_url path of the same video as one endless MP4
 * @property {string} download_url path of the whole take as MP4
 * @property {string} message
 * @property {number} chunk_duration
 * @property {number} audio_sample_rate
 *
 * @typedef {"waiting_for_audio" | "processing" | "complete" | "error"} SessionState
 *
 * @typedef {object} FeedAnswer
 * @property {string} status
 * @property {string} session_id
 * @property {number} buffer_samples audio that waits to become frames, in samples
 * @property {number} frames_generated
 * @property {SessionState} session_status
 * @property {string} message
 *
 * @typedef {object} SessionStatus
 * @property {string} session_id
 * @property {SessionState} status
 * @property {number} total_frames_generated
 * @property {number} buffer_samples
 * @property {string | null} error
 * @property {string} created_at
 * @property {number} uptime_seconds
 * @property {number | null} [first_frame_ms] from the first feed to the first frame
 * @property {number | null} [lateness_ms_p50] median lateness of the frames
 * @property {number} [segments] HLS segments published
 * @property {string} [live_url]
 * @property {string} [download_url]
 * @property {string} [engine]
 * @property {number} [width]
 * @property {number} [height]
 * @property {number} [fps]
 */

import { GatewayError, ask } from "./ask.js";

const BASE = "/api/audio-driven/chunked";

/** One session: a portrait, then audio as it comes. */
export class ChunkedStreamingClient {
  /** @type {Promise<unknown>} */
  #lastFeed = Promise.resolve();
  #fed = 0;

  /**
   * @param {string} [serverUrl] of the gateway
   * @param {object} [options]
   * @param {typeof globalThis.fetch} [options.fetch] what sends requests
   * @param {number} [options.timeoutS] how long one request may take
   * @param {number} [options.resumeS] when the connection or the server is lost, try for so long to go on as if nothing
   *   had happened: chunks are numbered then, so that none is lost or taken twice (default 0: never)
   */
  constructor(
    serverUrl = "http://localhost:9999",
    { fetch = globalThis.fetch.bind(globalThis), timeoutS = 60, resumeS = 0 } = {},
  ) {
    this.serverUrl = serverUrl.replace(/\/+$/, "");
    /** @type {string | null} */
    this.sessionId = null;
    this.fetch = fetch;
    this.timeoutS = timeoutS;
    this.resumeS = resumeS;
  }

  /**
   * Open a session.
   *
   * @param {Bytes | null} image a JPEG, PNG or WebP picture of a face; null with `avatar_id`
   * @param {SessionOptions} [options]
   * @returns {Promise<SessionAnswer>}
   * @throws {GatewayError}
   */
  async initSession(image, options = {}) {
    const form = new FormData();
    if (image !== null) form.append("image", toBlob(image, "image/png"), nameOf(image, "portrait"));
    for (const [name, value] of Object.entries(options)) {
      if (value !== undefined) form.append(name, Array.isArray(value) ? JSON.stringify(value) : String(value));
    }
    /** @type {SessionAnswer} */
    const answer = await this.#ask(`${BASE}/init`, { method: "POST", body: form }, 0); // twice would be two sessions
    this.sessionId = answer.session_id;
    this.#fed = 0;
    return answer;
  }

  /**
   * Send audio. Calls may overlap: the chunks arrive in the order of the calls.
   *
   * @param {Bytes} audio one chunk: WAV, MP3, FLAC, Ogg, WebM, M4A, or a `Blob` of type "audio/pcm"
   * @param {boolean} [isFinal] whether the speech ends with it
   * @returns {Promise<FeedAnswer>}
   * @throws {GatewayError}
   */
  feedAudioChunk(audio, isFinal = false) {
    const form = new FormData();
    form.append("session_id", this.#session());
    form.append("audio_chunk", toBlob(audio, "audio/wav"), nameOf(audio, "chunk.wav"));
    form.append("is_final_chunk", String(isFinal));
    const send = async () => {
      if (this.resumeS > 0) form.set("seq", String(this.#fed + 1));
      const answer = await this.#ask(`${BASE}/feed`, { method: "POST", body: form }, this.resumeS);
      this.#fed += 1;
      return answer;
    };
    const feed = this.#lastFeed.then(send, send);
    this.#lastFeed = feed;
    return feed;
  }

  /**
   * @returns {Promise<SessionStatus>}
   * @throws {GatewayError}
   */
  async getStatus() {
    return this.#ask(`${BASE}/status/${encodeURIComponent(this.#session())}`);
  }

  /**
   * End the session and remove its files. Does nothing where there is none, or none any more.
   *
   * @param {object} [options]
   * @param {boolean} [options.keepalive] let the request outlive the page
   * @throws {GatewayError}
   */
  async cleanup({ keepalive = false } = {}) {
    if (this.sessionId === null) return;
    const path = `${BASE}/session/${encodeURIComponent(this.sessionId)}`;
    this.sessionId = null;
    try {
      await this.#ask(path, { method: "DELETE", keepalive });
    } catch (error) {
      if (!(error instanceof GatewayError) || ![404, 410].includes(error.status)) throw error;
    }
  }

  /**
   * Make a path of an answer a whole URL.
   *
   * @param {string} path
   */
  url(path) {
    return this.serverUrl + path;
  }

  #session() {
    if (this.sessionId === null) throw new GatewayError("There is no session; call initSession first.");
    return this.sessionId;
  }

  /**
   * @param {string} path
   * @param {RequestInit} [request]
   * @param {number} [resumeS]
   * @returns {Promise<any>}
   */
  async #ask(path, request = {}, resumeS = this.resumeS) {
    const { fetch, timeoutS } = this;
    const response = await ask(this.url(path), request, { fetch, timeoutS, resumeS });
    const body = await response.json().catch(() => null);
    if (body === null) throw new GatewayError("The server's answer is not JSON.", { status: response.status });
    return body;
  }
}

/**
 * @param {Bytes} bytes
 * @param {string} type of bytes that do not say it themselves
 */
function toBlob(bytes, type) {
  return bytes instanceof Blob ? bytes : new Blob([/** @type {BlobPart} */ (bytes)], { type });
}

/**
 * @param {Bytes} bytes
 * @param {string} fallback
 */
function nameOf(bytes, fallback) {
  return typeof File !== "undefined" && bytes instanceof File ? bytes.name : fallback;
}
