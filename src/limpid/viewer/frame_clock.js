import { clamp } from "./view_box.js";

/** Plays a video by whole frames and tells which one is on the screen; browsers themselves only know seconds. */
export class FrameClock {
  /**
   * @param {HTMLVideoElement} film at a constant rate, its first frame at 0
   * @param {number} fps @param {number} last number of the last frame, from 0
   * @param {(frame: number) => void} tell called for each frame that is shown
   */
  constructor(film, fps, last, tell) {
    Object.assign(this, { film, fps, last, tell, frame: 0, wanted: 0, ended: false });
    film.addEventListener("seeked", () => {
      if (film.paused) this.show(this.at(film.currentTime));
    });
    this.follow();
  }

  at(seconds) {
    return Math.floor(seconds * this.fps + 1e-3);
  }

  show(frame) {
    this.frame = clamp(frame, 0, this.last);
    this.tell(this.frame);
  }

  /** Goes to the middle of a frame's time, where no rounding can give its neighbour. */
  seek(frame) {
    this.wanted = clamp(frame, 0, this.last);
    this.film.currentTime = (this.wanted + 0.5) / this.fps;
  }

  /** Pauses, and goes some frames on or back. */
  step(by) {
    this.pauseAt((this.film.seeking ? this.wanted : this.frame) + by);
  }

  pauseAt(frame) {
    this.film.pause();
    this.seek(frame);
  }

  /** Plays or pauses; a promise that fails where the browser cannot play. */
  async toggle() {
    if (!this.film.paused) return this.film.pause();
    if (this.film.ended || this.frame === this.last) this.seek(0);
    return this.film.play();
  }

  follow() {
    if (this.ended) return;
    if (this.film.requestVideoFrameCallback) {
      this.film.requestVideoFrameCallback((_, facts) => {
        this.show(this.at(facts.mediaTime + 0.5 / this.fps));
        this.follow();
      });
    } else {
      if (!this.film.paused) this.show(this.at(this.film.currentTime));
      requestAnimationFrame(() => this.follow());
    }
  }
}
