/** A small server with the gateway's four endpoints: it keeps what it was sent and answers as it was told. */

import { createServer } from "node:http";

export class FakeGateway {
  /** @type {{ method: string, path: string, form: FormData | null }[]} */
  requests = [];
  /** @type {((request: { path: string, form: FormData | null }) => Promise<{ status?: number, headers?: object, body?: unknown } | undefined>)} */
  answer = async () => undefined;
  #server = createServer((request, response) => this.#handle(request, response));

  async start() {
    await new Promise((resolve) => this.#server.listen(0, "127.0.0.1", () => resolve(undefined)));
    const address = /** @type {import("node:net").AddressInfo} */ (this.#server.address());
    this.url = `http://127.0.0.1:${address.port}`;
  }

  async stop() {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** The bytes of every chunk, in order of arrival. */
  async chunks() {
    const feeds = this.requests.filter((request) => request.path.endsWith("/feed"));
    return Promise.all(feeds.map(async ({ form }) => new Uint8Array(await form.get("audio_chunk").arrayBuffer())));
  }

  async #handle(request, response) {
    const parts = [];
    for await (const part of request) parts.push(part);
    const type = request.headers["content-type"] ?? "";
    const form = type.startsWith("multipart/") ? await new Response(Buffer.concat(parts), { headers: { "content-type": type } }).formData() : null;
    const heard = { method: request.method, path: request.url, form };
    const { status = 200, headers = {}, body = usual(heard) } = (await this.answer(heard)) ?? {};
    this.requests.push(heard);
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(typeof body === "string" ? body : JSON.stringify(body));
  }
}

function usual({ path, form }) {
  const session_id = "an id/with a slash";
  if (path.endsWith("/init")) {
    const hls_url = "/hls/1/playlist.m3u8";
    return { status: "success", session_id, hls_url, live_url: "/live/1.mp4", download_url: "/api/hls/1/download", message: "", chunk_duration: 1, audio_sample_rate: 24_000 };
  }
  if (path.endsWith("/feed")) return { status: "success", session_id, buffer_samples: 0, frames_generated: 0, session_status: "processing", message: form.get("is_final_chunk") };
  return { session_id, status: "processing", total_frames_generated: 0 };
}
