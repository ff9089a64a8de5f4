import { call, post } from "./api.js";
import { confirmed } from "./dialog.js";
import { h, iconButton } from "./dom.js";
import { attempt } from "./notices.js";

/** @typedef {import("./store.js").Job} Job */

/** Does something with a job; what comes of it comes as an event. */
export const act = (job, name) => attempt(() => post(`/jobs/${encodeURIComponent(job.id)}/${name}`));

/** Forgets a job; asks first where finished work would be lost. */
export async function remove(job) {
  const begun = job.state !== "done" && (job.segments?.done ?? 0) > 0;
  if (
    begun &&
    !(await confirmed(
      "Remove this job?",
      `${job.segments.done} finished segments of ${job.name} are deleted with it.`,
      "Remove",
    ))
  )
    return false;
  return attempt(async () => {
    await call("DELETE", `/jobs/${encodeURIComponent(job.id)}`);
    return true;
  });
}

/**
 * What can be done with a job in its state: icon, name, action.
 * @param {Job} job
 * @returns {[string, string, () => any][]}
 */
export function actionsOf(job) {
  const pause = ["pause", job.state === "queued" ? "Hold back" : "Pause", () => act(job, "pause")],
    cancel = ["close", "Cancel", () => act(job, "cancel")];
  const resume = ["play", "Resume", () => act(job, "resume")],
    again = ["retry", "Try again", () => act(job, "retry")],
    gone = ["close", "Remove", () => remove(job)];
  return {
    running: [pause, cancel],
    queued: [pause, gone],
    paused: [resume, gone],
    failed: [again, gone],
    cancelled: [again, gone],
    done: [gone],
  }[job.state];
}

/** Buttons of icons for a job in a list. @param {Job} job */
export function iconsOf(job) {
  return actionsOf(job).map(([name, label, action]) =>
    iconButton(name, `${label}: ${job.name}`, action, { disabled: Boolean(job.stopping) }),
  );
}

/** Buttons with words for the page of a job. @param {Job} job @param {() => void} gone */
export function buttonsOf(job, gone) {
  return actionsOf(job).map(([name, label, action]) =>
    h(
      "button",
      {
        type: "button",
        disabled: Boolean(job.stopping),
        onclick: async () => {
          if ((await action()) === true && name === "close") gone();
        },
      },
      label,
    ),
  );
}
