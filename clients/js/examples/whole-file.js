#!/usr/bin/env node
/**
 * Make a portrait speak a WAV file, sent in chunks of one second.
 *
 *     node examples/whole-file.js --image face.jpg --audio speech.wav [--server http://localhost:9999] [--out take.mp4]
 */

import { readFile, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";

import { ChunkedStreamingClient, splitWav } from "../src/index.js";

const CHUNK_S = 1;
const POLL_MS = 100;

const { values } = parseArgs({
  options: {
    server: { type: "string", default: "http://localhost:9999" },
    image: { type: "string" },
    audio: { type: "string" },
    out: { type: "string" },
  },
});
if (values.image === undefined || values.audio === undefined) {
  console.error("Say --image FILE and --audio FILE (16-bit WAV).");
  process.exit(2);
}

const client = new ChunkedStreamingClient(values.server);
const { hls_url, download_url } = await client.initSession(await readFile(values.image), { chunk_duration: CHUNK_S });
console.log(`watch: ${client.url(hls_url)}`);
try {
  for (const { wav, isFinal } of splitWav(await readFile(values.audio), CHUNK_S)) {
    const { session_status, frames_generated } = await client.feedAudioChunk(wav, isFinal);
    console.log(`${session_status}, ${frames_generated} frames`);
  }
  let status = await client.getStatus();
  for (; status.status !== "complete"; status = await client.getStatus()) {
    if (status.status === "error") throw new Error(status.error ?? "The session failed.");
    await sleep(POLL_MS);
  }
  console.log(`complete, ${status.total_frames_generated} frames`);
  if (values.out !== undefined) {
    const take = await fetch(client.url(download_url));
    if (!take.ok) throw new Error(`The take cannot be downloaded: ${take.status}.`);
    await writeFile(values.out, new Uint8Array(await take.arrayBuffer()));
  }
} finally {
  await client.cleanup();
}
