/** Owns the form: which portrait, speech and preset are chosen, by click, keyboard or drop. Never starts anything. */

import { fileSpeech, microphoneSpeech, textSpeech, voices } from "./speech.js";

const SAMPLE_PORTRAIT = "/sample/portrait.png";
const SAMPLE_SPEECH = "/sample/speech.wav";
const PICTURES = /^image\/(jpeg|png|webp)$/;
const MOST_PICTURE_BYTES = 10 * 1024 * 1024;
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
  /** Resolves once the last picture was looked at. */
  #looking = Promise.resolve();
  #canSay = false;
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
    this.#listVoices();
  }

  /** Whether text can be spoken here. */
  get canSay() {
    return this.#canSay;
  }

  /** Whether nothing can be chosen now. */
  get isLocked() {
    return this.#form.querySelector("fieldset")?.disabled ?? false;
  }

  /** @param {boolean} locked */
  set isLocked(locked) {
    for (const fieldset of this.#form.querySelectorAll("fieldset")) fieldset.disabled = locked;
    this.#form.classList.toggle("talking", locked && this.talks);
    element("text", HTMLTextAreaElement).disabled = locked && !this.talks;
    element("voice", HTMLSelectElement).disabled = locked && !this.talks;
  }

  /**
   * @returns {Promise<Blob>}
   * @throws {Error} if there is none yet
   */
  async portrait() {
    await this.#looking;
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
    if (chosen === "text") return textSpeech(element("text", HTMLTextAreaElement).value, element("voice", HTMLSelectElement).value);
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
        this.#choose("portrait");
        this.#looking = this.#look(file);
      } else if (SOUNDS.test(file.type)) {
        this.#sound = file;
        this.#choose("speech");
      } else {
        this.listener.onProblem(`${file.name} is neither a JPEG, PNG or WebP picture nor a sound file.`);
      }
    }
    this.#show();
  }

  /** @param {File} picture is taken if it can be read; else the last one stays */
  async #look(picture) {
    try {
      if (picture.size > MOST_PICTURE_BYTES) throw new RangeError("too large");
      (await createImageBitmap(picture)).close();
      this.#picture = picture;
      this.listener.onPortrait();
    } catch (error) {
      const reason = error instanceof RangeError ? "has more than 10 MiB" : "cannot be read as a picture";
      this.listener.onProblem(`${picture.name} ${reason}. Choose a JPEG, PNG or WebP of a face.`);
    }
    this.#show();
  }

  async #listVoices() {
    const found = await voices();
    this.#canSay = found.available;
    const choice = element("text-choice", HTMLElement);
    /** @type {HTMLInputElement} */ (choice.querySelector("input")).disabled = !found.available;
    choice.title = found.available ? "" : `Text cannot be spoken here: ${found.reason}.`;
    const own = navigator.language.toLowerCase();
    const likely = [own, own.split("-")[0], "en-us"].find((each) => found.voices.some(({ language }) => language === each));
    const select = element("voice", HTMLSelectElement);
    select.replaceChildren(...found.voices.map(({ language, name }) => new Option(name, language, false, language === likely)));
    element("text", HTMLTextAreaElement).maxLength = found.max_characters;
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
    element("text", HTMLTextAreaElement).required = this.#canSay && speech === "text"; // so the browser asks for one there
    element("text-box", HTMLElement).hidden = !this.#canSay || (speech !== "text" && speech !== "talk");
    const note = element("text-note", HTMLElement);
    note.textContent = element("text-choice", HTMLElement).title;
    note.hidden = note.textContent === "" || speech !== "talk";
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
