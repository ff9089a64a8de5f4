"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const film = $("film"), screen = $("screen"), stage = $("stage"), pen = screen.getContext("2d");
  const fps = data.fps[0] / data.fps[1], last = data.frames - 1;
  const state = { frame: 0, wanted: 0, crop: null };

  // ------------------------------------------------------------------ drawing

  /** The part of the film that source `n` has for the chosen part of the picture: x, y, width, height. */
  function sourceBox(n) {
    const left = (n % data.columns) * data.tile[0], top = Math.floor(n / data.columns) * data.tile[1];
    const [x, y, width, height] = view();
    return [left + x, top + y, width, height];
  }

  function view() {
    const crop = state.crop === null ? null : data.crops[state.crop];
    return crop ? crop.slice(0, 4).map((side) => side * data.scale) : [0, 0, ...data.picture];
  }

  function resize() {
    const [, , width, height] = view(), zoom = Math.max(1, Math.floor(960 / width));
    const columns = $("mode").value === "all" ? Math.ceil(Math.sqrt(data.labels.length)) : 1;
    const rows = columns === 1 && $("mode").value !== "all" ? 1 : Math.ceil(data.labels.length / columns);
    const size = [Math.round(width * zoom), Math.round(height * zoom)];
    Object.assign(state, { columns, size, zoom });
    [screen.width, screen.height] = [size[0] * columns, size[1] * rows];
    stage.className = $("mode").value;
    draw();
  }

  function draw() {
    if (film.readyState < 2 || !state.size) return;
    pen.imageSmoothingEnabled = state.zoom === 1;
    const left = Number($("left").value), right = Number($("right").value);
    const put = (n, x = 0, y = 0) => pen.drawImage(film, ...sourceBox(n), x, y, ...state.size);
    if ($("mode").value === "all") drawAll(put);
    else if ($("mode").value === "difference") {
      put(left);
      pen.globalCompositeOperation = "difference";
      put(right);
      pen.globalCompositeOperation = "source-over";
    } else drawWipe(() => put(left), () => put(right));
  }

  function drawWipe(putLeft, putRight) {
    const at = Math.round(screen.width * $("wipe").value / 1000);
    putRight();
    pen.save();
    pen.beginPath();
    pen.rect(0, 0, at, screen.height);
    pen.clip();
    putLeft();
    pen.restore();
    $("edge").style.left = `${$("wipe").value / 10}%`;
  }

  function drawAll(put) {
    pen.clearRect(0, 0, screen.width, screen.height);
    const text = Math.max(12, Math.round(screen.width / 70));
    pen.font = `${text}px system-ui, sans-serif`;
    data.labels.forEach((label, n) => {
      const x = (n % state.columns) * state.size[0], y = Math.floor(n / state.columns) * state.size[1];
      put(n, x, y);
      pen.fillStyle = "#000a";
      pen.fillRect(x + 6, y + 6, pen.measureText(label).width + text, text * 1.6);
      pen.fillStyle = "#fff";
      pen.fillText(label, x + 6 + text / 2, y + 6 + text * 1.15);
    });
  }

  // --------------------------------------------------------------------- time

  function shown(frame) {
    state.frame = Math.min(last, Math.max(0, frame));
    $("seek").value = state.frame;
    $("now").value = `frame ${data.first + state.frame} (to ${data.first + last})`;
    for (const chart of document.querySelectorAll(".chart")) {
      const from = Number(chart.dataset.left), to = Number(chart.dataset.right);
      const x = from + (to - from) * (last ? state.frame / last : 0);
      chart.querySelector(".now").setAttribute("x1", x);
      chart.querySelector(".now").setAttribute("x2", x);
    }
    draw();
  }

  /** Goes to the middle of a frame's time, where no rounding can give its neighbour. */
  function seek(frame) {
    state.wanted = Math.min(last, Math.max(0, frame));
    film.currentTime = (state.wanted + 0.5) / fps;
  }

  const frameAt = (seconds) => Math.floor(seconds * fps + 1e-3);

  function step(by) {
    film.pause();
    seek((film.seeking ? state.wanted : state.frame) + by);
  }

  function toggle() {
    if (!film.paused) return film.pause();
    if (film.ended || state.frame === last) seek(0);
    film.play().catch((error) => trouble(`The video does not start: ${error.message}`));
  }

  function follow() {
    if (film.requestVideoFrameCallback) {
      film.requestVideoFrameCallback((_, facts) => {
        shown(frameAt(facts.mediaTime + 0.5 / fps));
        follow();
      });
    } else {
      if (!film.paused) shown(frameAt(film.currentTime));
      requestAnimationFrame(follow);
    }
  }

  // ----------------------------------------------------------------- controls

  function choose(side, n) {
    if (n >= data.labels.length) return;
    $(side).value = n;
    named();
  }

  function named() {
    $("name-left").textContent = data.labels[$("left").value];
    $("name-right").textContent = $("mode").value === "difference" ? `minus ${data.labels[$("right").value]}` : data.labels[$("right").value];
    stage.setAttribute("aria-label", `${data.labels[$("left").value]} and ${data.labels[$("right").value]}, ${$("mode").value}`);
    draw();
  }

  function swap() {
    [$("left").value, $("right").value] = [$("right").value, $("left").value];
    named();
  }

  function wipeTo(value) {
    $("wipe").value = value;
    draw();
  }

  function part(value) {
    $("part").value = value;
    state.crop = value === "" ? null : Number(value);
    resize();
  }

  function trouble(sentence) {
    $("trouble").textContent = sentence;
    $("trouble").hidden = false;
  }

  const keys = {
    " ": toggle, ",": () => step(-1), ".": () => step(1), ArrowLeft: () => step(-1), ArrowRight: () => step(1),
    Home: () => seek(0), End: () => { film.pause(); seek(last); }, s: swap, S: swap,
    "[": () => wipeTo(Number($("wipe").value) - 25), "]": () => wipeTo(Number($("wipe").value) + 25),
  };

  function onKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("select")) return;
    const digit = /^Digit([1-9])$/.exec(event.code), control = event.target.closest("input, button");
    const own = control && (event.key === " " || (control.type === "range" && /^(Arrow|Home|End)/.test(event.key)));
    if (own) return;
    if (digit) choose(event.shiftKey ? "right" : "left", digit[1] - 1);
    else if (keys[event.key]) keys[event.key]();
    else return;
    event.preventDefault();
  }

  function drag(event) {
    if (!event.buttons || $("mode").value !== "wipe") return;
    const box = screen.getBoundingClientRect();
    wipeTo(Math.round(1000 * (event.clientX - box.left) / box.width));
  }

  function bind() {
    $("left").onchange = $("right").onchange = named;
    $("mode").onchange = () => { named(); resize(); };
    $("part").onchange = () => part($("part").value);
    $("wipe").oninput = draw;
    $("seek").oninput = () => { film.pause(); seek(Number($("seek").value)); };
    $("play").onclick = toggle;
    $("back").onclick = () => step(-1);
    $("next").onclick = () => step(1);
    $("swap").onclick = swap;
    $("speed").onchange = () => { film.playbackRate = Number($("speed").value); };
    $("loop").onchange = () => { film.loop = $("loop").checked; };
    stage.onpointerdown = stage.onpointermove = drag;
    document.addEventListener("keydown", onKey);
    for (const chart of document.querySelectorAll(".chart")) chart.onclick = (event) => fromChart(chart, event);
    for (const button of document.querySelectorAll("[data-crop]")) button.onclick = () => fromCrop(button.dataset.crop);
  }

  function fromChart(chart, event) {
    const box = chart.getBoundingClientRect(), x = (event.clientX - box.left) * chart.viewBox.baseVal.width / box.width;
    film.pause();
    seek(Math.round(last * (x - chart.dataset.left) / (chart.dataset.right - chart.dataset.left)));
  }

  function fromCrop(n) {
    part(n);
    film.pause();
    seek(data.crops[n][4]);
    stage.scrollIntoView({ block: "center" });
    stage.focus({ preventScroll: true });
  }

  // ------------------------------------------------------------------- begin

  function ready() {
    if (document.documentElement.dataset.ready) return;
    resize();
    shown(0);
    document.documentElement.dataset.ready = "yes";
  }

  /** Some browsers cannot seek in a data URI, but in a blob with the same bytes. */
  function asBlob() {
    film.onerror = () => trouble("This browser cannot play the embedded H.264 video. Crops, curves, profiles and heat maps are below.");
    const text = atob(film.src.slice(film.src.indexOf(",") + 1));
    film.src = URL.createObjectURL(new Blob([Uint8Array.from(text, (c) => c.charCodeAt(0))], { type: "video/mp4" }));
  }

  for (const n of data.crops.keys()) $("part").add(new Option(`crop ${n + 1}`, n));
  $("right").value = Math.min(1, data.labels.length - 1);
  film.loop = true;
  film.onplay = film.onpause = () => {
    $("play").textContent = film.paused ? "Play" : "Pause";
    $("play").setAttribute("aria-pressed", String(!film.paused));
  };
  film.onseeked = () => { if (film.paused) shown(frameAt(film.currentTime)); };
  film.onerror = asBlob;
  film.addEventListener("loadeddata", ready);
  bind();
  named();
  follow();
  if (film.readyState >= 2) ready();
})();
