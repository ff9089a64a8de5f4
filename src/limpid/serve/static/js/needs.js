/** What options need of each other and of the method, read from the JSON Schema; the server has the last word. */

/** Names in a sentence: a, b or c. */
export function orList(words) {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}

function has(value, wanted) {
  if (wanted === null) return Boolean(value);
  const parts = typeof value === "string" ? value.split("+") : [value ?? null];
  return parts.some((part) => wanted.includes(part));
}

/**
 * Why an option has no effect with the others as they are; null where it has.
 * @param {Record<string, any>} properties of the schema @param {Record<string, any>} settings @param {string} name
 */
export function unmet(properties, settings, name) {
  const needs = Object.entries(properties[name]["x-needs"] ?? {}).filter(([other]) => other in properties);
  const value = (other) => settings[other] ?? properties[other].default;
  const met = ([other, wanted]) =>
    has(value(other), wanted) || (value(other) === null && !(wanted ?? []).includes(null) && other !== name);
  if (!needs.length || needs.some(met)) return null;
  const words = needs.map(([other, wanted]) => {
    const some = (wanted ?? []).filter((each) => each !== null);
    return wanted === null
      ? `${plain(other)} to be set`
      : some.length
        ? `${plain(other)} ${orList(some)}`
        : `${plain(other)} to be left alone`;
  });
  return `Needs ${orList(words)}.`;
}

/** Whether a method has anything to do with an option. @param {{options?: string[]} | undefined} method */
export function effective(method, name) {
  return !method?.options || method.options.includes(name);
}

const LABELS = {
  crf: "Quality (CRF)",
  dtype: "Number format",
  fps: "Frame rate",
  codec: "Codec",
  detect_cuts: "Detect scene cuts",
  bit_depth: "Bits per channel",
  preset: "Encoder preset",
  color: "Colours",
  detail: "Detail",
  denoise: "Denoise",
  compile: "Compile the network",
  released: "As the released code does",
};
const ENDS = [
  [/_px$/, " (pixels)"],
  [/_frames$/, " (frames)"],
];

export const plain = (name) => name.replaceAll("_", " ");

/** The name of an option as a label. */
export function labelOf(name) {
  if (LABELS[name]) return LABELS[name];
  const [end, unit] = ENDS.find(([each]) => each.test(name)) ?? [/$/, ""];
  const words = plain(name.replace(end, "")) + unit;
  return words.charAt(0).toUpperCase() + words.slice(1);
}
