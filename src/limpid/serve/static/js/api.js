/** Requests to the server. What it refuses becomes an `ApiError` with its sentence. */

const BASE = "/api/v1";

/** A refusal, or with status 0 no answer at all. */
export class ApiError extends Error {
  /** @param {number} status @param {string} code @param {string} message @param {any} [answer] */
  constructor(status, code, message, answer = null) {
    super(message);
    Object.assign(this, { status, code, answer });
  }
}

/** What is done when a token is needed; the page sets it. */
export const onDenied = { call: () => {} };

async function explained(answer) {
  const told = await answer.json().catch(() => null);
  const { code = "defect", message = `the server answered ${answer.status}` } = told?.error ?? {};
  return new ApiError(answer.status, code, message, told);
}

/**
 * One request; gives the answer, with `ok` true.
 * @param {string} method @param {string} path below /api/v1, with its slash
 * @param {{body?: any, headers?: Record<string, string>, signal?: AbortSignal}} [options] `body`: plain values, or bytes
 */
export async function request(method, path, { body, headers = {}, signal } = {}) {
  const raw = body instanceof Blob;
  const kind = body === undefined ? {} : { "Content-Type": raw ? "application/octet-stream" : "application/json" };
  const options = {
    method,
    headers: { ...kind, ...headers },
    signal,
    body: raw || body === undefined ? body : JSON.stringify(body),
  };
  let answer;
  try {
    answer = await fetch(BASE + path, options);
  } catch (problem) {
    if (problem.name === "AbortError") throw problem;
    throw new ApiError(0, "gone", "the server does not answer");
  }
  if (answer.ok) return answer;
  if (answer.status === 401 && path !== "/session") onDenied.call();
  throw await explained(answer);
}

/** A request whose answer is JSON, or null without content. */
export async function call(method, path, options) {
  const answer = await request(method, path, options);
  return answer.status === 204 ? null : answer.json();
}

export const get = (path, signal) => call("GET", path, { signal });
export const post = (path, body = {}, options = {}) => call("POST", path, { body, ...options });

/** A path's query of those values that are something. */
export function query(values) {
  const given = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

/** Letters that nobody else chose; `crypto.randomUUID` is missing where there is no TLS. */
export function unique() {
  return [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export const fileUrl = (id, name) => `${BASE}/jobs/${encodeURIComponent(id)}/${name}`;
export const pictureUrl = (path, width = 240) => `${BASE}/files/picture${query({ path, width })}`;
