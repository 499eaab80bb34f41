/** Owns the page: joins the form, one take at a time, and what is shown of it. */

import { Direct } from "./direct.js";
import { Figures } from "./figures.js";
import { Form, element } from "./form.js";
import { Wave } from "./plots.js";
import { Take } from "./take.js";
import { Talk } from "./talk.js";

/** @type {Record<import("./take.js").State, string>} */
const WORDS = {
  preparing: "Preparing the portrait",
  waiting: "Waiting for the first picture",
  live: "Live",
  finished: "Finished",
  failed: "Stopped",
};
const SAMPLE_EVERY_MS = 250;
const WAVE_EVERY_MS = 39;

const video = element("video", HTMLVideoElement);
const poster = element("poster", HTMLImageElement);
const state = element("state", HTMLElement);
const hint = element("hint", HTMLElement);
const problem = element("problem", HTMLElement);
const start = element("start", HTMLButtonElement);
const interrupt = element("interrupt", HTMLButtonElement);
const finish = element("finish", HTMLButtonElement);
const download = element("download", HTMLAnchorElement);
const playlist = element("playlist", HTMLAnchorElement);
const wave = new Wave(element("wave", HTMLCanvasElement));
const figures = new Figures();
/** @type {Take | null} */
let take = null;
/** @type {Talk | null} */
let talk = null;
let waveDrawnMs = 0;
/** Seconds of the voice that were drawn, and how far the avatar is behind it. */
const voice = { drawnS: 0, behindS: 0 };

const form = new Form({ onPortrait: showPortrait, onProblem: showProblem });
const direct = new Direct({
  onText: async (text, voice) => {
    problem.hidden = true;
    try {
      await talk?.say(text, voice);
      return true;
    } catch (error) {
      showProblem(error instanceof Error ? error.message : String(error));
      return false;
    }
  },
  onControl: (changes) => talk?.send({ type: "control", ...changes }),
});

element("form", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  if (form.talks) converse();
  else speak();
});
interrupt.addEventListener("click", () => talk?.interrupt());
globalThis.addEventListener("pagehide", () => {
  if (take !== null && !["finished", "failed"].includes(take.state)) take.leave();
  talk?.leave();
});
globalThis.addEventListener("resize", drawAll);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
setInterval(sampleFigures, SAMPLE_EVERY_MS);
requestAnimationFrame(drawWave);
drawAll();
showHealth();

async function speak() {
  await quitTake();
  reset();
  form.isLocked = true;
  start.hidden = true;
  let speech = null;
  try {
    const portrait = await form.portrait();
    speech = await form.speech();
    figures.expect(speech.isLive);
    const { sampleRateHz, isLive, finish: finishSpeech } = speech;
    const running = new Take(location.origin, video, {
      onState: showState,
      onPiece: (piece) => wave.add(piece.samples, sampleRateHz),
      onFirstPicture: (seconds) => showFirstPicture(seconds),
      onStatus: (status) => figures.showStatus(status),
      onBlocked: () => showHint("Press play to start"),
    });
    take = running;
    video.muted = isLive;
    showHint(video.muted ? "Muted: unmute with headphones" : "");
    finish.textContent = isLive ? "Finish" : "Stop";
    finish.onclick = () => {
      if (isLive) finishSpeech();
      else if (running.state === "live") running.stop();
      else quitTake(); // nothing was seen yet
    };
    finish.hidden = false;
    finish.focus();
    await running.run(portrait, speech, { preset: form.preset, abr: form.isAdaptive });
  } catch (error) {
    await speech?.close();
    showProblem(error instanceof Error ? error.message : String(error));
  } finally {
    form.isLocked = false;
    finish.hidden = true;
    start.hidden = false;
    start.focus();
  }
}

async function converse() {
  await quitTake();
  reset();
  form.isLocked = true;
  start.hidden = true;
  Object.assign(voice, { drawnS: 0, behindS: 0 });
  try {
    const running = new Talk(location.origin, video, {
      onState: showState,
      onFirstPicture: showTalk,
      onLevel: (peak, seconds) => {
        voice.drawnS += seconds;
        wave.add(new Float32Array(Math.round(seconds * 1000)).fill(peak), 1000);
      },
      onFigures: (found) => {
        voice.behindS = found.behindS ?? voice.behindS;
        figures.showTalk(found);
      },
      onWord: showWord,
      onProblem: showProblem,
      onBlocked: () => showHint("Press play to start"),
    });
    talk = running;
    video.muted = true;
    showHint("Muted: unmute with headphones");
    finish.textContent = "End";
    finish.onclick = () => running.leave();
    finish.hidden = false;
    await running.run(await form.portrait(), { preset: form.preset, canSay: form.canSay });
  } catch (error) {
    showProblem(error instanceof Error ? error.message : String(error));
  } finally {
    talk = null;
    showPoster();
    if (state.dataset.state !== "failed") showState(null);
    form.isLocked = false;
    for (const shown of [finish, interrupt]) shown.hidden = true;
    direct.isShown = false;
    start.hidden = false;
    start.focus();
  }
}

/** @param {number} seconds */
function showTalk(seconds) {
  direct.isShown = true;
  interrupt.hidden = false;
  interrupt.focus();
  figures.showTalkFirst(seconds);
  video.hidden = false;
  poster.hidden = true;
}

/** @param {any} word of the session */
function showWord({ type, detail }) {
  if (type === "segment_started") state.textContent = "Speaking";
  if (type === "segment_finished" || type === "idle") state.textContent = "Listening";
  if (type === "error") showProblem(detail);
}

async function quitTake() {
  const leaving = take;
  take = null;
  if (leaving === null) return;
  await leaving.leave().catch(() => {}); // the server forgets it by itself
  showPoster();
  showState(null);
}

function reset() {
  problem.hidden = true;
  figures.clear();
  download.hidden = true;
  playlist.hidden = true;
  wave.clear();
}

/** @param {import("./take.js").State | null} entered */
function showState(entered) {
  state.dataset.state = entered ?? "idle";
  state.textContent = entered === null ? "Ready" : WORDS[entered];
  video.controls = entered === "live" || entered === "finished" || entered === "waiting";
  if (entered === "waiting" && take !== null) {
    playlist.href = take.playlistUrl;
    playlist.hidden = false;
  }
  if (entered === "finished" && take !== null) {
    download.href = take.downloadUrl;
    download.download = "";
    download.hidden = false;
    start.textContent = "Speak again";
  }
  if (entered === "failed" || entered === null) playlist.hidden = true; // there is nothing behind it any more
  if (entered === "failed") showPoster();
}

/** @param {number} seconds */
function showFirstPicture(seconds) {
  figures.showFirst(seconds);
  video.hidden = false;
  poster.hidden = true;
}

function sampleFigures() {
  if (take?.state === "live" && !video.paused) figures.sample(take);
}

/** @param {number} now */
function drawWave(now) {
  requestAnimationFrame(drawWave);
  if (now - waveDrawnMs < WAVE_EVERY_MS) return; // what the screen shows more often than the video costs the video
  waveDrawnMs = now;
  if (talk !== null) wave.draw(voice.drawnS - voice.behindS);
  else if (take !== null && !video.paused) wave.draw(video.currentTime);
}

function drawAll() {
  wave.draw(video.currentTime);
  figures.draw();
}

/** Another portrait is chosen: the stage shows it, and nothing of the last take; that can still be downloaded. */
function showPortrait() {
  if (form.isLocked) return;
  video.pause();
  showPoster();
  showState(null);
  problem.hidden = true;
  figures.clear();
  wave.clear();
  drawAll();
}

function showPoster() {
  video.hidden = true;
  poster.hidden = false;
  hint.hidden = true;
}

/** @param {string} text */
function showProblem(text) {
  problem.textContent = text;
  problem.hidden = false;
  problem.scrollIntoView({ block: "nearest" });
}

/** @param {string} text */
function showHint(text) {
  hint.textContent = text;
  hint.hidden = text === "";
}

async function showHealth() {
  const service = element("service", HTMLElement);
  const answer = await fetch("/health").catch(() => null);
  service.dataset.health = answer?.ok ? "good" : "bad";
  service.textContent = answer?.ok ? "Service ready" : "Service not ready";
}
