/**
 * Owns the way of an endless MP4 response into a `<video>` by Media Source Extensions.
 *
 * A plain `video.src` would play the same response, but browsers look at more than a second of it before they begin.
 */
/** Whether this browser can. */
export declare function canStream(): boolean;
/**
 * Play a response from its first fragment on.
 *
 * @param {HTMLVideoElement} video
 * @param {string} url
 * @param {(error: Error) => void} onError hears of a refusal and of what cannot be decoded
 * @returns {() => void} what stops it
 */
export declare function streamInto(video: HTMLVideoElement, url: string, onError: (error: Error) => void): () => void;
/**
 * Seconds of video that wait to be played.
 *
 * @param {HTMLVideoElement} video
 */
export declare function aheadS({ buffered, currentTime }: HTMLVideoElement): number;
/**
 * Return the media type of an MP4 with H.264 and perhaps AAC, or null while its beginning is not whole.
 * The codec string is profile, constraints and level as ISO/IEC 14496-15 puts them at the head of `avcC`.
 *
 * @param {Uint8Array} head
 */
export declare function mediaType(head: Uint8Array): string | null;
