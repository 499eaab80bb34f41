/**
 * Owns the way of an endless MP4 response into a `<video>` by Media Source Extensions.
 *
 * A plain `video.src` would play the same response, but browsers look at more than a second of it before they begin.
 */

const MAX_AHEAD_S = 30;
const KEPT_BEHIND_S = 30;

/** Whether this browser can. */
export function canStream() {
  return typeof globalThis.MediaSource === "function";
}

/**
 * Play a response from its first fragment on.
 *
 * @param {HTMLVideoElement} video
 * @param {string} url
 * @param {(error: Error) => void} onError hears of a refusal and of what cannot be decoded
 * @returns {() => void} what stops it
 */
export function streamInto(video, url, onError) {
  const source = new MediaSource();
  const address = URL.createObjectURL(source);
  const over = new AbortController();
  const run = () => {
    URL.revokeObjectURL(address);
    pump(video, source, url, over.signal).catch((error) => {
      if (!over.signal.aborted) onError(error);
    });
  };
  source.addEventListener("sourceopen", run, { once: true });
  video.src = address;
  return () => over.abort();
}

/**
 * @param {HTMLVideoElement} video
 * @param {MediaSource} source
 * @param {string} url
 * @param {AbortSignal} signal
 */
async function pump(video, source, url, signal) {
  const response = await fetch(url, { signal });
  if (!response.ok || response.body === null) throw new Error(`The video cannot be fetched: the server answered ${response.status}.`);
  const reader = response.body.getReader();
  let head = new Uint8Array();
  /** @type {SourceBuffer | null} */
  let buffer = null;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    if (buffer !== null) {
      await append(video, buffer, value, signal);
      continue;
    }
    head = joined(head, value);
    const type = mediaType(head);
    if (type === null) continue;
    buffer = source.addSourceBuffer(type);
    await append(video, buffer, head, signal);
  }
  if (source.readyState === "open") source.endOfStream();
}

/**
 * @param {HTMLVideoElement} video
 * @param {SourceBuffer} buffer
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @param {AbortSignal} signal
 */
async function append(video, buffer, bytes, signal) {
  // A paused viewer must not fill the memory: the response waits, and with it the server.
  while (aheadS(video) > MAX_AHEAD_S) await happened(video, ["timeupdate", "seeking"], signal);
  buffer.appendBuffer(bytes);
  await happened(buffer, ["updateend"], signal);
  const { buffered } = buffer;
  if (buffered.length === 0) return;
  const start = buffered.start(0);
  if (video.currentTime < start) video.currentTime = start; // joined in the middle of a session
  if (video.currentTime - start > 2 * KEPT_BEHIND_S) {
    buffer.remove(0, video.currentTime - KEPT_BEHIND_S);
    await happened(buffer, ["updateend"], signal);
  }
}

/**
 * Seconds of video that wait to be played.
 *
 * @param {HTMLVideoElement} video
 */
export function aheadS({ buffered, currentTime }) {
  return buffered.length === 0 ? 0 : Math.max(0, buffered.end(buffered.length - 1) - currentTime);
}

/**
 * Return the media type of an MP4 with H.264 and perhaps AAC, or null while its beginning is not whole.
 * The codec string is profile, constraints and level as ISO/IEC 14496-15 puts them at the head of `avcC`.
 *
 * @param {Uint8Array} head
 */
export function mediaType(head) {
  const text = new TextDecoder("latin1").decode(head);
  const avc = text.indexOf("avcC");
  if (avc < 0 || head.length < avc + 8 || !text.includes("moof")) return null;
  const profile = [...head.subarray(avc + 5, avc + 8)].map((byte) => byte.toString(16).padStart(2, "0"));
  const sound = text.includes("mp4a") ? ", mp4a.40.2" : "";
  return `video/mp4; codecs="avc1.${profile.join("")}${sound}"`;
}

/**
 * @param {EventTarget} target
 * @param {string[]} names
 * @param {AbortSignal} signal
 */
function happened(target, names, signal) {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const settled = new AbortController();
    const options = { signal: settled.signal };
    const settle = (/** @type {() => void} */ then) => () => {
      settled.abort();
      then();
    };
    for (const name of names) target.addEventListener(name, settle(() => resolve(undefined)), options);
    signal.addEventListener("abort", settle(() => reject(signal.reason)), options);
  });
}

/**
 * @param {Uint8Array} first
 * @param {Uint8Array} second
 */
function joined(first, second) {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
