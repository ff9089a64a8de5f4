import { h, say } from "./dom.js";
import { counted, lasting, rate } from "./format.js";

const STATES = {
  queued: "waiting",
  running: "running",
  paused: "paused",
  done: "done",
  failed: "failed",
  cancelled: "cancelled",
};

/** What a job is doing, in one or two words. @param {import("./store.js").Job} job */
export function stateWords(job) {
  if (job.stopping) return job.stopping === "paused" ? "pausing" : "cancelling";
  return STATES[job.state];
}

/** A badge for the state; the word is there, colour is not needed. */
export function badge() {
  const element = h("span.badge");
  return {
    element,
    show: (job) => {
      element.dataset.state = job.state;
      say(element, stateWords(job));
    },
  };
}

/** Whole frames; tenths where each takes a second or more. @param {number} done @param {number | null} fps */
const doneText = (done, fps) =>
  (fps ?? 0) >= 1
    ? Math.floor(done).toLocaleString("en")
    : done.toLocaleString("en", { maximumFractionDigits: 1 });

/** Bar, stage, frames, rate and time left of a job that runs; each keeps its place while it changes. */
export function meter(label) {
  const bar = h("progress", { max: 1, "aria-label": label });
  const [stage, frames, speed, left] = ["stage", "frames", "speed", "left"].map((name) => h(`span.${name}`));
  const element = h("div.meter", {}, bar, h("div.meter-words", {}, stage, frames, speed, left));
  return {
    element,
    show: (job) => {
      const { done, total, fps, eta_s: eta, stage: name, stage_text: text } = job.progress ?? {},
        known = Boolean(total);
      bar.max = known ? total : 1;
      if (known || job.state !== "running") bar.value = known ? done : 0;
      else bar.removeAttribute("value");
      say(stage, job.stopping ? `${stateWords(job)} ...` : (text ?? name ?? "starting"));
      say(frames, known ? `${doneText(done, fps)} of ${counted(total, "frame")}` : "");
      say(speed, job.state === "running" ? rate(fps) : "");
      say(left, job.state === "running" && eta !== null && eta !== undefined ? `${lasting(eta)} left` : "");
    },
  };
}
