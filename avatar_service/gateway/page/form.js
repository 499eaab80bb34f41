/** Owns the form: which portrait, speech and preset are chosen, by click, keyboard or drop. Never starts anything. */

import { fileSpeech, microphoneSpeech } from "./speech.js";

const SAMPLE_PORTRAIT = "/sample/portrait.png";
const SAMPLE_SPEECH = "/sample/speech.wav";
const PICTURES = /^image\/(jpeg|png|webp)$/;
const SOUNDS = /^(audio\/|video\/(webm|mp4|ogg)$)/;

/**
 * @template {HTMLElement} Kind
 * @param {string} id
 * @param {new () => Kind} kind
 * @returns {Kind}
 */
export function element(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new TypeError(`There is no ${kind.name} #${id}.`);
  return found;
}

export class Form {
  /** @type {File | null} */
  #picture = null;
  /** @type {File | null} */
  #sound = null;
  #form = element("form", HTMLFormElement);
  #poster = element("poster", HTMLImageElement);

  /**
   * @param {object} listener
   * @param {() => void} listener.onPortrait another portrait is chosen
   * @param {(text: string) => void} listener.onProblem
   */
  constructor(listener) {
    this.listener = listener;
    this.#form.addEventListener("change", (event) => this.#changed(/** @type {HTMLInputElement} */ (event.target)));
    const screen = element("screen", HTMLElement);
    document.addEventListener("dragover", (event) => {
      event.preventDefault();
      screen.classList.add("dropping");
    });
    document.addEventListener("dragleave", (event) => {
      if (event.relatedTarget === null) screen.classList.remove("dropping");
    });
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      screen.classList.remove("dropping");
      if (!this.isLocked) this.#take([...(event.dataTransfer?.files ?? [])]);
    });
    this.#show();
  }

  /** Whether nothing can be chosen now. */
  get isLocked() {
    return this.#form.querySelector("fieldset")?.disabled ?? false;
  }

  /** @param {boolean} locked */
  set isLocked(locked) {
    for (const fieldset of this.#form.querySelectorAll("fieldset")) fieldset.disabled = locked;
  }

  /**
   * @returns {Promise<Blob>}
   * @throws {Error} if there is none yet
   */
  async portrait() {
    if (this.#chosen("portrait") === "sample") return sample(SAMPLE_PORTRAIT);
    if (this.#picture === null) throw new Error("Choose a picture of a face first.");
    return this.#picture;
  }

  /**
   * @returns {Promise<import("./speech.js").Speech>}
   * @throws {Error} if there is none yet
   */
  async speech() {
    const chosen = this.#chosen("speech");
    if (chosen === "microphone") return microphoneSpeech();
    if (chosen === "sample") return fileSpeech(await sample(SAMPLE_SPEECH));
    if (this.#sound === null) throw new Error("Choose a sound file with speech first.");
    return fileSpeech(this.#sound);
  }

  /** Whether a live conversation is chosen. */
  get talks() {
    return this.#chosen("speech") === "talk";
  }

  /** Whether players of HLS may choose between two pictures. */
  get isAdaptive() {
    return this.#form.querySelector('input[name="abr"]:checked') !== null;
  }

  get preset() {
    return /** @type {import("./take.js").Preset} */ (this.#chosen("preset"));
  }

  /** @param {string} name */
  #chosen(name) {
    /** @type {HTMLInputElement | null} */
    const checked = this.#form.querySelector(`input[name="${name}"]:checked`);
    return checked?.value ?? "";
  }

  /** @param {HTMLInputElement} input */
  #changed(input) {
    if (input.type === "file") this.#take([...(input.files ?? [])]);
    else if (input.name === "portrait") this.listener.onPortrait();
    this.#show();
  }

  /** @param {File[]} files */
  #take(files) {
    for (const file of files) {
      if (PICTURES.test(file.type)) {
        this.#picture = file;
        this.#choose("portrait");
        this.listener.onPortrait();
      } else if (SOUNDS.test(file.type)) {
        this.#sound = file;
        this.#choose("speech");
      } else {
        this.listener.onProblem(`${file.name} is neither a JPEG, PNG or WebP picture nor a sound file.`);
      }
    }
    this.#show();
  }

  /** @param {string} name */
  #choose(name) {
    /** @type {HTMLInputElement} */ (this.#form.querySelector(`input[name="${name}"][value="file"]`)).checked = true;
  }

  #show() {
    const own = this.#chosen("portrait") === "file";
    const speech = this.#chosen("speech");
    element("portrait-picker", HTMLElement).hidden = !own;
    element("speech-picker", HTMLElement).hidden = speech !== "file";
    element("microphone-note", HTMLElement).hidden = speech !== "microphone";
    element("talk-note", HTMLElement).hidden = speech !== "talk";
    element("abr-tick", HTMLElement).hidden = speech === "talk";
    if (!this.isLocked) element("start", HTMLButtonElement).textContent = speech === "talk" ? "Talk" : "Speak";
    if (this.#picture !== null) element("portrait-name", HTMLElement).textContent = this.#picture.name;
    if (this.#sound !== null) element("speech-name", HTMLElement).textContent = this.#sound.name;
    this.#pose(own && this.#picture !== null ? this.#picture : SAMPLE_PORTRAIT);
  }

  /** @param {File | string} picture what waits on the stage */
  #pose(picture) {
    const key = typeof picture === "string" ? picture : `${picture.name} ${picture.size} ${picture.lastModified}`;
    if (this.#poster.dataset.key === key) return;
    if (this.#poster.src.startsWith("blob:")) URL.revokeObjectURL(this.#poster.src);
    this.#poster.dataset.key = key;
    this.#poster.src = typeof picture === "string" ? picture : URL.createObjectURL(picture);
  }
}

/** @param {string} path */
async function sample(path) {
  const response = await fetch(path).catch(() => null);
  if (!response?.ok) throw new Error("The sample cannot be fetched from the server.");
  return response.blob();
}
