/** Owns WAV files of 16-bit PCM: making, reading and cutting them. */

const HEADER_BYTES = 44;
const PCM = 1;
const EXTENSIBLE = 0xfffe;

/**
 * Return mono samples as a WAV file.
 *
 * @param {Float32Array | Int16Array} samples floats are clipped to -1 … 1
 * @param {number} sampleRateHz
 * @returns {Uint8Array}
 */
export function encodeWav(samples, sampleRateHz) {
  const integers = samples instanceof Int16Array ? samples : toIntegers(samples);
  return withHeader(integers.length * 2, sampleRateHz, 1, (view) => {
    integers.forEach((sample, index) => view.setInt16(HEADER_BYTES + 2 * index, sample, true));
  });
}

/**
 * Find the samples in a WAV file.
 *
 * @param {Uint8Array} file
 * @returns {{ sampleRateHz: number, channels: number, pcm: Uint8Array }} little-endian, channels interleaved
 * @throws {RangeError} if it is no WAV file of 16-bit PCM
 */
export function readWav(file) {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < 12 || tag(view, 0) !== "RIFF" || tag(view, 8) !== "WAVE") throw new RangeError("This is no WAV file.");
  let format = null;
  for (let at = 12; at + 8 <= file.length; ) {
    const size = view.getUint32(at + 4, true);
    if (tag(view, at) === "fmt " && at + 24 <= file.length) {
      format = { kind: view.getUint16(at + 8, true), channels: view.getUint16(at + 10, true), sampleRateHz: view.getUint32(at + 12, true), bits: view.getUint16(at + 22, true) };
    } else if (tag(view, at) === "data" && format !== null) {
      if (![PCM, EXTENSIBLE].includes(format.kind) || format.bits !== 16) throw new RangeError("Only 16-bit PCM can be cut here.");
      const { sampleRateHz, channels } = format;
      const end = Math.min(at + 8 + size, file.length); // a recorder that was cut off leaves too large a size
      const whole = Math.floor((end - at - 8) / (2 * channels)) * 2 * channels;
      return { sampleRateHz, channels, pcm: file.subarray(at + 8, at + 8 + whole) };
    }
    at += 8 + size + (size % 2);
  }
  throw new RangeError("This WAV file has no samples.");
}

/**
 * Cut a WAV file into WAV files, sample-exactly.
 *
 * @param {Uint8Array} file
 * @param {number} seconds length of each but the last
 * @returns {Generator<{ wav: Uint8Array, isFinal: boolean }>}
 * @throws {RangeError} if it is no WAV file of 16-bit PCM, or `seconds` is less than a sample
 */
export function* splitWav(file, seconds) {
  const { sampleRateHz, channels, pcm } = readWav(file);
  const step = Math.floor(seconds * sampleRateHz) * 2 * channels;
  if (!(step > 0)) throw new RangeError("A chunk must hold at least one sample.");
  for (let at = 0; at < pcm.length || at === 0; at += step) {
    const piece = pcm.subarray(at, at + step);
    const wav = withHeader(piece.length, sampleRateHz, channels, (_, bytes) => bytes.set(piece, HEADER_BYTES));
    yield { wav, isFinal: at + step >= pcm.length };
  }
}

/**
 * @param {number} dataBytes
 * @param {number} sampleRateHz
 * @param {number} channels
 * @param {(view: DataView, bytes: Uint8Array) => void} fill
 */
function withHeader(dataBytes, sampleRateHz, channels, fill) {
  const bytes = new Uint8Array(HEADER_BYTES + dataBytes);
  const view = new DataView(bytes.buffer);
  const put = (/** @type {number} */ at, /** @type {string} */ text) => [...text].forEach((letter, index) => view.setUint8(at + index, letter.charCodeAt(0)));
  put(0, "RIFF");
  view.setUint32(4, 36 + dataBytes, true);
  put(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, PCM, true);
  view.setUint16(22, channels, true);
  view.setUint32(24, sampleRateHz, true);
  view.setUint32(28, sampleRateHz * channels * 2, true);
  view.setUint16(32, channels * 2, true);
  view.setUint16(34, 16, true);
  put(36, "data");
  view.setUint32(40, dataBytes, true);
  fill(view, bytes);
  return bytes;
}

/** @param {Float32Array} samples */
function toIntegers(samples) {
  return Int16Array.from(samples, (sample) => Math.round(Math.max(-1, Math.min(1, sample)) * 32767));
}

/**
 * @param {DataView} view
 * @param {number} at
 */
function tag(view, at) {
  return String.fromCharCode(view.getUint8(at), view.getUint8(at + 1), view.getUint8(at + 2), view.getUint8(at + 3));
}
