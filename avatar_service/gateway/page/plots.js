/** Owns the small plots: a sparkline of a figure over time, and the wave of the speech around the playhead. */

const WAVE_BEFORE_S = 6;
const WAVE_AFTER_S = 4;
const BAR_S = 0.05;
const QUIET = 0.02;

/**
 * Fit a canvas to its box on this screen.
 *
 * @param {HTMLCanvasElement} canvas
 */
function fitted(canvas) {
  const scale = globalThis.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale);
  if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale);
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height, colour: getComputedStyle(canvas).color };
}

/** The last values of one figure, drawn as a line over a soft area. */
export class Sparkline {
  /** @type {number[]} */
  #values = [];

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {number} ceiling the smallest full scale, so that noise looks small
   * @param {number} [length] values in view
   */
  constructor(canvas, ceiling, length = 120) {
    this.canvas = canvas;
    this.ceiling = ceiling;
    this.length = length;
  }

  /** @param {number} value */
  add(value) {
    this.#values.push(value);
    if (this.#values.length > this.length) this.#values.shift();
    this.draw();
  }

  clear() {
    this.#values = [];
    this.draw();
  }

  draw() {
    const { context, width, height, colour } = fitted(this.canvas);
    const values = this.#values;
    if (values.length < 2) return;
    const top = Math.max(this.ceiling, ...values);
    const x = (/** @type {number} */ index) => 2 + (index * (width - 4)) / (this.length - 1);
    const y = (/** @type {number} */ value) => height - 2 - (value / top) * (height - 5);
    context.beginPath();
    values.forEach((value, index) => context.lineTo(x(index), y(value)));
    context.strokeStyle = colour;
    context.lineWidth = 1.5;
    context.lineJoin = "round";
    context.stroke();
    context.lineTo(x(values.length - 1), height);
    context.lineTo(x(0), height);
    context.globalAlpha = 0.14;
    context.fillStyle = colour;
    context.fill();
    context.globalAlpha = 1;
    context.beginPath();
    context.arc(x(values.length - 1), y(values[values.length - 1]), 2.2, 0, 7);
    context.fill();
  }
}

/** Loudness of the speech, one bar every 50 ms; what was heard is solid, what is to come is faint. */
export class Wave {
  /** @type {number[]} */
  #peaks = [];
  #peak = 0;
  #samples = 0;

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
  }

  clear() {
    this.#peaks = [];
    this.#peak = 0;
    this.#samples = 0;
    this.draw(0);
  }

  /**
   * @param {Float32Array} samples
   * @param {number} sampleRateHz
   */
  add(samples, sampleRateHz) {
    const barSamples = Math.round(BAR_S * sampleRateHz);
    for (const sample of samples) {
      this.#peak = Math.max(this.#peak, Math.abs(sample));
      this.#samples += 1;
      if (this.#samples === barSamples) {
        this.#peaks.push(this.#peak);
        this.#peak = 0;
        this.#samples = 0;
      }
    }
  }

  /** @param {number} playheadS */
  draw(playheadS) {
    const { context, width, height, colour } = fitted(this.canvas);
    if (this.#peaks.length === 0) return;
    const scale = width / (WAVE_BEFORE_S + WAVE_AFTER_S);
    const head = WAVE_BEFORE_S * scale;
    const bar = BAR_S * scale;
    const first = Math.floor((playheadS - WAVE_BEFORE_S) / BAR_S);
    const last = Math.ceil((playheadS + WAVE_AFTER_S) / BAR_S);
    context.fillStyle = colour;
    for (let index = first; index <= last; index += 1) {
      const tall = Math.max(QUIET, this.#peaks[index] ?? 0) * (height - 6);
      const left = head + (index * BAR_S - playheadS) * scale;
      context.globalAlpha = this.#peaks[index] === undefined ? 0.15 : left <= head ? 0.85 : 0.3;
      context.beginPath();
      context.roundRect(left + bar * 0.2, (height - tall) / 2, bar * 0.6, tall, bar * 0.3);
      context.fill();
    }
    context.globalAlpha = 1;
    context.fillRect(head - 1, 2, 2, height - 4);
  }
}
