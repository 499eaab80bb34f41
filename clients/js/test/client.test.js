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
