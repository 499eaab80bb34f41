/** Owns the microphone of a browser: from permission to blocks of samples. Never sends them. */
/** An open microphone. Iterate it for WAV chunks: all that was spoken since the last one, so a slow network asks less often. */
export declare class Microphone {
    #private;
    sampleRateHz: number;
    /**
     * @param {AudioContext} context
     * @param {MediaStream} stream
     * @param {AudioWorkletNode} node
     */
    constructor(context: AudioContext, stream: MediaStream, node: AudioWorkletNode);
    /**
     * Ask for the microphone and start listening.
     *
     * @param {object} [options]
     * @param {number} [options.chunkDuration] seconds of audio in the shortest chunk
     * @param {MediaTrackConstraints} [options.constraints]
     * @returns {Promise<Microphone>}
     * @throws {DOMException} as `getUserMedia` says: refused, or no microphone
     */
    static open({ chunkDuration, constraints }?: {
        chunkDuration?: number;
        constraints?: MediaTrackConstraints;
    }): Promise<Microphone>;
    /** Stop listening; the iteration ends with what was said before. */
    stop(): void;
    /** Let the device go. The end of an iteration does it too. */
    close(): Promise<void>;
    /**
     * @returns {AsyncGenerator<{ wav: Uint8Array, samples: Float32Array, isFinal: boolean }>}
     * @throws {RangeError} if the reader falls 9 s behind
     */
    [Symbol.asyncIterator](): AsyncGenerator<{
        wav: Uint8Array;
        samples: Float32Array;
        isFinal: boolean;
    }>;
}
