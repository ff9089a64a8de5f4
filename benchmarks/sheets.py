"""Picture sheets: the same crops of several results side by side, and real clips enlarged in several ways.

    python benchmarks/sheets.py CLIPS OUT [--clip NAME:FRAME:TOP:LEFT ...] [--models DIR] [--blind] [--quality 85]

Each clip gives OUT/NAME.jpg: bicubic, animevideov3 (if its files are at hand), and `tiny`, and `small` at
detail 0, the default and detail 1; TOP and LEFT of the crop are in pixels of the result.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from limpid.priors.cleaned import CODEC_BLOCK_PX

Row = dict[str, np.ndarray]
"""RGB uint8 pictures of equal size by name."""
CROP_PX = 200
LINE_PX = 4
FRAMES, SHOWN = 9, 4
WAYS: dict[str, dict[str, object]] = {
    "tiny": {"method": "tiny"},
    "detail 0": {"detail": 0.0},
    "default": {},
    "detail 1": {"detail": 1.0},
}
"""How the clips are enlarged by Limpid, besides the others."""


def write_sheet(
    path: Path,
    rows: Sequence[tuple[str, Row]],
    places: Sequence[tuple[float, float]],
    *,
    blind: bool = False,
    zoom: int = 2,
) -> None:
    """One line of crops per row and place; ``places`` are centres, as parts of height and width."""
    lines, keys = [], []
    for clip, row in rows:
        for place in places:
            names = list(row)
            if blind:
                random.shuffle(names)
            crops = [_enlarged(_around(row[name], place), zoom) for name in names]
            labels = [str(n + 1) for n in range(len(names))] if blind else names
            lines.append(joined([labelled(c, label) for c, label in zip(crops, labels, strict=True)]))
            keys.append(f"{clip} {place}: {', '.join(names)}")
    write(path, stacked(lines))
    if blind:
        Path(f"{path}.key.txt").write_text("\n".join(keys) + "\n")


def _around(picture: np.ndarray, place: tuple[float, float]) -> np.ndarray:
    h, w = picture.shape[:2]
    y, x = (int(np.clip(p * s - CROP_PX / 2, 0, max(0, s - CROP_PX))) for p, s in zip(place, (h, w), strict=True))
    return picture[y : y + CROP_PX, x : x + CROP_PX]


def _enlarged(picture: np.ndarray, zoom: int) -> np.ndarray:
    return np.repeat(np.repeat(picture, zoom, 0), zoom, 1)


def labelled(picture: np.ndarray, label: str) -> np.ndarray:
    out = np.ascontiguousarray(picture)
    for colour, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(out, label, (5, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, thickness, cv2.LINE_AA)
    return out


def joined(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Side by side with white lines between."""
    line = np.full((pictures[0].shape[0], LINE_PX, 3), 255, np.uint8)
    parts = [part for picture in pictures for part in (picture, line)][:-1]
    return np.concatenate(parts, axis=1)


def stacked(lines: Sequence[np.ndarray]) -> np.ndarray:
    """One below the other; narrower ones are filled with white."""
    width = max(line.shape[1] for line in lines)
    filled = [np.pad(x, ((0, LINE_PX), (0, width - x.shape[1]), (0, 0)), constant_values=255) for x in lines]
    return np.concatenate(filled)[:-LINE_PX]


def write(path: Path, picture: np.ndarray, quality: int = 92) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])


# ------------------------------------------------------------------------------------------ real clips


def real_row(lr: np.ndarray, models: Path | None) -> Row:
    """The middle frame of a clip as it is, enlarged in all ways."""
    from rivals import rivals

    import limpid

    row = {name: enlarge(lr[SHOWN : SHOWN + 1])[0] for name, enlarge in rivals(["bicubic"], None).items()}
    for name, enlarge in rivals(["animevideov3"], models).items():
        row[name] = enlarge(lr[SHOWN : SHOWN + 1])[0]
    for name, how in WAYS.items():
        row[name] = list(limpid.restore(iter(lr), fps=25, **how))[SHOWN]  # type: ignore[arg-type]
    return row


def frames_of(path: Path, first: int) -> np.ndarray:
    from limpid.video.roundtrip import decode_frames

    if not path.is_dir():
        return np.stack(decode_frames(path, first, FRAMES))
    files = sorted(path.glob("*.png"))[first : first + FRAMES]
    return np.stack([np.asarray(cv2.imread(str(f)))[..., ::-1] for f in files])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--clip", nargs="+", required=True, metavar="NAME:FRAME:TOP:LEFT")
    parser.add_argument("--models", type=Path)
    parser.add_argument("--blind", action="store_true")
    parser.add_argument("--quality", type=int, default=85)
    options = parser.parse_args()
    for text in options.clip:
        name, first, top, left = text.rsplit(":", 3)
        lr = frames_of(options.clips / name, int(first))
        y, x, margin = int(top) // 4, int(left) // 4, 24
        # blocks lie in the part as in the whole picture
        y0, x0 = (max(0, each - margin) // CODEC_BLOCK_PX * CODEC_BLOCK_PX for each in (y, x))
        size = CROP_PX // 4 * 3 // 2
        part = lr[:, y0 : y + size + margin, x0 : x + size + margin]
        row = real_row(np.ascontiguousarray(part), options.models)
        names = random.sample(list(row), len(row)) if options.blind else list(row)
        oy, ox = (y - y0) * 4, (x - x0) * 4
        crops = [row[n][oy : oy + size * 4, ox : ox + size * 4] for n in names]
        labels = [str(n + 1) for n in range(len(names))] if options.blind else names
        path = options.out / f"{Path(name).stem}.jpg"
        write(path, joined([labelled(c, label) for c, label in zip(crops, labels, strict=True)]), options.quality)
        if options.blind:
            Path(f"{path}.key.txt").write_text(", ".join(names) + "\n")
        print(path, flush=True)


if __name__ == "__main__":
    main()
