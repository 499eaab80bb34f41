/** The queue between a microphone and the network. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Pieces } from "../src/pieces.js";

test("a reader gets all that waits as one, in order", async () => {
  const pieces = new Pieces(100);
  pieces.put(new Float32Array([1, 2]));
  pieces.put(new Float32Array([3]));
  assert.deepEqual(await pieces.take(), { samples: new Float32Array([1, 2, 3]), isFinal: false });
});

test("a waiting reader is woken by samples, and by the end", async () => {
  const pieces = new Pieces(100);
  let taken = pieces.take();
  pieces.put(new Float32Array([1]));
  assert.deepEqual(await taken, { samples: new Float32Array([1]), isFinal: false });
  taken = pieces.take();
  pieces.end();
  assert.deepEqual(await taken, { samples: new Float32Array(), isFinal: true });
});

test("what waits at the end comes with the end, and nothing after it", async () => {
  const pieces = new Pieces(100);
  pieces.put(new Float32Array([1]));
  pieces.end();
  pieces.put(new Float32Array([2]));
  assert.deepEqual(await pieces.take(), { samples: new Float32Array([1]), isFinal: true });
});

test("a reader that falls too far behind gets an error instead of a gap", async () => {
  const pieces = new Pieces(3);
  pieces.put(new Float32Array(3));
  pieces.put(new Float32Array(1));
  await assert.rejects(pieces.take(), RangeError);
});

test("the first failure is the one that is told", async () => {
  const pieces = new Pieces(3);
  pieces.fail(new Error("unplugged"));
  pieces.fail(new Error("later"));
  await assert.rejects(pieces.take(), { message: "unplugged" });
});
