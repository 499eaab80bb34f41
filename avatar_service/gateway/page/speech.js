/** Owns where speech comes from: a sound file, cut into chunks, or the microphone. Never sends it. */

import { ask } from "./client/ask.js";
import { Microphone, encodeWav } from "./client/index.js";

/**
 * @typedef {object} Piece
 * @property {Uint8Array} wav
 * @property {Float32Array} samples
 * @property {boolean} isFinal
 *
 * @typedef {object} Speech
 * @property {number} sampleRateHz
 * @property {() => AsyncGenerator<Piece>} pieces the last one is final
 * @property {boolean} isLive whether it comes as it is spoken, and so has no end of its own
 * @property {() => void} finish ends it here
 * @property {() => Promise<void>} close let go of it
 */

const FILE_RATE_HZ = 24_000;
const CHUNK_S = 1;
const AHEAD_S = 20;

/**
 * Read a sound file.
 *
 * @param {Blob} file
 * @returns {Promise<Speech>}
 * @throws {Error} if this browser cannot decode it
 */
export async function fileSpeech(file) {
  const samples = await decode(file);
  let end = samples.length;
  let wake = () => {};
  return {
    sampleRateHz: FILE_RATE_HZ,
    isLive: false,
    finish: () => {
      end = 0;
      wake();
    },
    close: async () => {},
    async *pieces() {
      const began = performance.now();
      const step = CHUNK_S * FILE_RATE_HZ;
      for (let at = 0, isFinal = false; !isFinal; at += step) {
        // A long file must not fill the server's spool: it goes out no more than 20 s ahead of real time.
        const early = at / FILE_RATE_HZ - AHEAD_S - (performance.now() - began) / 1000;
        if (early > 0) {
          await new Promise((resolve) => {
            wake = () => resolve(null);
            setTimeout(resolve, early * 1000);
          });
        }
        const piece = samples.subarray(at, Math.min(at + step, Math.max(at, end)));
        isFinal = at + step >= end;
        yield { wav: encodeWav(piece, FILE_RATE_HZ), samples: piece, isFinal };
      }
    },
  };
}

/**
 * Listen to the microphone.
 *
 * @returns {Promise<Speech>}
 * @throws {Error} saying what a person can do about it
 */
export async function microphoneSpeech() {
  if (navigator.mediaDevices === undefined) throw new Error("Browsers give the microphone only to pages on https or localhost.");
  let microphone;
  try {
    microphone = await Microphone.open();
  } catch (cause) {
    const refused = cause instanceof DOMException && cause.name === "NotAllowedError";
    throw new Error(refused ? "The microphone was refused. Allow it for this page and try again." : "No microphone was found.", { cause });
  }
  return {
    sampleRateHz: microphone.sampleRateHz,
    isLive: true,
    finish: () => microphone.stop(),
    close: () => microphone.close(),
    pieces: () => microphone[Symbol.asyncIterator](),
  };
}

/**
 * Have the server speak a text.
 *
 * @param {string} text
 * @param {string} voice
 * @returns {Promise<Speech>}
 * @throws {Error} with the server's own words
 */
export async function textSpeech(text, voice) {
  const answer = await ask("/api/speech", { method: "POST", body: new URLSearchParams({ text, voice }) });
  return fileSpeech(await answer.blob());
}

/**
 * Ask whether the server can speak text, and in which voices.
 *
 * @returns {Promise<{ available: boolean, reason: string, max_characters: number, voices: { language: string, name: string }[] }>}
 */
export async function voices() {
  const answer = await fetch("/api/speech").catch(() => null);
  if (answer?.ok) return answer.json();
  return { available: false, reason: "the server does not answer", max_characters: 500, voices: [] };
}

/** @param {Blob} file */
async function decode(file) {
  const context = new OfflineAudioContext(1, 1, FILE_RATE_HZ);
  let sound;
  try {
    sound = await context.decodeAudioData(await file.arrayBuffer());
  } catch (cause) {
    throw new Error("This browser cannot read that sound file. Try WAV, MP3 or M4A.", { cause });
  }
  const mixed = sound.getChannelData(0).slice();
  for (let channel = 1; channel < sound.numberOfChannels; channel += 1) {
    sound.getChannelData(channel).forEach((sample, index) => {
      mixed[index] += sample;
    });
  }
  return sound.numberOfChannels === 1 ? mixed : mixed.map((sample) => sample / sound.numberOfChannels);
}
