/** Owns the measure of how far the avatar is behind a voice: where what is said and what is heard of it agree best. */

const STEP_MS = 20;
const WINDOW_S = 5;
const LONGEST_S = 1.5;
const LEAST_ALIKE = 0.6;

/** The loudness of one stream, step by step. */
class Ear {
  #analyser;
  #buffer;
  /** @type {number[]} */
  levels = [];

  /**
   * @param {AudioContext} context
   * @param {MediaStream} stream
   */
  constructor(context, stream) {
    this.#analyser = context.createAnalyser();
    this.#analyser.fftSize = 1024;
    this.#buffer = new Float32Array(this.#analyser.fftSize);
    context.createMediaStreamSource(stream).connect(this.#analyser);
  }

  /** @param {number} most steps that are kept */
  listen(most) {
    this.#analyser.getFloatTimeDomainData(this.#buffer);
    let power = 0;
    let peak = 0;
    for (const sample of this.#buffer) {
      power += sample * sample;
      peak = Math.max(peak, Math.abs(sample));
    }
    this.levels.push(Math.sqrt(power / this.#buffer.length));
    if (this.levels.length > most) this.levels.shift();
    return peak;
  }
}

/** Compares the microphone with what the avatar says. */
export class Delay {
  #context = new AudioContext();
  #voice;
  #avatar;
  #timer;

  /**
   * @param {MediaStream} voice of the microphone
   * @param {MediaStream} avatar that comes back
   * @param {(peak: number, seconds: number) => void} onLevel the voice's peak, and for how long
   */
  constructor(voice, avatar, onLevel) {
    this.#voice = new Ear(this.#context, voice);
    this.#avatar = new Ear(this.#context, avatar);
    let last = performance.now();
    this.#timer = setInterval(() => {
      // Timers are late at times: every 20 ms that passed gets its step, so that steps stay time.
      for (const now = performance.now(); now - last >= STEP_MS; last += STEP_MS) {
        onLevel(this.#voice.listen((WINDOW_S * 1000) / STEP_MS), STEP_MS / 1000);
        this.#avatar.listen((WINDOW_S * 1000) / STEP_MS);
      }
    }, STEP_MS);
  }

  /** Seconds that the avatar is behind, over the last 5 s; null while there is too little to compare. */
  get seconds() {
    const voice = this.#voice.levels;
    const avatar = this.#avatar.levels;
    const alike = [];
    for (let lag = 0; lag <= (LONGEST_S * 1000) / STEP_MS; lag += 1) {
      alike.push(correlation(voice.slice(0, voice.length - lag), avatar.slice(lag)));
    }
    const best = alike.indexOf(Math.max(...alike));
    return alike[best] >= LEAST_ALIKE ? ((best + fraction(alike, best)) * STEP_MS) / 1000 : null;
  }

  async close() {
    clearInterval(this.#timer);
    if (this.#context.state !== "closed") await this.#context.close();
  }
}

/**
 * @param {number[]} one
 * @param {number[]} other
 */
function correlation(one, other) {
  const mean = (/** @type {number[]} */ values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [oneMean, otherMean] = [mean(one), mean(other)];
  let [both, first, second] = [0, 0, 0];
  one.forEach((value, index) => {
    const [a, b] = [value - oneMean, other[index] - otherMean];
    both += a * b;
    first += a * a;
    second += b * b;
  });
  return first > 0 && second > 0 ? both / Math.sqrt(first * second) : 0;
}

/**
 * Where between the steps the peak lies: the vertex of the parabola through it and its neighbours.
 *
 * @param {number[]} values
 * @param {number} at
 */
function fraction(values, at) {
  if (at === 0 || at === values.length - 1) return 0;
  const curve = values[at - 1] - 2 * values[at] + values[at + 1];
  return curve < 0 ? (values[at - 1] - values[at + 1]) / (2 * curve) : 0;
}
