/**
 * A file that was dropped or chosen, and the folder it came in.
 * @typedef {{file: File, folder: string | null}} Dropped
 */
/**
 * One clip to upload: a file, or all images of a folder.
 * @typedef {{name: string, files: File[], folder: string | null}} UploadClip
 */

const IMAGES = [".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".avif", ".exr"];

const suffix = (name) => (/\.[^.]+$/.exec(name.toLowerCase()) ?? [""])[0];

/** All files that were dropped, those in folders too. @param {DataTransfer} transfer @returns {Promise<Dropped[]>} */
export async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.());
  const plain = [...transfer.files];
  if (entries.every((entry) => !entry?.isDirectory)) return plain.map((file) => ({ file, folder: null }));
  return (await Promise.all(entries.filter(Boolean).map((entry) => within(entry, null)))).flat();
}

/** @returns {Promise<Dropped[]>} */
async function within(entry, folder) {
  if (entry.isFile) return [{ file: await new Promise((done, failed) => entry.file(done, failed)), folder }];
  const reader = entry.createReader(),
    inside = [];
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) break;
    inside.push(...some);
  }
  return (await Promise.all(inside.map((each) => within(each, entry.name)))).flat();
}

/**
 * Sorts files into clips: videos by themselves, images of a folder without videos together.
 * @param {Dropped[]} files @param {string[]} suffixes of what can be an input
 * @returns {{clips: UploadClip[], refused: string[]}}
 */
export function sorted(files, suffixes) {
  const usable = files.filter(({ file }) => suffixes.includes(suffix(file.name)));
  const refused = files
    .filter((each) => !usable.includes(each))
    .map(({ file }) => file.name)
    .filter((name) => !name.startsWith("."));
  const folders = Map.groupBy ? Map.groupBy(usable, (each) => each.folder) : grouped(usable),
    clips = [];
  for (const [folder, members] of folders) {
    const images = members.filter(({ file }) => IMAGES.includes(suffix(file.name)));
    if (folder !== null && images.length === members.length)
      clips.push({ name: folder, folder, files: images.map(({ file }) => file) });
    else clips.push(...members.map(({ file }) => ({ name: file.name, folder: null, files: [file] })));
  }
  return { clips, refused };
}

function grouped(files) {
  const groups = new Map();
  for (const each of files) groups.set(each.folder, [...(groups.get(each.folder) ?? []), each]);
  return groups;
}
