import { post, unique } from "./api.js";
import { fill, h, icon, say } from "./dom.js";
import { bytes, counted, lasting, rate } from "./format.js";
import { howMany } from "./new_view.js";
import { attempt, copy, notice, sentence } from "./notices.js";
import { previewBar } from "./preview.js";

const CHECK_MS = 250;
const PLAN_MS = 700;

/** What a job will be, before it is queued: refusals, plan, estimate, preview, the command line, and the button. */
export function summary(store, draft, signal) {
  return new Summary(store, draft, signal).element;
}

class Summary {
  constructor(store, draft, signal) {
    Object.assign(this, { store, draft, signal, asked: null, timer: 0, planned: null });
    this.wrong = h("p.error-box", { role: "alert", hidden: true });
    this.replace = h("button", { type: "button", hidden: true, onclick: () => draft.replace(true) }, "Replace it");
    this.facts = h("dl.facts");
    this.notes = h("ul.notes", { hidden: true });
    this.command = h("code", { tabindex: "0", "aria-label": "Command line" });
    this.more = h("p.quiet");
    this.estimate = h("button.quiet-button", { type: "button", onclick: () => attempt(() => this.plan()) }, "Estimate");
    this.go = h(
      "button.primary.block",
      { type: "button", onclick: () => attempt(() => this.queue()) },
      "Add to the queue",
    );
    this.preview = previewBar(store, draft, signal);
    this.element = this.build();
    for (const topic of ["inputs", "settings"]) draft.addEventListener(topic, () => this.later(), { signal });
    signal.addEventListener("abort", () => this.stop());
    this.later();
  }

  build() {
    const head = h("div.card-head", {}, h("h2", { id: "summary-title" }, "What it takes"), this.estimate);
    const copying = h(
      "button.quiet-button",
      { type: "button", onclick: () => attempt(() => copy(this.command.textContent)) },
      icon("copy"),
      "Copy",
    );
    this.shell = h(
      "div.command",
      {},
      h("div.card-head", {}, h("h3", {}, "Command line"), copying),
      h("pre", {}, this.command),
      this.more,
    );
    return h(
      "aside.summary.card",
      { "aria-labelledby": "summary-title" },
      head,
      this.wrong,
      this.replace,
      this.facts,
      this.notes,
      this.preview.element,
      this.shell,
      this.go,
    );
  }

  stop() {
    clearTimeout(this.timer);
    this.asked?.abort();
  }

  /** Asks again when nothing has changed for a moment. */
  later() {
    this.stop();
    this.asked = new AbortController();
    this.show({ state: this.draft.inputs.length ? "waiting" : "empty" });
    if (this.draft.ready().length) this.timer = setTimeout(() => this.check(), CHECK_MS);
  }

  async check() {
    const [input] = this.draft.ready();
    try {
      const checked = await post("/check", this.draft.body(input), { signal: this.asked.signal });
      this.draft.checked = checked;
      this.show({ state: "ok", checked });
      if (this.isQuick()) this.timer = setTimeout(() => attempt(() => this.plan()), PLAN_MS);
    } catch (problem) {
      if (problem.name !== "AbortError") this.show({ state: "refused", problem });
    }
  }

  /** Large models take long to load; for them the estimate is made when it is asked for. */
  isQuick() {
    return ["small", "tiny"].includes(this.draft.settings.method ?? this.store.schema.properties.method.default);
  }

  async plan() {
    const [input] = this.draft.ready();
    this.estimate.disabled = true;
    this.facts.setAttribute("aria-busy", "true");
    try {
      const planned = await post("/plan", this.draft.body(input), { signal: this.asked.signal });
      this.show({ state: "planned", checked: planned, planned });
    } catch (problem) {
      if (problem.name !== "AbortError") this.show({ state: "refused", problem });
    } finally {
      this.facts.removeAttribute("aria-busy");
      this.estimate.disabled = false;
    }
  }

  show({ state, checked, planned, problem }) {
    const { draft } = this,
      whole = draft.inputs.length > 0 && draft.ready().length === draft.inputs.length;
    this.wrong.hidden = !problem;
    say(this.wrong, problem ? sentence(problem) : "");
    this.replace.hidden = !/--overwrite/.test(problem?.message);
    this.go.disabled = state === "empty" || state === "refused" || !whole;
    say(
      this.go,
      draft.inputs.length && !whole
        ? "Waiting for the upload ..."
        : `Add ${howMany(draft.inputs) || "it"} to the queue`.replace("Add it to", "Add to"),
    );
    this.estimate.hidden = state !== "ok" && state !== "planned";
    this.preview.show(draft.ready()[0] ?? null, state !== "refused" || problem.code === "output", planned?.clip);
    if (state === "planned" || state === "empty" || state === "refused") fill(this.facts, rows(planned));
    else if (!this.facts.children.length) fill(this.facts, rows(null));
    const told = new Set([...(planned?.warnings ?? []), ...(checked?.notes ?? [])]);
    fill(
      this.notes,
      [...told].map((note) => h("li", {}, note)),
    );
    this.notes.hidden = !this.notes.children.length;
    say(this.command, checked?.command ?? (state === "empty" ? "limpid upscale film.mp4" : this.command.textContent));
    say(this.more, draft.ready().length > 1 ? "For the first file; the others differ in their names only." : "");
  }

  async queue() {
    const { draft } = this,
      inputs = draft.ready();
    this.go.disabled = true;
    let done = 0;
    for (const input of inputs) {
      input.idempotency ??= unique();
      const job = await this.create(input);
      if (job) [done] = [done + 1, draft.taken(input)];
    }
    if (done) notice(`${counted(done, "job")} added to the queue.`, "good");
    if (done) draft.replace(false);
    if (!draft.inputs.length) location.hash = "#/";
    else this.later();
  }

  async create(input) {
    try {
      return await post("/jobs", this.draft.body(input), { headers: { "Idempotency-Key": input.idempotency } });
    } catch (problem) {
      input.error = sentence(problem);
      input.idempotency = undefined;
      notice(`${input.name}: ${input.error}`, "error");
      return null;
    }
  }
}

/** Time, memory and disk, with dashes while they are unknown, so that nothing moves when they come. */
function rows(planned) {
  const { clip, plan, estimate } = planned ?? {},
    pair = (name, value) => [h("dt", {}, name), h("dd", {}, value ?? "–")];
  return [
    pair("Input", clip && `${clip.width} × ${clip.height}`),
    pair("Frames", clip?.num_frames?.toLocaleString("en")),
    pair("Time", estimate && lasting(estimate.seconds)),
    pair("Speed", estimate && rate(estimate.frames_per_s)),
    pair("Memory", plan && bytes(plan.peak_bytes)),
    pair("Result", estimate && bytes(estimate.output_bytes)),
    pair("While it runs", estimate && bytes((estimate.segment_bytes ?? 0) + (estimate.output_bytes ?? 0))),
    pair("Free disk", estimate && bytes(estimate.free_bytes)),
  ];
}
