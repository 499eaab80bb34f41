/** Owns what a person directs a conversation with: a text to say, mood, head and gaze. Never sends anything itself. */

import { element } from "./form.js";

/**
 * @typedef {object} Listener
 * @property {(text: string, voice: string) => Promise<boolean>} onText is to be said; answers whether it is
 * @property {(changes: object) => void} onControl as the data channel takes it
 */

/** Sliders, by what they turn; each runs from -1 to 1. In radians, as far as a portrait turns. */
const MOST = { pitch: 0.15, yaw: 0.2, x: 0.4, y: 0.3 };

export class Direct {
  #text = element("text", HTMLTextAreaElement);
  #voice = element("voice", HTMLSelectElement);
  #say = element("say", HTMLButtonElement);
  #mood = element("mood", HTMLSelectElement);
  #panel = element("direct", HTMLElement);
  #listener;

  /** @param {Listener} listener */
  constructor(listener) {
    this.#listener = listener;
    this.#say.addEventListener("click", () => this.#speak());
    this.#text.addEventListener("input", () => this.#showRoom());
    this.#text.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || this.#say.hidden) return;
      event.preventDefault();
      this.#speak();
    });
    this.#panel.addEventListener("input", (event) => {
      const { id } = /** @type {HTMLElement} */ (event.target);
      if (id === "mood") listener.onControl({ emotion: this.#mood.value });
      else listener.onControl(id.startsWith("gaze") ? this.#gaze : this.#pose);
    });
    element("straight", HTMLButtonElement).addEventListener("click", () => {
      this.#reset();
      listener.onControl({ ...this.#pose, ...this.#gaze, emotion: this.#mood.value });
    });
  }

  /** @param {boolean} shown */
  set isShown(shown) {
    this.#panel.hidden = !shown;
    this.#say.hidden = !shown;
    if (shown) this.#reset();
  }

  get #pose() {
    return { pose: [slider("head-y") * -MOST.pitch, slider("head-x") * MOST.yaw, 0] };
  }

  get #gaze() {
    return { gaze: [slider("gaze-x") * MOST.x, slider("gaze-y") * -MOST.y] };
  }

  #reset() {
    for (const id of ["head-x", "head-y", "gaze-x", "gaze-y"]) element(id, HTMLInputElement).value = "0";
    this.#mood.value = "neutral";
  }

  async #speak() {
    const text = this.#text.value;
    if (text.trim() === "" || this.#say.disabled) return;
    this.#say.disabled = true;
    try {
      const isSaid = await this.#listener.onText(text, this.#voice.value);
      if (isSaid && this.#text.value === text) this.#text.value = "";
      this.#showRoom();
    } finally {
      this.#say.disabled = false;
      this.#text.focus();
    }
  }

  #showRoom() {
    const left = this.#text.maxLength - this.#text.value.length;
    element("room", HTMLElement).textContent = left < 100 ? `${left} left` : "";
  }
}

/** @param {string} id */
function slider(id) {
  return element(id, HTMLInputElement).valueAsNumber;
}
