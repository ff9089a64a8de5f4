/** Numbers as people read them. */

const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** Bytes with a decimal unit: 1.54 MB. */
export function bytes(count) {
  if (count === null || count === undefined) return "unknown";
  let value = count,
    unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${unit ? value.toPrecision(3) : value} ${UNITS[unit]}`;
}

/** A length of time: 8 s, 1 min 16 s, 2 h 5 min, 3 d 4 h. */
export function lasting(seconds) {
  if (seconds === null || seconds === undefined) return "unknown";
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

/** A place in a film: 1:02:03.5 or 0:07. */
export function clock(seconds, digits = 0) {
  const whole = Number(seconds.toFixed(digits)),
    h = Math.floor(whole / 3600),
    m = Math.floor((whole % 3600) / 60),
    s = (whole % 60).toFixed(digits);
  const padded = s.padStart(digits ? 3 + digits : 2, "0");
  return h ? `${h}:${String(m).padStart(2, "0")}:${padded}` : `${m}:${padded}`;
}

/** Frames per second, or seconds per frame where it is slow. */
export function rate(fps) {
  if (!fps) return "";
  return fps >= 0.95 ? `${fps.toPrecision(2).replace(/\.0$/, "")} frames/s` : `${(1 / fps).toPrecision(2)} s per frame`;
}

export const counted = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

const TODAY = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const EARLIER = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** When something happened; today only the time. */
export function when(at) {
  if (!at) return "";
  const date = new Date(at * 1000);
  return (date.toDateString() === new Date().toDateString() ? TODAY : EARLIER).format(date);
}

/** The last part of a path. */
export const baseName = (path) =>
  path
    .replace(/[/\\]+$/, "")
    .split(/[/\\]/)
    .pop() || path;

/** The settings of a job in a few words: small · 4× · h264. @param {Record<string, any>} settings */
export function inShort(settings) {
  const { method = "small", scale, height, codec, detail, ...rest } = settings;
  const others = Object.keys(rest).filter((name) => rest[name] !== null).length;
  return [
    method,
    height ? `${height} px high` : `${scale ?? 4}×`,
    codec,
    detail !== null && detail !== undefined && `detail ${detail}`,
    others && `${others} more setting${others === 1 ? "" : "s"}`,
  ]
    .filter(Boolean)
    .join(" · ");
}
