/** Owns how a `<video>` plays a session: as one endless MP4 near the live edge, or as HLS. */

import { aheadS, canStream, streamInto } from "./live-source.js";

const HLS_TYPE = "application/vnd.apple.mpegurl";
const FAR_BEHIND_S = 3;
const CATCH_UP_RATE = 1.1;

/**
 * Whether the endless MP4 is the way here. Apple's browsers ask for byte ranges, which a live response has not.
 *
 * @param {{ vendor?: string }} [browser]
 */
export function prefersLive(browser = globalThis.navigator) {
  return !(browser?.vendor ?? "").startsWith("Apple");
}

/**
 * Play the endless MP4, and keep to its live edge: what was buffered beyond `targetS` is caught up with, a little
 * faster than real time, or jumped over where it is much.
 *
 * @param {HTMLVideoElement} video
 * @param {string} url
 * @param {object} [options]
 * @param {number} [options.targetS] how much may stay buffered; Infinity for speech that is not live
 * @param {(error: Error) => void} [options.onError] hears of what `video` does not report itself
 * @returns {() => void} what stops it
 */
export function playLive(video, url, { targetS = 0.4, onError = () => {} } = {}) {
  const keepUp = () => {
    const ahead = aheadS(video);
    if (ahead > FAR_BEHIND_S + targetS) video.currentTime += ahead - targetS;
    if (ahead > 1.5 * targetS) video.playbackRate = CATCH_UP_RATE;
    else if (ahead < targetS) video.playbackRate = 1;
  };
  video.addEventListener("timeupdate", keepUp);
  let stop = () => {};
  if (canStream()) stop = streamInto(video, url, onError);
  else video.src = url;
  return () => {
    stop();
    video.removeEventListener("timeupdate", keepUp);
    video.playbackRate = 1;
    unload(video);
  };
}

/**
 * Play HLS: by the browser where it can, else by hls.js in its low-latency mode.
 *
 * @param {HTMLVideoElement} video
 * @param {string} url
 * @param {object} [options]
 * @param {() => Promise<any>} [options.loadHls] gets hls.js, which an application that wants it installs
 * @param {(error: Error) => void} [options.onError] hears of what hls.js cannot mend
 * @returns {Promise<() => void>} what stops it
 * @throws {Error} if neither can play here
 */
export async function playHls(video, url, { loadHls = () => import("hls.js"), onError = () => {} } = {}) {
  if (video.canPlayType(HLS_TYPE) !== "") {
    video.src = url;
    return () => unload(video);
  }
  const loaded = await loadHls();
  const Hls = loaded.default ?? loaded;
  if (!Hls.isSupported()) throw new Error("This browser can play no HLS.");
  const hls = new Hls({ lowLatencyMode: true });
  hls.on(Hls.Events.ERROR, (/** @type {unknown} */ _, /** @type {{ fatal: boolean, details: string }} */ error) => {
    if (error.fatal) onError(new Error(`hls.js: ${error.details}`));
  });
  hls.loadSource(url);
  hls.attachMedia(video);
  return () => hls.destroy();
}

/** @param {HTMLVideoElement} video */
function unload(video) {
  video.removeAttribute("src");
  video.load();
}
