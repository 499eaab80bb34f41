/** Owns the queue between a producer that cannot wait (a microphone) and a reader that may be slow (the network). */
/** Blocks of samples; a reader gets all that waits as one. Bounded: past its limit it ends with an error. */
export declare class Pieces {
    #private;
    limit: number;
    /** @param {number} limit samples that may wait; a reader so far behind live speech has lost it */
    constructor(limit: number);
    /** @param {Float32Array} block */
    put(block: Float32Array): void;
    /** Say that no more comes. */
    end(): void;
    /** @param {Error} failure that the reader gets instead of what waits */
    fail(failure: Error): void;
    /**
     * Wait for samples, or for the end.
     *
     * @returns {Promise<{ samples: Float32Array, isFinal: boolean }>} at the end perhaps without samples
     */
    take(): Promise<{
        samples: Float32Array;
        isFinal: boolean;
    }>;
}
