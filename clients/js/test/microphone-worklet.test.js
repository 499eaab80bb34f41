/** The audio thread's part, run here with the scope that a browser would give it. */

import assert from "node:assert/strict";
import { test } from "node:test";

/** @type {Map<string, any>} */
const registered = new Map();
Object.assign(globalThis, {
  AudioWorkletProcessor: class {
    port = { posted: [], postMessage: (message) => this.port.posted.push(message), onmessage: () => {} };
  },
  registerProcessor: (name, processor) => registered.set(name, processor),
});
await import("../src/microphone-worklet.js");

const started = (blockSamples) => new (registered.get("blocks"))({ processorOptions: { blockSamples } });
const spoken = (from, length) => Float32Array.from({ length }, (_, index) => from + index);

test("samples come out in whole blocks and in order, and the rest at the stop", () => {
  for (const blockSamples of [128, 200, 300, 1000]) {
    const processor = started(blockSamples);
    for (let from = 0; from < 1280; from += 128) assert.equal(processor.process([[spoken(from, 128)]]), true);
    processor.port.onmessage();
    const { posted } = processor.port;
    assert.equal(posted.at(-1), null);
    const blocks = posted.slice(0, -1);
    assert.ok(blocks.slice(0, -1).every((block) => block.length === blockSamples));
    assert.deepEqual(blocks.flatMap((block) => [...block]), [...spoken(0, 1280)]);
  }
});

test("a microphone that gives nothing yet keeps the processor alive; a stop ends it", () => {
  const processor = started(128);
  assert.equal(processor.process([[]]), true);
  processor.port.onmessage();
  assert.equal(processor.process([[spoken(0, 128)]]), false);
  assert.deepEqual(processor.port.posted, [new Float32Array(), null]);
});
