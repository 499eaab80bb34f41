/** How a video plays, with a video that only keeps what it is told. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { playHls, playLive, prefersLive } from "../src/index.js";

class FakeVideo extends EventTarget {
  src = "";
  currentTime = 10;
  playbackRate = 1;
  end = 10;
  loads = 0;
  buffered = { length: 1, end: () => this.end };

  constructor(hls = "") {
    super();
    this.hls = hls;
  }

  canPlayType() {
    return this.hls;
  }

  removeAttribute() {
    this.src = "";
  }

  load() {
    this.loads += 1;
  }

  at(ahead) {
    this.end = this.currentTime + ahead;
    this.dispatchEvent(new Event("timeupdate"));
    return [this.playbackRate, this.end - this.currentTime];
  }
}

const hlsJs = (supported = true) => {
  const calls = [];
  class Hls {
    static Events = { ERROR: "hlsError" };
    static isSupported = () => supported;
    constructor(settings) {
      calls.push(settings);
    }
    on = (_, listener) => calls.push(listener);
    loadSource = (url) => calls.push(url);
    attachMedia = (video) => calls.push(video);
    destroy = () => calls.push("destroyed");
  }
  return { calls, loadHls: async () => ({ default: Hls }) };
};

test("only Apple's browsers are given HLS first", () => {
  assert.equal(prefersLive({ vendor: "Apple Computer, Inc." }), false);
  assert.equal(prefersLive({ vendor: "Google Inc." }), true);
  assert.equal(prefersLive({ vendor: "" }), true);
});

test("live video is played a little faster until it is near its edge, and jumps where it is far behind", () => {
  const video = new FakeVideo();
  playLive(video, "/live/1.mp4", { targetS: 0.4 });
  assert.equal(video.src, "/live/1.mp4");
  assert.deepEqual(video.at(0.5), [1, 0.5]);
  assert.equal(video.at(0.9)[0], 1.1);
  assert.equal(video.at(0.6)[0], 1.1);
  assert.equal(video.at(0.3)[0], 1);
  assert.ok(Math.abs(video.at(8)[1] - 0.4) < 1e-9);
});

test("speech that is not live is never hurried", () => {
  const video = new FakeVideo();
  playLive(video, "/live/1.mp4", { targetS: Number.POSITIVE_INFINITY });
  assert.deepEqual(video.at(60), [1, 60]);
});

test("a stopped video holds no connection and follows no edge", () => {
  const video = new FakeVideo();
  const stop = playLive(video, "/live/1.mp4");
  video.at(2);
  stop();
  assert.deepEqual([video.src, video.loads, video.playbackRate], ["", 1, 1]);
  assert.equal(video.at(2)[0], 1);
});

test("a video with nothing buffered is left alone", () => {
  const video = new FakeVideo();
  video.buffered.length = 0;
  playLive(video, "/live/1.mp4");
  assert.equal(video.at(5)[0], 1);
});

test("a browser that knows HLS plays it itself", async () => {
  const video = new FakeVideo("maybe");
  const stop = await playHls(video, "/hls/1/playlist.m3u8", { loadHls: () => assert.fail("not needed") });
  assert.equal(video.src, "/hls/1/playlist.m3u8");
  stop();
  assert.equal(video.src, "");
});

test("elsewhere hls.js plays it in its low-latency mode", async () => {
  const video = new FakeVideo();
  const { calls, loadHls } = hlsJs();
  const heard = [];
  const stop = await playHls(video, "/hls/1/playlist.m3u8", { loadHls, onError: (error) => heard.push(error.message) });
  const [settings, listener, url, attached] = calls;
  assert.deepEqual([settings.lowLatencyMode, url, attached === video], [true, "/hls/1/playlist.m3u8", true]);
  listener("hlsError", { fatal: false, details: "mended" });
  listener("hlsError", { fatal: true, details: "manifestLoadError" });
  assert.deepEqual(heard, ["hls.js: manifestLoadError"]);
  stop();
  assert.equal(calls.at(-1), "destroyed");
});

test("a browser that can play neither is told so", async () => {
  await assert.rejects(playHls(new FakeVideo(), "/x.m3u8", { loadHls: hlsJs(false).loadHls }), { message: /no HLS/ });
});

test("hls.js itself is found where it is installed", async () => {
  // Node has no media source, so the library that was really loaded says that it is not supported.
  await assert.rejects(playHls(new FakeVideo(), "/x.m3u8"), { message: /no HLS/ });
});
