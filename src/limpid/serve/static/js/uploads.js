import { ApiError, call, get, post, unique } from "./api.js";

const TRIES = 8;
const FIRST_WAIT_MS = 500;

/**
 * Sends a clip in pieces; a piece that failed is sent again from where the server is, and so is a file that this browser
 * had begun to send before. Gives the path that a job takes as its input.
 * @param {import("./dropped.js").UploadClip} clip @param {{piece_bytes: number, upload_bytes: number}} limits
 * @param {(received: number) => void} told bytes of the whole clip @param {AbortSignal} signal
 * @returns {Promise<string>}
 */
export async function upload(clip, limits, told, signal) {
  const together = clip.folder === null ? {} : { batch: unique(), folder: clip.folder };
  let before = 0,
    path = null;
  for (const file of clip.files) {
    const done = await sendFile(file, together, limits, (received) => told(before + received), signal);
    before += file.size;
    path = clip.folder === null ? done.path : done.folder_path;
  }
  return path;
}

async function sendFile(file, together, limits, told, signal) {
  const note = noteOf(file);
  let state =
    (clipAlone(together) && (await begun(note, file))) ||
    (await post("/uploads", { name: file.name, size: file.size, batch: null, folder: null, ...together }, { signal }));
  if (clipAlone(together)) localStorage.setItem(note, state.id);
  signal.addEventListener("abort", () => forget(state.id, note), { once: true });
  told(state.received);
  while (state.state === "open") {
    state = await piece(file, state, limits.piece_bytes, signal);
    told(state.received);
  }
  localStorage.removeItem(note);
  return state;
}

const clipAlone = (together) => !together.batch;
const noteOf = (file) => `limpid.upload ${file.name} ${file.size} ${file.lastModified}`;

/** The upload of the same file that was broken off, or null. */
async function begun(note, file) {
  const id = localStorage.getItem(note);
  const found = id && (await get(`/uploads/${encodeURIComponent(id)}`).catch(() => null));
  return found && found.state === "open" && found.size === file.size ? found : null;
}

async function piece(file, state, most, signal) {
  const path = `/uploads/${encodeURIComponent(state.id)}`;
  for (let tries = 1, wait = FIRST_WAIT_MS; ; tries += 1, wait *= 2) {
    try {
      const body = file.slice(state.received, state.received + most);
      return await call("PUT", `${path}?offset=${state.received}`, { body, signal });
    } catch (problem) {
      const passing = problem instanceof ApiError && [0, 408, 409, 429, 500, 502, 503, 504].includes(problem.status);
      if (!passing || tries === TRIES) throw problem;
      await new Promise((done) => setTimeout(done, wait));
      state = await get(path, signal).catch(() => state);
      if (state.state !== "open") return state;
    }
  }
}

function forget(id, note) {
  localStorage.removeItem(note);
  call("DELETE", `/uploads/${encodeURIComponent(id)}`).catch(() => {});
}
