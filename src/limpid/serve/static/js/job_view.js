import { fileUrl, request } from "./api.js";
import { act, buttonsOf } from "./actions.js";
import { comparisonView } from "./comparison_view.js";
import { fill, h, icon, say } from "./dom.js";
import { bytes, inShort, lasting, rate, when } from "./format.js";
import { latestView } from "./latest_view.js";
import { attempt, copy, sentence } from "./notices.js";
import { badge, meter } from "./progress.js";

/** One job: what it does now, and afterwards before and after. @type {import("./main.js").View} */
export function jobView({ store, draft, main, signal, id }) {
  fill(main, h("h1", {}, "Job"), h("p.quiet", {}, "Loading ..."));
  store.job(id).then(
    (job) => signal.aborted || build(job, { store, draft, main, signal }),
    (problem) =>
      signal.aborted || fill(main, h("h1", {}, "Job"), h("p.error-box", { role: "alert" }, sentence(problem))),
  );
}

function build(job, { store, draft, main, signal }) {
  document.title = `${job.name} · Limpid`;
  const mark = badge(),
    about = h("p.quiet"),
    buttons = h("div.actions"),
    bar = meter(`Progress of ${job.name}`),
    wrong = h("p.error-box", { role: "alert", hidden: true });
  const look = h("div.look"),
    facts = h("dl.facts.wide"),
    notes = h("ul.notes"),
    text = h("code"),
    log = logView(job);
  const copying = h(
    "button.quiet-button",
    { type: "button", onclick: () => attempt(() => copy(text.textContent)) },
    icon("copy"),
    "Copy",
  );
  const command = h(
    "div.command",
    {},
    h("div.card-head", {}, h("h3", {}, "The same on the command line"), copying),
    h("pre", { tabindex: "0" }, text),
  );
  fill(
    main,
    h("div.page-head", {}, h("div", {}, h("div.title", {}, h("h1", {}, job.name), mark.element), about), buttons),
    bar.element,
    wrong,
    look,
    h("section.card", {}, h("h2", {}, "About this job"), facts, notes, command, log.element),
  );
  const update = (now) => {
    mark.show(now);
    bar.show(now);
    bar.element.hidden = now.state !== "running" && now.state !== "paused";
    say(about, inShort(now.settings));
    wrong.hidden = now.state !== "failed";
    say(wrong, now.error ? sentence(now.error) : "");
    fill(facts, factsOf(now));
    fill(
      notes,
      [...now.warnings, ...now.notes].map((note) => h("li", {}, note)),
    );
    notes.hidden = !notes.children.length;
    say(text, now.command);
  };
  const changed = (now) => {
    const own = buttonsOf(now, () => {
        location.hash = "#/";
      }),
      others = mainButtons(store, draft, now);
    fill(buttons, now.state === "done" ? [others, own] : [own, others]);
    if (look.dataset.state !== now.state) fill(look, lookOf(store, now, signal));
    look.dataset.state = now.state;
    log.element.open ||= now.state === "failed";
    update(now);
  };
  store.on(
    "jobs",
    (change) => {
      if (change?.removed === job.id) location.hash = "#/";
      else if (change?.job?.id === job.id) changed(change.job);
      else if (!change && store.jobs.has(job.id)) changed(store.jobs.get(job.id));
    },
    signal,
  );
  for (const topic of ["progress", "segment"]) store.on(topic, (now) => now.id === job.id && bar.show(now), signal);
  changed(job);
}

/** What is to be seen of a job in its state. */
function lookOf(store, job, signal) {
  if (job.state === "running" || job.state === "paused") return latestView(store, job, signal);
  if (job.state === "done" && job.result?.exists) return comparisonView(store, job, signal);
  return null;
}

function mainButtons(store, draft, job) {
  const again = h("button", { type: "button", onclick: () => draft.again(job) }, "Again with other settings");
  if (job.state !== "done" || !job.result?.exists) return [again];
  const file = job.result.kind !== "folder",
    link = (href, words, props = {}) => h("a.button", { href, ...props }, words);
  return [
    file
      ? link(`${fileUrl(job.id, "result")}?download=true`, "Download", { class: "button primary", download: true })
      : null,
    store.server.can_open_folder
      ? h("button", { type: "button", onclick: () => act(job, "open") }, "Open folder")
      : null,
    job.result.has_sidecar
      ? link(fileUrl(job.id, "sidecar"), "Sidecar", { download: true, title: "The .limpid.json beside the result" })
      : null,
    again,
  ];
}

/** @param {import("./store.js").Job} job */
function factsOf(job) {
  const { clip, result, estimate } = job,
    pair = (name, value) => (value ? [h("dt", {}, name), h("dd", {}, value)] : []);
  return [
    pair("Input", job.input),
    pair("Result", job.output),
    pair(
      "Picture",
      clip &&
        `${clip.width} × ${clip.height}, ${Number(ratio(clip.fps))
          .toPrecision(4)
          .replace(/\.?0+$/, "")} frames/s, ${clip.codec ?? "images"}`,
    ),
    pair("Length", clip?.duration_s && lasting(clip.duration_s)),
    pair("Added", when(job.created_at)),
    pair("Started", when(job.started_at)),
    pair("Ended", when(job.ended_at)),
    pair("Took", result && `${lasting(result.seconds)}, ${rate(result.fps)}`),
    pair("Size", result?.exists && bytes(result.size_bytes)),
    pair("Estimate", !result && estimate && lasting(estimate.seconds)),
    pair("Attempt", job.attempt > 1 && String(job.attempt)),
    pair("Preset", job.preset),
  ];
}

/** A frame rate as the server writes it: 24 or 30000/1001. */
function ratio(text) {
  const [above, below = 1] = String(text ?? 0)
    .split("/")
    .map(Number);
  return above / below;
}

/** What the process said, loaded when it is opened. */
function logView(job) {
  const text = h("pre.log", { tabindex: "0", "aria-label": "Log" }, "Loading ...");
  const load = () =>
    element.open &&
    attempt(async () => {
      say(text, (await (await request("GET", `/jobs/${encodeURIComponent(job.id)}/log`)).text()) || "It said nothing.");
    });
  const element = h("details.more", { ontoggle: load }, h("summary", {}, "Log"), text);
  return { element };
}
