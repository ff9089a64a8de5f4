import { h } from "./dom.js";

const SPEEDS = [0.1, 0.25, 0.5, 1];

/**
 * The elements of a player, as `limpid.viewer` wants them.
 * @param {number} aspect width over height, so that the place is there before the film is
 * @param {{film?: boolean, crops?: number}} [options] `film`: whether there is time to move in
 * @returns {{element: HTMLElement, parts: import("../viewer/player.js").Parts}}
 */
export function playerParts(aspect, { film = true, crops = 0 } = {}) {
  const button = (text, label) => h("button", { type: "button", "aria-label": label }, text);
  const range = (label, props) => h("input", { type: "range", min: 0, "aria-label": label, ...props });
  const name = (side) => h(`span.name-tag.${side}`);
  const parts = {
    screen: h("canvas"),
    edge: h("span.edge"),
    nameLeft: name("left"),
    nameRight: name("right"),
    trouble: h("p.trouble", { role: "alert", hidden: true }),
    wipe: range("Wipe between input and result", { max: 1000, value: 500 }),
    seek: range("Frame", { value: 0, max: 1 }),
    now: h("output.now"),
    play: h("button.play", { type: "button", "aria-pressed": "false" }, "Play"),
    back: button("‹", "One frame back"),
    next: button("›", "One frame on"),
    mode: h(
      "select",
      { "aria-label": "View" },
      [
        ["wipe", "Wipe"],
        ["all", "Side by side"],
        ["difference", "Difference × 4"],
      ].map(([value, text]) => h("option", { value }, text)),
    ),
    part: h(
      "select",
      { "aria-label": "Part of the picture" },
      h("option", { value: "" }, "Whole picture"),
      Array.from({ length: crops }, (_, n) => h("option", { value: n }, `Place ${n + 1}`)),
    ),
    speed: h(
      "select",
      { "aria-label": "Speed" },
      SPEEDS.map((times) => h("option", { value: times, selected: times === 1 }, `${times}×`)),
    ),
    loop: h("input", { type: "checkbox", checked: true }),
    closer: button("+", "Zoom in"),
    wider: button("−", "Zoom out"),
    zoom: h("output.zoom", {}, "1×"),
    film: h("video.film-source", { playsinline: true, preload: "auto", tabindex: "-1", "aria-hidden": "true" }),
  };
  parts.film.muted = true;
  parts.stage = h(
    "div",
    { tabindex: "0", role: "img" },
    parts.screen,
    parts.nameLeft,
    parts.nameRight,
    parts.edge,
    parts.trouble,
  );
  const frame = h("div.stage-frame", {}, parts.stage);
  frame.style.setProperty("--aspect", String(aspect));
  return { element: h("div.player", {}, frame, film ? parts.film : null, controls(parts, film, crops)), parts };
}

function controls(p, film, crops) {
  const zoom = h("span.group", { role: "group", "aria-label": "Zoom" }, p.wider, p.zoom, p.closer);
  const wipe = h("label.wipe-slide", {}, "Wipe", p.wipe);
  const look = h("div.bar", {}, wipe, zoom, film ? p.mode : null, crops ? p.part : null);
  if (!film) return look;
  const time = h(
    "div.bar.time",
    {},
    h("span.group", {}, p.back, p.play, p.next),
    p.now,
    p.speed,
    h("label.check", {}, p.loop, "Loop"),
  );
  return [p.seek, h("div.bars", {}, time, look)];
}

/** What keys do, for those who look for it. */
export function keysHelp() {
  const key = (text) => h("kbd", {}, text);
  return h(
    "p.quiet.keys",
    {},
    key("Space"),
    " plays, ",
    key("←"),
    " ",
    key("→"),
    " step a frame, ",
    key("["),
    " ",
    key("]"),
    " move the wipe, ",
    key("+"),
    " ",
    key("−"),
    " ",
    key("0"),
    " zoom, as a double click and Ctrl with the wheel do; then the picture can be dragged.",
  );
}
