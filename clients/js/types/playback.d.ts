/** Owns how a `<video>` plays a session: as one endless MP4 near the live edge, or as HLS. */
/**
 * Whether the endless MP4 is the way here. Apple's browsers ask for byte ranges, which a live response has not.
 *
 * @param {{ vendor?: string }} [browser]
 */
export declare function prefersLive(browser?: {
    vendor?: string;
}): boolean;
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
export declare function playLive(video: HTMLVideoElement, url: string, { targetS, onError }?: {
    targetS?: number;
    onError?: (error: Error) => void;
}): () => void;
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
export declare function playHls(video: HTMLVideoElement, url: string, { loadHls, onError }?: {
    loadHls?: () => Promise<any>;
    onError?: (error: Error) => void;
}): Promise<() => void>;
