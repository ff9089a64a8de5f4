import { get } from "./api.js";
import { h, say } from "./dom.js";
import { StillWipe } from "./still_wipe.js";

const AGAIN_MS = 3000;

/** The newest finished segment beside its input, of a job that runs. */
export function latestView(store, job, signal) {
  const still = new StillWipe(),
    words = h("p.quiet", { role: "status" }),
    empty = h("div.stage-frame.placeholder", {}, h("p", {}, "The first finished segment will be shown here."));
  const aspect = job.clip ? job.clip.width / job.clip.height : 16 / 9;
  const element = h(
    "section.latest",
    {},
    h("div.section-head", {}, h("h2", {}, "Newest finished part"), words),
    still.element,
  );
  empty.style.setProperty("--aspect", String(aspect));
  still.element.append(empty);
  let timer = 0,
    shown = null,
    asking = false;
  const look = async () => {
    if (asking || signal.aborted) return;
    asking = true;
    const found = await get(`/jobs/${encodeURIComponent(job.id)}/latest`, signal).catch(() => null);
    asking = false;
    clearTimeout(timer);
    if (found?.state === "making") timer = setTimeout(look, AGAIN_MS);
    const address = found?.stills?.after?.url;
    if (found?.state !== "ready" || address === shown) return;
    shown = address;
    await still.show(found.stills.before.url, address).catch(() => {});
    say(words, `Segment ${found.segment + 1}, frame ${(found.start ?? 0) + found.stills.frame}`);
  };
  store.on("segment", (now) => now.id === job.id && look(), signal);
  signal.addEventListener("abort", () => clearTimeout(timer));
  look();
  return element;
}
