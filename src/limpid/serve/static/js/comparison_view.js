import { Player } from "../viewer/player.js";
import { get, post } from "./api.js";
import { fill, h } from "./dom.js";
import { clock } from "./format.js";
import { attempt, sentence } from "./notices.js";
import { keysHelp, playerParts } from "./player_parts.js";

const AGAIN_MS = 2000;
const PART_S = 10;
const LABELS = ["Input", "Result"];

/**
 * Before and after of a finished job: the player and the places that differ most. Asks the server to make it.
 * @param {import("./store.js").Store} store @param {import("./store.js").Job} job @param {AbortSignal} signal
 * @param {{making?: boolean}} [options] `making`: the server makes it by itself
 */
export function comparisonView(store, job, signal, { making = false } = {}) {
  const box = h("div.comparison"),
    path = `/jobs/${encodeURIComponent(job.id)}/comparison`;
  let timer = 0,
    shown = null;
  const show = (found) => {
    clearTimeout(timer);
    if (found.state === "ready") {
      if (shown === found.video.url) return;
      shown = found.video.url;
      fill(box, readyView(job, found, signal, ask));
    } else if (found.state === "failed")
      fill(box, h("p.error-box", { role: "alert" }, sentence(found.error ?? "the comparison could not be made")));
    else if (found.state === "absent" && !making) attempt(() => ask(0));
    else {
      if (!shown) fill(box, waiting(job));
      timer = setTimeout(look, AGAIN_MS);
    }
  };
  const look = async () => {
    try {
      show(await get(path, signal));
    } catch (problem) {
      if (problem.status === 0) timer = setTimeout(look, AGAIN_MS);
      else if (problem.name !== "AbortError") fill(box, h("p.error-box", { role: "alert" }, sentence(problem)));
    }
  };
  const ask = async (start) => show(await post(path, { start_s: start, seconds: PART_S }));
  store.on("comparison", ({ id }) => id === job.id && look(), signal);
  signal.addEventListener("abort", () => clearTimeout(timer));
  fill(box, waiting(job));
  look();
  return box;
}

function waiting(job) {
  const { element } = playerParts(job.clip ? job.clip.width / job.clip.height : 16 / 9, { film: false });
  const frame = element.firstElementChild;
  fill(
    frame,
    h(
      "div.waiting",
      {},
      h("progress", { "aria-label": "Comparison" }),
      h("p", { role: "status" }, "Preparing before and after ..."),
    ),
  );
  return fill(element, frame);
}

function readyView(job, found, signal, ask) {
  const { element, parts } = playerParts(found.width / found.height, { crops: found.crops.length }),
    data = comparisonOf(found);
  element.classList.toggle("one-frame", found.frames === 1);
  const player = new Player(parts, data),
    stop = () => player.end();
  parts.film.addEventListener(
    "loadeddata",
    () => {
      player.start();
      element.dataset.ready = "yes";
    },
    { once: true },
  );
  parts.film.addEventListener("error", () =>
    player.complain("This browser cannot play H.264. Download the result, or look at the places below."),
  );
  parts.film.src = found.video.url;
  element.addEventListener("keydown", (event) => player.onKey(event));
  signal.addEventListener("abort", stop);
  return [
    element,
    found.whole ? null : partBar(job, found, ask),
    keysHelp(),
    cropsView(found, (n) => player.showCrop(n)),
  ];
}

/** What the server tells, as the player wants it. @returns {import("../viewer/painter.js").Comparison} */
function comparisonOf(found) {
  const { video, crops, first_frame: first } = found;
  return {
    labels: LABELS,
    frames: found.frames,
    first,
    fps: [found.fps, 1],
    columns: video.columns,
    tile: video.tile,
    picture: [video.width, video.height],
    scale: video.width / found.width,
    crops: crops.map(({ x, y, width, height, frame }) => [x, y, width, height, frame]),
  };
}

/** Which part of a long film is shown. */
function partBar(job, found, ask) {
  const length = job.clip?.duration_s ?? 0,
    at = h("input", {
      type: "range",
      id: "part-at",
      min: 0,
      max: Math.max(1, Math.floor(length - PART_S)),
      step: 1,
      value: found.start_s,
    });
  const told = h("output", { for: "part-at" }, clock(found.start_s)),
    go = h("button", { type: "button" }, "Show this part");
  at.addEventListener("input", () => {
    told.value = clock(Number(at.value));
  });
  go.addEventListener("click", () => {
    go.disabled = true;
    go.textContent = "Preparing ...";
    attempt(() => ask(Number(at.value)));
  });
  return h("div.part-bar", {}, h("label", { for: "part-at" }, `${PART_S} seconds from`), at, told, go);
}

function cropsView({ crops }, go) {
  if (!crops.length) return null;
  const one = ({ url }, name) =>
    h("figure", {}, h("img", { src: url, alt: `${name}`, loading: "lazy" }), h("figcaption", {}, name));
  const shown = crops.map((crop, n) =>
    h(
      "li",
      {},
      h("div.pair", {}, one(crop.before, "Input"), one(crop.after, "Result")),
      h("button.quiet-button", { type: "button", onclick: () => go(n) }, `Look at place ${n + 1}`),
    ),
  );
  return h("section.crops", {}, h("h3", {}, "Where they differ most"), h("ul", {}, shown));
}
