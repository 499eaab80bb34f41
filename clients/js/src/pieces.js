/** Owns the queue between a producer that cannot wait (a microphone) and a reader that may be slow (the network). */

/** Blocks of samples; a reader gets all that waits as one. Bounded: past its limit it ends with an error. */
export class Pieces {
  /** @type {Float32Array[]} */
  #waiting = [];
  #samples = 0;
  #ended = false;
  /** @type {Error | null} */
  #failure = null;
  #wake = () => {};

  /** @param {number} limit samples that may wait; a reader so far behind live speech has lost it */
  constructor(limit) {
    this.limit = limit;
  }

  /** @param {Float32Array} block */
  put(block) {
    if (this.#ended) return;
    this.#waiting.push(block);
    this.#samples += block.length;
    if (this.#samples > this.limit) this.fail(new RangeError("The audio could not be sent as fast as it was spoken."));
    this.#wake();
  }

  /** Say that no more comes. */
  end() {
    this.#ended = true;
    this.#wake();
  }

  /** @param {Error} failure that the reader gets instead of what waits */
  fail(failure) {
    this.#failure ??= failure;
    this.end();
  }

  /**
   * Wait for samples, or for the end.
   *
   * @returns {Promise<{ samples: Float32Array, isFinal: boolean }>} at the end perhaps without samples
   */
  async take() {
    while (this.#samples === 0 && !this.#ended) {
      await new Promise((resolve) => {
        this.#wake = () => resolve(undefined);
      });
    }
    if (this.#failure !== null) throw this.#failure;
    const samples = new Float32Array(this.#samples);
    let at = 0;
    for (const block of this.#waiting) {
      samples.set(block, at);
      at += block.length;
    }
    this.#waiting = [];
    this.#samples = 0;
    return { samples, isFinal: this.#ended };
  }
}
