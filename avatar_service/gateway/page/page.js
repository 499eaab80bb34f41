/** Owns the page: joins the form, one take at a time, and what is shown of it. */

import { Form, element } from "./form.js";
import { Sparkline, Wave } from "./plots.js";
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
const mood = element("mood", HTMLSelectElement);
const download = element("download", HTMLAnchorElement);
const playlist = element("playlist", HTMLAnchorElement);
const wave = new Wave(element("wave", HTMLCanvasElement));
const plots = {
  behind: new Sparkline(element("behind-plot", HTMLCanvasElement), 1.5),
  ahead: new Sparkline(element("ahead-plot", HTMLCanvasElement), 2),
  lateness: new Sparkline(element("lateness-plot", HTMLCanvasElement), 100, 60),
  talkBehind: new Sparkline(element("talk-behind-plot", HTMLCanvasElement), 1, 60),
  talkFps: new Sparkline(element("talk-fps-plot", HTMLCanvasElement), 30, 60),
};

/** @type {Take | null} */
let take = null;
/** @type {Talk | null} */
let talk = null;
let waveDrawnMs = 0;
/** Seconds of the voice that were drawn, and how far the avatar is behind it. */
const voice = { drawnS: 0, behindS: 0 };

const form = new Form({ onPortrait: showPoster, onProblem: showProblem });

element("form", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  if (form.talks) converse();
  else speak();
});
interrupt.addEventListener("click", () => talk?.interrupt());
mood.addEventListener("change", () => talk?.send({ type: "control", emotion: mood.value }));
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
    // How late a frame is means something only where speech comes as it is spoken.
    element("lateness-figure", HTMLElement).hidden = speech.finish === null;
    const { sampleRateHz, finish: finishSpeech } = speech;
    const running = new Take(location.origin, video, {
      onState: showState,
      onPiece: (piece) => wave.add(piece.samples, sampleRateHz),
      onFirstPicture: (seconds) => showFirstPicture(seconds),
      onStatus: showStatus,
      onBlocked: () => showHint("Press play to start"),
    });
    take = running;
    video.muted = finishSpeech !== null;
    showHint(video.muted ? "Muted: unmute with headphones" : "");
    finish.textContent = finishSpeech === null ? "Stop" : "Finish";
    finish.onclick = () => (finishSpeech === null ? quitTake() : finishSpeech());
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
  mood.value = "neutral";
  Object.assign(voice, { drawnS: 0, behindS: 0 });
  try {
    const running = new Talk(location.origin, video, {
      onState: showState,
      onFirstPicture: showTalk,
      onLevel: (peak, seconds) => {
        voice.drawnS += seconds;
        wave.add(new Float32Array(Math.round(seconds * 1000)).fill(peak), 1000);
      },
      onFigures: showTalkFigures,
      onWord: showWord,
      onBlocked: () => showHint("Press play to start"),
    });
    talk = running;
    video.muted = true;
    showHint("Muted: unmute with headphones");
    finish.textContent = "End";
    finish.onclick = () => running.leave();
    finish.hidden = false;
    await running.run(await form.portrait(), { preset: form.preset });
  } catch (error) {
    showProblem(error instanceof Error ? error.message : String(error));
  } finally {
    talk = null;
    showPoster();
    if (state.dataset.state !== "failed") showState(null);
    form.isLocked = false;
    for (const shown of [finish, interrupt, element("mood-picker", HTMLElement)]) shown.hidden = true;
    start.hidden = false;
    start.focus();
  }
}

/** @param {number} seconds */
function showTalk(seconds) {
  element("talk-figures", HTMLElement).hidden = false;
  element("mood-picker", HTMLElement).hidden = false;
  interrupt.hidden = false;
  interrupt.focus();
  write("talk-first", `${seconds.toFixed(2)} s`);
  video.hidden = false;
  poster.hidden = true;
}

/** @param {import("./talk.js").Figures} figures */
function showTalkFigures({ behindS, fps, freezes, serviceMs }) {
  if (behindS !== null) {
    voice.behindS = behindS;
    write("talk-behind", `${Math.round(behindS * 1000)} ms`);
    plots.talkBehind.add(behindS);
  }
  write("talk-fps", `${Math.round(fps)}`);
  plots.talkFps.add(fps);
  if (serviceMs !== null) write("talk-service", `${Math.round(serviceMs)} ms`);
  const often = freezes === 1 ? "once" : `${freezes} times`;
  element("talk-freezes", HTMLElement).textContent = freezes ? `the picture froze ${often}` : "from sound to picture";
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
  element("figures", HTMLElement).hidden = true;
  element("talk-figures", HTMLElement).hidden = true;
  download.hidden = true;
  playlist.hidden = true;
  wave.clear();
  for (const plot of Object.values(plots)) plot.clear();
  for (const id of ["first", "behind", "ahead", "lateness", "talk-first", "talk-behind", "talk-fps", "talk-service"]) write(id, "–");
  element("first-note", HTMLElement).textContent = "from the first sound";
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
  element("figures", HTMLElement).hidden = false;
  write("first", `${seconds.toFixed(2)} s`);
  video.hidden = false;
  poster.hidden = true;
}

/** @param {import("./client/client.js").SessionStatus} status */
function showStatus(status) {
  if (typeof status.lateness_ms_p50 === "number") {
    write("lateness", `${Math.round(status.lateness_ms_p50)} ms`);
    plots.lateness.add(status.lateness_ms_p50);
  }
  if (typeof status.first_frame_ms === "number") {
    element("first-note", HTMLElement).textContent = `at the service ${(status.first_frame_ms / 1000).toFixed(2)} s`;
  }
}

function sampleFigures() {
  if (take?.state !== "live" || video.paused) return;
  write("behind", `${Math.max(0, take.behindS).toFixed(2)} s`);
  write("ahead", `${take.aheadS.toFixed(1)} s`);
  plots.behind.add(Math.max(0, take.behindS));
  plots.ahead.add(take.aheadS);
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
  for (const plot of Object.values(plots)) plot.draw();
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
}

/** @param {string} text */
function showHint(text) {
  hint.textContent = text;
  hint.hidden = text === "";
}

/**
 * @param {string} id
 * @param {string} text
 */
function write(id, text) {
  element(id, HTMLOutputElement).value = text;
}

async function showHealth() {
  const service = element("service", HTMLElement);
  const answer = await fetch("/health").catch(() => null);
  service.dataset.health = answer?.ok ? "good" : "bad";
  service.textContent = answer?.ok ? "Service ready" : "Service not ready";
}
