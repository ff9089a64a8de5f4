import { iconsOf } from "./actions.js";
import { fill, h, icon, iconButton, say } from "./dom.js";
import { bytes, inShort, lasting, when } from "./format.js";
import { picture } from "./new_view.js";
import { sentence } from "./notices.js";
import { badge, meter } from "./progress.js";

/**
 * One job in a list. `update` changes it in place.
 * @param {import("./store.js").Job} job
 * @param {{move?: (id: string, by: number) => void}} [options] `move`: the row can be moved in the queue
 */
export function jobRow(job, { move } = {}) {
  const frame = h("a.thumb", { href: `#/jobs/${job.id}`, tabindex: "-1", "aria-hidden": "true" }, icon("film"));
  const name = h("a.name", { href: `#/jobs/${job.id}` }, job.name),
    about = h("p.about"),
    mark = badge(),
    bar = meter(`Progress of ${job.name}`);
  const buttons = h("div.buttons"),
    grip = move
      ? h("span.grip", { draggable: "true", title: "Drag to another place", "aria-hidden": "true" }, icon("drag"))
      : null;
  const arrows = move
    ? [
        iconButton("up", `Move up: ${job.name}`, () => move(job.id, -1)),
        iconButton("down", `Move down: ${job.name}`, () => move(job.id, 1)),
      ]
    : [];
  const element = h(
    "li.job",
    {},
    grip,
    frame,
    h("div.grow", {}, h("div.title", {}, name, mark.element), about, bar.element),
    h("div.buttons", {}, arrows, buttons),
  );
  let shown = "";
  picture(frame, job.input);
  element.update = (now) => {
    const state = `${now.state} ${now.stopping ?? ""}`;
    element.dataset.state = now.state;
    mark.show(now);
    bar.element.hidden = now.state !== "running" && !(now.state === "paused" && now.progress);
    bar.show(now);
    say(about, aboutOf(now));
    if (state === shown) return;
    shown = state;
    keepingFocus(buttons, () => fill(buttons, iconsOf(now)));
  };
  return element;
}

/** Buttons that change under the finger do not lose the focus: it stays on the one at the same place. */
function keepingFocus(box, change) {
  const place = [...box.children].indexOf(document.activeElement);
  change();
  if (place >= 0) (box.children[place] ?? box.lastElementChild)?.focus({ preventScroll: true });
}

/** The line under the name. @param {import("./store.js").Job} job */
export function aboutOf(job) {
  if (job.state === "failed") return sentence(job.error ?? "it failed");
  const { result } = job,
    settings = inShort(job.settings);
  if (job.state !== "done" || !result) return settings;
  const made = result.exists ? bytes(result.size_bytes) : "the result was moved or deleted";
  return [settings, made, `took ${lasting(result.seconds)}`, when(job.ended_at)].join(" · ");
}
