/** The examples run, or at least name what there is. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";

import * as library from "../src/index.js";
import { FakeGateway } from "./fake-gateway.js";

const WHOLE_FILE = new URL("../examples/whole-file.js", import.meta.url).pathname;
const server = new FakeGateway();
/** @type {string} */
let folder;

beforeEach(async () => {
  server.requests = [];
  server.answer = async () => undefined;
  await server.start();
  folder = await mkdtemp(join(tmpdir(), "avatar-"));
  await writeFile(join(folder, "face.jpg"), "a face");
  await writeFile(join(folder, "speech.wav"), library.encodeWav(new Float32Array(20_000), 8000));
});
afterEach(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

/**
 * @param {string[]} options
 * @returns {Promise<{ code: unknown, stdout: string, stderr: string }>}
 */
function run(...options) {
  return new Promise((resolve) => {
    execFile(process.execPath, [WHOLE_FILE, ...options], { cwd: folder }, (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stdout, stderr }));
  });
}

test("whole-file.js sends a file in chunks of a second, waits for the end, writes the take and cleans up", async () => {
  server.answer = async ({ path }) => {
    if (path.includes("/status/")) return { body: { status: "complete", total_frames_generated: 63 } };
    return path.endsWith("/download") ? { body: "a film" } : undefined;
  };
  const { code, stdout, stderr } = await run("--server", server.url, "--image", "face.jpg", "--audio", "speech.wav", "--out", "take.mp4");
  assert.deepEqual([code, stderr], [0, ""]);
  assert.match(stdout, /^watch: .*playlist\.m3u8\n(processing, 0 frames\n){3}complete, 63 frames\n$/);
  assert.equal(await readFile(join(folder, "take.mp4"), "utf8"), "a film");
  assert.equal(server.requests.at(-1)?.method, "DELETE");
});

test("whole-file.js says a failed session's error, and cleans up too", async () => {
  server.answer = async ({ path }) => (path.includes("/status/") ? { body: { status: "error", error: "The engine is gone." } } : undefined);
  const { code, stderr } = await run("--server", server.url, "--image", "face.jpg", "--audio", "speech.wav");
  assert.equal(code, 1);
  assert.match(stderr, /The engine is gone\./);
  assert.equal(server.requests.at(-1)?.method, "DELETE");
});

test("whole-file.js says what it needs", async () => {
  const { code, stderr } = await run("--image", "face.jpg");
  assert.equal(code, 2);
  assert.match(stderr, /--audio FILE/);
});

for (const file of ["examples/microphone.html", "examples/conversation.html", "README.md"]) {
  test(`${file} imports what there is, as a module that parses`, async () => {
    const text = await readFile(new URL(`../${file}`, import.meta.url), "utf8");
    const modules = [...text.matchAll(/<script type="module">(.*?)<\/script>|```js\n(.*?)```/gs)].map(([, script, block]) => script ?? block);
    assert.ok(modules.length > 0);
    for (const [index, module] of modules.entries()) {
      const [, names] = module.match(/import \{ ([^}]*) \} from "avatar-client"/) ?? assert.fail(module);
      for (const name of names.split(", ")) assert.ok(name in library, name);
      const path = join(folder, `${index}.mjs`);
      await writeFile(path, module);
      await new Promise((resolve, reject) => {
        execFile(process.execPath, ["--check", path], (error) => (error ? reject(error) : resolve(undefined)));
      });
    }
  });
}
