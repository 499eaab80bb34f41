/** The client against a server of its own. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { ChunkedStreamingClient, GatewayError } from "../src/index.js";
import { FakeGateway } from "./fake-gateway.js";

const PICTURE = new Uint8Array([1, 2, 3]);
const server = new FakeGateway();
/** @type {ChunkedStreamingClient} */
let client;

beforeEach(async () => {
  server.requests = [];
  server.answer = async () => undefined;
  await server.start();
  client = new ChunkedStreamingClient(`${server.url}/`);
});
afterEach(() => server.stop());

test("initSession sends the picture and only the options that were given, and keeps the id", async () => {
  const answer = await client.initSession(PICTURE, { crop: false, nfe: 7, preset: "balanced", pose_style: [0, 1], engine: undefined });
  const [{ method, path, form }] = server.requests;
  assert.deepEqual([method, path], ["POST", "/api/audio-driven/chunked/init"]);
  assert.deepEqual(new Uint8Array(await form.get("image").arrayBuffer()), PICTURE);
  form.delete("image");
  assert.deepEqual(Object.fromEntries(form), { crop: "false", nfe: "7", preset: "balanced", pose_style: "[0,1]" });
  assert.equal(client.sessionId, answer.session_id);
  assert.equal(client.url(answer.hls_url), `${server.url}/hls/1/playlist.m3u8`);
});

test("an avatar's id takes the place of the picture", async () => {
  await client.initSession(null, { avatar_id: "ada" });
  assert.deepEqual(Object.fromEntries(server.requests[0].form), { avatar_id: "ada" });
});

test("a Blob keeps its type, and a File its name", async () => {
  await client.initSession(new Blob([PICTURE], { type: "image/webp" }));
  await client.feedAudioChunk(new Blob([PICTURE], { type: "audio/pcm" }));
  await client.feedAudioChunk(PICTURE);
  const [image, pcm, wav] = server.requests.map(({ form }) => form.get("image") ?? form.get("audio_chunk"));
  assert.deepEqual([image.type, pcm.type, wav.type, wav.name], ["image/webp", "audio/pcm", "audio/wav", "chunk.wav"]);
  if (typeof File !== "undefined") {
    await client.initSession(new File([PICTURE], "me.jpg", { type: "image/jpeg" }));
    assert.equal(server.requests.at(-1).form.get("image").name, "me.jpg");
  }
});

test("overlapping feeds arrive in the order of the calls, the last one final", async () => {
  await client.initSession(PICTURE);
  let slow = true;
  server.answer = async () => {
    if (slow) await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    slow = false;
    return undefined;
  };
  await Promise.all([0, 1, 2, 3, 4].map((number) => client.feedAudioChunk(new Uint8Array([number]), number === 4)));
  assert.deepEqual((await server.chunks()).map(([number]) => number), [0, 1, 2, 3, 4]);
  assert.deepEqual(server.requests.slice(1).map(({ form }) => form.get("is_final_chunk")), ["false", "false", "false", "false", "true"]);
});

test("a refused chunk is its own call's failure, and the next one is still sent", async () => {
  await client.initSession(PICTURE);
  server.answer = async () => ({ status: 415, body: { title: "Unsupported", detail: "This is no sound.", reason: "BAD_AUDIO", status: 415 } });
  const refused = client.feedAudioChunk(PICTURE);
  await assert.rejects(refused, { name: "GatewayError", message: "This is no sound.", status: 415, reason: "BAD_AUDIO", retryAfterS: null });
  server.answer = async () => undefined;
  assert.equal((await client.feedAudioChunk(PICTURE)).session_status, "processing");
});

test("a full server says when to come back", async () => {
  server.answer = async () => ({ status: 429, headers: { "Retry-After": "3" }, body: { title: "Too Many Requests", detail: "Full.", reason: "POOL_FULL" } });
  await assert.rejects(client.initSession(PICTURE), { status: 429, reason: "POOL_FULL", retryAfterS: 3 });
  assert.equal(client.sessionId, null);
});

test("an answer that is no problem document still becomes an error with its status", async () => {
  server.answer = async () => ({ status: 502, body: "<h1>Bad gateway</h1>" });
  await assert.rejects(client.initSession(PICTURE), { status: 502, reason: "", message: "The server answered 502." });
  server.answer = async () => ({ status: 200, body: "<h1>Welcome</h1>" });
  await assert.rejects(client.initSession(PICTURE), { status: 200, message: "The server's answer is not JSON." });
});

test("the id is escaped in paths", async () => {
  await client.initSession(PICTURE);
  await client.getStatus();
  assert.equal(server.requests.at(-1).path, "/api/audio-driven/chunked/status/an%20id%2Fwith%20a%20slash");
});

test("cleanup deletes once, and a session that has gone already is no failure", async () => {
  await client.cleanup();
  assert.equal(server.requests.length, 0);
  await client.initSession(PICTURE);
  server.answer = async () => ({ status: 410, body: { detail: "Gone.", reason: "SESSION_ENDED" } });
  await client.cleanup();
  await client.cleanup();
  assert.deepEqual(server.requests.map(({ method }) => method), ["POST", "DELETE"]);
  await assert.rejects(client.getStatus(), { message: /initSession/ });
});

test("another failure of cleanup is told", async () => {
  await client.initSession(PICTURE);
  server.answer = async () => ({ status: 503, body: { detail: "Not now." } });
  await assert.rejects(client.cleanup(), { status: 503 });
});

test("feeding without a session is refused before anything is sent", () => {
  assert.throws(() => client.feedAudioChunk(PICTURE), GatewayError);
  assert.equal(server.requests.length, 0);
});

test("a server that cannot be reached, or is silent, is a GatewayError with its cause", async () => {
  server.answer = () => new Promise(() => {});
  const hasty = new ChunkedStreamingClient(server.url, { timeoutS: 0.05 });
  await assert.rejects(hasty.initSession(PICTURE), { status: 0, message: "The server did not answer in time." });
  await server.stop();
  await assert.rejects(client.initSession(PICTURE), (error) => error.status === 0 && error.cause instanceof TypeError);
  await server.start();
});

// Going on behind a loss

const AWAY = { status: 503, body: { detail: "Not now.", reason: "NOT_READY" } };

/** A client that does not give up at once, and a network of which the test says how each request goes. */
function persistent(ways) {
  const how = [...ways];
  return new ChunkedStreamingClient(server.url, {
    resumeS: 30,
    fetch: async (url, request) => {
      const way = how.shift();
      if (way === "lost on the way there") throw new TypeError("fetch failed");
      const response = await fetch(url, request);
      if (way === "lost on the way back") throw new TypeError("fetch failed");
      return response;
    },
  });
}

test("a chunk whose request or answer was lost is sent again under its number", async () => {
  const going = persistent(["", "lost on the way there", "", "", "lost on the way back"]);
  await going.initSession(PICTURE);
  for (const number of [1, 2, 3]) await going.feedAudioChunk(new Uint8Array([number]), number === 3);
  const fed = server.requests.slice(1).map(({ form }) => [form.get("seq"), form.get("is_final_chunk")]);
  assert.deepEqual(fed, [["1", "false"], ["2", "false"], ["3", "true"], ["3", "true"]]);
  assert.deepEqual((await server.chunks()).map(([number]) => number), [1, 2, 3, 3]);
});

test("a number counts what was taken: a refused chunk gives its own to the next", async () => {
  const going = persistent([]);
  await going.initSession(PICTURE);
  server.answer = async () => ({ status: 415, body: { detail: "This is no sound.", reason: "BAD_AUDIO" } });
  await assert.rejects(going.feedAudioChunk(PICTURE), { reason: "BAD_AUDIO" });
  server.answer = async () => undefined;
  await going.feedAudioChunk(PICTURE);
  await going.initSession(PICTURE);
  await going.feedAudioChunk(PICTURE);
  assert.deepEqual(server.requests.map(({ form }) => form.get("seq")), [null, "1", "1", null, "1"]);
});

test("a server that is away is asked again, and status and cleanup go on too", async () => {
  const going = persistent([]);
  await going.initSession(PICTURE);
  let away = 2;
  server.answer = async () => (away-- > 0 ? { ...AWAY, headers: { "Retry-After": "0.01" } } : undefined);
  assert.equal((await going.getStatus()).status, "processing");
  away = 1;
  await going.cleanup();
  assert.deepEqual(server.requests.map(({ method }) => method), ["POST", "GET", "GET", "GET", "DELETE", "DELETE"]);
});

test("what is not lost is not waited for: time over, draining, a refusal, a session that is to be opened", async () => {
  const going = persistent([]);
  await going.initSession(PICTURE);
  let afterS = 0.01;
  server.answer = async () => {
    const answer = { ...AWAY, headers: { "Retry-After": String(afterS) } };
    afterS = 1000;
    return answer;
  };
  await assert.rejects(going.getStatus(), { reason: "NOT_READY" });
  assert.equal(server.requests.length, 3);
  for (const [status, reason] of [[503, "DRAINING"], [410, "SESSION_ENDED"], [429, "POOL_FULL"]]) {
    server.answer = async () => ({ status, body: { detail: "No.", reason } });
    await assert.rejects(going.getStatus(), { status, reason });
  }
  server.answer = async () => AWAY;
  await assert.rejects(going.initSession(PICTURE), { reason: "NOT_READY" });
  assert.equal(server.requests.length, 7);
});

test("without resumeS nothing is numbered or sent twice", async () => {
  await client.initSession(PICTURE);
  await client.feedAudioChunk(PICTURE);
  assert.equal(server.requests.at(-1).form.get("seq"), null);
  server.answer = async () => AWAY;
  await assert.rejects(client.feedAudioChunk(PICTURE), { reason: "NOT_READY" });
  assert.equal(server.requests.length, 3);
});
