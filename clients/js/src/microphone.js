/** Owns the microphone of a browser: from permission to blocks of samples. Never sends them. */

import { Pieces } from "./pieces.js";
import { encodeWav } from "./wav.js";

const MAX_WAITING_S = 9; // a server takes at most 10 s in one chunk

/** An open microphone. Iterate it for WAV chunks: all that was spoken since the last one, so a slow network asks less often. */
export class Microphone {
  #context;
  #stream;
  #node;
  #pieces;

  /**
   * @param {AudioContext} context
   * @param {MediaStream} stream
   * @param {AudioWorkletNode} node
   */
  constructor(context, stream, node) {
    this.#context = context;
    this.#stream = stream;
    this.#node = node;
    this.sampleRateHz = context.sampleRate;
    this.#pieces = new Pieces(MAX_WAITING_S * context.sampleRate);
    node.port.onmessage = ({ data }) => (data === null ? this.#pieces.end() : this.#pieces.put(data));
    node.onprocessorerror = () => this.#pieces.fail(new Error("The microphone could not be read."));
    for (const track of stream.getAudioTracks()) {
      track.onended = () => this.#pieces.fail(new Error("The microphone was disconnected."));
    }
  }

  /**
   * Ask for the microphone and start listening.
   *
   * @param {object} [options]
   * @param {number} [options.chunkDuration] seconds of audio in the shortest chunk
   * @param {MediaTrackConstraints} [options.constraints]
   * @returns {Promise<Microphone>}
   * @throws {DOMException} as `getUserMedia` says: refused, or no microphone
   */
  static async open({ chunkDuration = 0.2, constraints = {} } = {}) {
    const audio = { channelCount: 1, echoCancellation: true, noiseSuppression: true, ...constraints };
    const stream = await navigator.mediaDevices.getUserMedia({ audio });
    const context = new AudioContext({ latencyHint: "interactive" });
    try {
      await context.audioWorklet.addModule(new URL("./microphone-worklet.js", import.meta.url));
      await context.resume();
      const processorOptions = { blockSamples: Math.max(128, Math.round(chunkDuration * context.sampleRate)) };
      const node = new AudioWorkletNode(context, "blocks", { numberOfOutputs: 0, processorOptions });
      const microphone = new Microphone(context, stream, node);
      context.createMediaStreamSource(stream).connect(node);
      return microphone;
    } catch (error) {
      for (const track of stream.getTracks()) track.stop();
      await context.close();
      throw error;
    }
  }

  /** Stop listening; the iteration ends with what was said before. */
  stop() {
    this.#node.port.postMessage("stop");
  }

  /** Let the device go. The end of an iteration does it too. */
  async close() {
    this.#pieces.end();
    for (const track of this.#stream.getTracks()) {
      track.onended = null;
      track.stop();
    }
    if (this.#context.state !== "closed") await this.#context.close();
  }

  /**
   * @returns {AsyncGenerator<{ wav: Uint8Array, samples: Float32Array, isFinal: boolean }>}
   * @throws {RangeError} if the reader falls 9 s behind
   */
  async *[Symbol.asyncIterator]() {
    try {
      for (let isFinal = false; !isFinal; ) {
        const piece = await this.#pieces.take();
        isFinal = piece.isFinal;
        yield { wav: encodeWav(piece.samples, this.sampleRateHz), ...piece };
      }
    } finally {
      await this.close();
    }
  }
}
