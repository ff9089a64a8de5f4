import { get, post } from "./api.js";
import { comparisonView } from "./comparison_view.js";
import { openDialog } from "./dialog.js";
import { fill, h, say } from "./dom.js";
import { clock } from "./format.js";
import { attempt, sentence } from "./notices.js";

const LENGTHS = [
  [2, "2 seconds"],
  [0, "one frame"],
  [5, "5 seconds"],
];

/** The choice of a moment, and the button that shows it before and after. */
export function previewBar(store, draft) {
  let input = null,
    duration = null;
  const at = h("input", { type: "range", id: "preview-at", min: 0, max: 60, step: 0.1, value: 0 });
  const told = h("output", { for: "preview-at" }, "0:00.0");
  const length = h(
    "select",
    { "aria-label": "Length of the preview" },
    LENGTHS.map(([seconds, words]) => h("option", { value: seconds }, words)),
  );
  const go = h("button", { type: "button" }, "Preview");
  at.addEventListener("input", () => say(told, clock(Number(at.value), 1)));
  go.addEventListener("click", () =>
    attempt(() => preview(store, draft, { input: input.path, at_s: Number(at.value), seconds: Number(length.value) })),
  );
  const moment = h("div.moment", {}, h("label", { for: "preview-at" }, "At"), at, told);
  const element = h(
    "div.preview-bar",
    {},
    h("h3", {}, "Try one moment first"),
    moment,
    h("div.row-tight", {}, length, go),
  );
  return {
    element,
    show: (given, allowed, clip) => {
      if (given?.path !== input?.path) duration = null;
      input = given;
      duration = clip ? (clip.duration_s ?? 0) : duration;
      go.disabled = !input || !allowed;
      at.max = Math.max(0.1, (duration ?? 60) - 0.1);
      at.disabled = duration === null || duration <= 0.2;
      say(told, clock(Number(at.value), 1));
    },
  };
}

/** Makes a preview and shows it in a dialog; closing ends it. */
async function preview(store, draft, moment) {
  const job = await post("/previews", { ...moment, settings: draft.settings, preset: draft.named() });
  const leave = new AbortController(),
    box = h("div.preview-box");
  openDialog("Preview", [box], {
    wide: true,
    onclose: () => {
      leave.abort();
      if (!["done", "failed", "cancelled"].includes(store.jobs.get(job.id)?.state))
        post(`/jobs/${job.id}/cancel`).catch(() => {});
    },
  });
  const bar = h("progress", { "aria-label": "Preview" }),
    words = h("p.quiet", { role: "status" }, "Starting ...");
  fill(box, h("div.waiting", {}, bar, words));
  let shown = false;
  const show = (now) => {
    if (now.state === "done" && !shown) {
      shown = true;
      fill(box, comparisonView(store, now, leave.signal, { making: true }));
    } else if (now.state === "failed") fill(box, h("p.error-box", { role: "alert" }, sentence(now.error)));
    else if (now.progress) told(now.progress, bar, words);
  };
  store.on("jobs", (change) => change?.job?.id === job.id && show(change.job), leave.signal);
  store.on("progress", (now) => now.id === job.id && show(now), leave.signal);
  store.put(store.jobs.get(job.id) ?? job);
  show(await get(`/jobs/${job.id}`));
}

/** Puts the progress of a job in a bar and in words. */
export function told(progress, bar, words) {
  const { stage_text: stage, stage: name, done, total } = progress,
    known = total && done !== null && done !== undefined;
  if (known) [bar.max, bar.value] = [total, done];
  else bar.removeAttribute("value");
  say(words, `${stage ?? name}${known ? `: ${done} of ${total} frames` : " ..."}`);
}
