/** Runs on the audio thread: gathers 128 samples at a time into blocks, and posts `null` when it was stopped. */

class Blocks extends AudioWorkletProcessor {
  /** @param {{ processorOptions: { blockSamples: number } }} options */
  constructor({ processorOptions }) {
    super();
    this.block = new Float32Array(processorOptions.blockSamples);
    this.filled = 0;
    this.stopped = false;
    this.port.onmessage = () => {
      this.port.postMessage(this.block.slice(0, this.filled));
      this.port.postMessage(null);
      this.stopped = true;
    };
  }

  /** @param {Float32Array[][]} inputs */
  process([[samples]]) {
    if (this.stopped || samples === undefined) return !this.stopped;
    for (let at = 0; at < samples.length; ) {
      const part = samples.subarray(at, at + this.block.length - this.filled);
      this.block.set(part, this.filled);
      this.filled += part.length;
      at += part.length;
      if (this.filled === this.block.length) {
        this.port.postMessage(this.block.slice());
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("blocks", Blocks);
