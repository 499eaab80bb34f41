/** Owns WAV files of 16-bit PCM: making, reading and cutting them. */
/**
 * Return mono samples as a WAV file.
 *
 * @param {Float32Array | Int16Array} samples floats are clipped to -1 … 1
 * @param {number} sampleRateHz
 * @returns {Uint8Array}
 */
export declare function encodeWav(samples: Float32Array | Int16Array, sampleRateHz: number): Uint8Array;
/**
 * Find the samples in a WAV file.
 *
 * @param {Uint8Array} file
 * @returns {{ sampleRateHz: number, channels: number, pcm: Uint8Array }} little-endian, channels interleaved
 * @throws {RangeError} if it is no WAV file of 16-bit PCM
 */
export declare function readWav(file: Uint8Array): {
    sampleRateHz: number;
    channels: number;
    pcm: Uint8Array;
};
/**
 * Cut a WAV file into WAV files, sample-exactly.
 *
 * @param {Uint8Array} file
 * @param {number} seconds length of each but the last
 * @returns {Generator<{ wav: Uint8Array, isFinal: boolean }>}
 * @throws {RangeError} if it is no WAV file of 16-bit PCM, or `seconds` is less than a sample
 */
export declare function splitWav(file: Uint8Array, seconds: number): Generator<{
    wav: Uint8Array;
    isFinal: boolean;
}>;
