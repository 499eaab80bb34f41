/** WAV files: made, read and cut. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { encodeWav, readWav, splitWav } from "../src/index.js";

/** A WAV file of any kind, with a chunk of odd length before the samples. */
function wavFile({ kind = 1, channels = 1, rate = 24_000, bits = 16, pcm = new Uint8Array(), claimed = pcm.length }) {
  const header = Buffer.alloc(56);
  header.write("RIFF\0\0\0\0WAVEfmt ", 0, "latin1");
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(kind, 20);
  header.writeUInt16LE(channels, 22);
  header.writeUInt32LE(rate, 24);
  header.writeUInt16LE(bits, 34);
  header.write("LIST", 36, "latin1");
  header.writeUInt32LE(3, 40);
  header.write("data", 48, "latin1");
  header.writeUInt32LE(claimed, 52);
  return new Uint8Array(Buffer.concat([header, pcm]));
}

const noise = (bytes) => Uint8Array.from({ length: bytes }, (_, index) => (index * 197 + (index >> 3)) & 255);

test("what was encoded is read again, floats clipped and rounded", () => {
  const { sampleRateHz, channels, pcm } = readWav(encodeWav(new Float32Array([0, 1, -1, 2, 0.5]), 48_000));
  assert.deepEqual([sampleRateHz, channels], [48_000, 1]);
  assert.deepEqual([...new Int16Array(pcm.slice().buffer)], [0, 32767, -32767, 32767, 16384]);
  assert.deepEqual([...readWav(encodeWav(new Int16Array([-32768, 7]), 8000)).pcm], [0, 128, 7, 0]);
});

test("pieces put together are the file's samples, whatever their length", () => {
  for (const [channels, samples, seconds] of [[1, 24_000, 1], [1, 24_001, 1], [2, 23_999, 0.1], [1, 5, 10], [2, 1000, 1 / 24_000]]) {
    const pcm = noise(samples * channels * 2);
    const pieces = [...splitWav(wavFile({ channels, pcm }), seconds)];
    assert.deepEqual(Buffer.concat(pieces.map(({ wav }) => readWav(wav).pcm)), Buffer.from(pcm));
    assert.deepEqual(pieces.map(({ isFinal }) => isFinal), pieces.map((_, index) => index === pieces.length - 1));
    assert.ok(pieces.every(({ wav }) => readWav(wav).channels === channels && readWav(wav).sampleRateHz === 24_000));
  }
});

test("a file without samples is one final piece", () => {
  assert.deepEqual([...splitWav(wavFile({}), 1)].map(({ wav, isFinal }) => [readWav(wav).pcm.length, isFinal]), [[0, true]]);
});

test("a recorder that was cut off, or a half sample at the end, costs nothing but that", () => {
  assert.equal(readWav(wavFile({ pcm: noise(101), claimed: 0xffffffff })).pcm.length, 100);
  assert.equal(readWav(wavFile({ pcm: noise(6), channels: 2 })).pcm.length, 4);
});

test("the samples of a file inside a larger buffer are found", () => {
  const file = wavFile({ pcm: noise(8) });
  const larger = new Uint8Array(file.length + 7);
  larger.set(file, 7);
  assert.deepEqual(readWav(larger.subarray(7)).pcm, noise(8));
});

test("what is no 16-bit PCM WAV file is refused with a sentence", () => {
  for (const [file, text] of [[noise(100), /no WAV/], [new Uint8Array(3), /no WAV/], [wavFile({ bits: 24 }), /16-bit/], [wavFile({ kind: 3 }), /16-bit/], [wavFile({}).subarray(0, 44), /no samples/]]) {
    assert.throws(() => readWav(file), { name: "RangeError", message: text });
  }
});

test("a piece of less than one sample is refused", () => {
  for (const seconds of [0, -1, Number.NaN]) assert.throws(() => [...splitWav(wavFile({ pcm: noise(4) }), seconds)], RangeError);
});
