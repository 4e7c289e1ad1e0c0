/* One time for all videos of a stage: a bar to scrub, play and pause, one frame on or back. */

import { button, clamp, el } from "./dom.js";

/** @typedef {Partial<Record<"play" | "pause" | "time" | "earlier" | "later", string>>} Words */
/** @typedef {{ paint: () => void, settled: () => void }} Stage what is told: a video has its size, a time was chosen */

/**
 * The middle of the frame at a time: at its border a browser may show the one before.
 *
 * @param {number} at
 * @param {number} rate
 * @param {number} duration
 */
export function middle(at, rate, duration) {
  return Math.min((Math.floor(at * rate + 1e-6) + 0.5) / rate, Math.max(0, duration - 0.5 / rate));
}

export class Clock {
  at = 0;
  length = 0;
  rate = 24;
  playing = false;
  tick = 0;
  /** @type {HTMLVideoElement[]} */
  videos = [];

  /**
   * @param {Stage} stage
   * @param {Words} words
   */
  constructor(stage, words) {
    this.stage = stage;
    this.words = words;
    this.button = button("▶", words.play ?? "", () => this.toggle());
    this.range = el("input", { type: "range", min: "0", max: "1000", step: "1", value: "0", "aria-label": words.time });
    this.range.oninput = () => {
      const wanted = Number(this.range.value) / 1000; // to pause puts the bar where the time is
      this.pause();
      this.seek(wanted * this.length);
    };
    this.range.onchange = () => this.stage.settled();
    this.text = el("span", { className: "time" });
    const earlier = button("‹", words.earlier ?? "", () => this.step(-1)),
      later = button("›", words.later ?? "", () => this.step(1));
    this.bar = el(
      "div",
      { className: "clock", role: "group", "aria-label": words.time, hidden: true },
      ...[this.button, earlier, later, this.range, this.text],
    );
  }

  /** @param {{ kind: string, rate?: number | null }[]} layers */
  reset(layers) {
    this.stop();
    this.at = 0;
    this.length = 0;
    this.videos = [];
    this.rate = layers.find(layer => layer.rate)?.rate ?? 24;
    this.bar.hidden = !layers.some(layer => layer.kind === "video");
  }

  /** @param {HTMLVideoElement[]} videos */
  join(videos) {
    this.videos = videos;
    for (const video of videos) {
      const ready = () => {
        this.length = Math.max(this.length, video.duration || 0);
        this.put(video);
        this.stage.paint();
        this.tell();
      };
      if (video.readyState > 0) ready();
      else video.onloadedmetadata = ready;
    }
    if (this.playing) this.play();
  }

  /** @param {HTMLVideoElement} video */
  put(video) {
    const wanted = middle(this.at, this.rate, video.duration || 0);
    if (Math.abs(video.currentTime - wanted) > 1e-4) video.currentTime = wanted;
  }

  /** @param {number} at */
  seek(at) {
    this.at = clamp(at, 0, Math.max(0, this.length - 1 / this.rate));
    for (const video of this.videos) if (video.readyState > 0) this.put(video);
    this.tell();
  }

  /** @param {number} by */
  step(by) {
    this.pause();
    this.seek((Math.round(this.at * this.rate) + by) / this.rate);
    this.stage.settled();
  }

  toggle() {
    if (this.playing) {
      this.pause();
      this.stage.settled();
    } else this.play();
  }

  play() {
    this.playing = true;
    if (this.at >= this.length - 1.5 / this.rate) this.seek(0);
    for (const video of this.videos) video.play().catch(() => {});
    cancelAnimationFrame(this.tick);
    const turn = () => {
      if (!this.playing) return;
      this.follow();
      this.tell();
      this.tick = requestAnimationFrame(turn);
    };
    this.tick = requestAnimationFrame(turn);
    this.tell();
  }

  /* The longest video tells the time. Two decoders drift: whoever is more than a frame and a half off is put right. */
  follow() {
    /** @type {HTMLVideoElement | null} */
    let longest = null;
    for (const video of this.videos) if ((video.duration || 0) > (longest?.duration ?? 0)) longest = video;
    if (!longest) return;
    this.at = longest.currentTime;
    for (const video of this.videos) {
      if (video === longest || video.ended || Math.abs(video.currentTime - this.at) <= 1.5 / this.rate) continue;
      video.currentTime = Math.min(this.at, video.duration);
    }
    if (longest.ended) {
      this.pause();
      this.seek(this.length);
    }
  }

  pause() {
    if (!this.playing) return;
    this.stop();
    this.seek(Math.floor(this.at * this.rate + 1e-6) / this.rate);
  }

  stop() {
    this.playing = false;
    cancelAnimationFrame(this.tick);
    for (const video of this.videos) video.pause();
  }

  tell() {
    const label = (this.playing ? this.words.pause : this.words.play) ?? "";
    this.button.textContent = this.playing ? "❚❚" : "▶";
    this.button.title = label;
    this.button.setAttribute("aria-label", label);
    if (this.length) this.range.value = String(Math.round((this.at / this.length) * 1000));
    this.text.textContent = `${this.at.toFixed(2)} / ${this.length.toFixed(2)} s`;
  }
}
