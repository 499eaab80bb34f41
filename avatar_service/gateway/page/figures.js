/** Owns the figures below the stage, of takes and of conversations: what they say, and their plots. */

import { element } from "./form.js";
import { Sparkline } from "./plots.js";

const OUTPUTS = ["first", "behind", "ahead", "lateness", "talk-first", "talk-behind", "talk-fps", "talk-service"];

export class Figures {
  #take = element("figures", HTMLElement);
  #talk = element("talk-figures", HTMLElement);
  #plots = {
    behind: new Sparkline(element("behind-plot", HTMLCanvasElement), 1.5),
    ahead: new Sparkline(element("ahead-plot", HTMLCanvasElement), 2),
    lateness: new Sparkline(element("lateness-plot", HTMLCanvasElement), 100, 60),
    talkBehind: new Sparkline(element("talk-behind-plot", HTMLCanvasElement), 1, 60),
    talkFps: new Sparkline(element("talk-fps-plot", HTMLCanvasElement), 30, 60),
  };

  /** Forget everything, and show nothing. */
  clear() {
    this.#take.hidden = true;
    this.#talk.hidden = true;
    for (const plot of Object.values(this.#plots)) plot.clear();
    for (const id of OUTPUTS) write(id, "–");
    element("first-note", HTMLElement).textContent = "from the first sound";
  }

  draw() {
    for (const plot of Object.values(this.#plots)) plot.draw();
  }

  /** @param {boolean} isLive how late a frame is means something only where speech comes as it is spoken */
  expect(isLive) {
    element("lateness-figure", HTMLElement).hidden = !isLive;
  }

  /** @param {number} seconds until the first picture of a take */
  showFirst(seconds) {
    this.#take.hidden = false;
    write("first", `${seconds.toFixed(2)} s`);
  }

  /** @param {import("./take.js").Take} take that plays */
  sample(take) {
    const behindS = Math.max(0, take.behindS);
    write("behind", `${behindS.toFixed(2)} s`);
    write("ahead", `${take.aheadS.toFixed(1)} s`);
    this.#plots.behind.add(behindS);
    this.#plots.ahead.add(take.aheadS);
  }

  /** @param {import("./client/client.js").SessionStatus} status */
  showStatus(status) {
    if (typeof status.lateness_ms_p50 === "number") {
      write("lateness", `${Math.round(status.lateness_ms_p50)} ms`);
      this.#plots.lateness.add(status.lateness_ms_p50);
    }
    if (typeof status.first_frame_ms === "number") {
      element("first-note", HTMLElement).textContent = `at the service ${(status.first_frame_ms / 1000).toFixed(2)} s`;
    }
  }

  /** @param {number} seconds until the first picture of a conversation */
  showTalkFirst(seconds) {
    this.#talk.hidden = false;
    write("talk-first", `${seconds.toFixed(2)} s`);
  }

  /** @param {import("./talk.js").Figures} figures */
  showTalk({ behindS, fps, freezes, serviceMs }) {
    if (behindS !== null) {
      write("talk-behind", `${Math.round(behindS * 1000)} ms`);
      this.#plots.talkBehind.add(behindS);
    }
    write("talk-fps", `${Math.round(fps)}`);
    this.#plots.talkFps.add(fps);
    if (serviceMs !== null) write("talk-service", `${Math.round(serviceMs)} ms`);
    const often = freezes === 1 ? "once" : `${freezes} times`;
    element("talk-freezes", HTMLElement).textContent = freezes ? `the picture froze ${often}` : "from sound to picture";
  }
}

/**
 * @param {string} id
 * @param {string} text
 */
function write(id, text) {
  element(id, HTMLOutputElement).value = text;
}
