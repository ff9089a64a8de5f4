"""What a network for pictures does, found out by running it: how much it enlarges, and how far it looks.

How far it looks decides whether it can be cut into tiles without seams. Deep networks could look very far and hardly
do; so what is asked is what users see: with how much around it does the middle of a picture come out as it does with
much more around it, within a tenth of a level of 255. Pictures are strips, which are looked at along their length:
that is several times cheaper than squares.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from limpid.bounded import json_object, whole_number
from limpid.types import WeightsError

Enlarge = Callable[[np.ndarray], np.ndarray]
"""RGB ``3 h w`` float32 in [0, 1] -> ``3 H W``. Raises WeightsError for a picture that the network cannot take."""
MOST_SCALE, MOST_SHRINK_PX = 8, 512
ALIGNMENTS = (1, 2, 4, 8, 16, 32)
HALOS_PX = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96)
FARTHEST_PX, CORE_PX, STRIP_PX = 112, 8, 24
TOLERANCE = 0.1 / 255


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageNetworkFacts:
    """What is known of an image network once it was probed."""

    scale: int
    """Output pixels per input pixel."""
    shrink_px: int
    """How much smaller than that the output is, pixels along each axis: networks without padding lose their edges."""
    align_px: int
    """Height and width of the input must be multiples of this."""
    halo_px: int | None
    """Input pixels around a pixel that its output depends on visibly; None: more than can be read as a halo."""
    bytes_per_px: int = 0
    """Memory of a call per input pixel; 0: not measured."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_dict(values: object) -> ImageNetworkFacts:
        """Raises ValueError for values that cannot be."""
        found = json_object(values, ("scale", "shrink_px", "align_px", "halo_px", "bytes_per_px"))
        halo = found["halo_px"]
        return ImageNetworkFacts(
            scale=whole_number(found["scale"], least=1, most=MOST_SCALE),
            shrink_px=whole_number(found["shrink_px"], most=MOST_SHRINK_PX),
            align_px=whole_number(found["align_px"], least=1, most=max(ALIGNMENTS)),
            halo_px=None if halo is None else whole_number(halo, most=max(HALOS_PX)),
            bytes_per_px=whole_number(found["bytes_per_px"], most=1 << 24),
        )


def probe_network(enlarge: Enlarge, memory_bytes: Callable[[], int] | None = None) -> ImageNetworkFacts:
    """Runs the network on small pictures of its own making.

    ``memory_bytes``: the most memory that the process had so far. Raises WeightsError for what is no image network.
    """
    random = np.random.default_rng(0)
    scale, shrink, align = _sizes(enlarge, random)
    before = memory_bytes() if memory_bytes else 0
    halo, pixels = _halo(enlarge, random, scale, shrink, align)
    grown = max(memory_bytes() - before, 0) if memory_bytes else 0
    return ImageNetworkFacts(
        scale=scale, shrink_px=shrink, align_px=align, halo_px=halo, bytes_per_px=min(grown // pixels, 1 << 24)
    )


def _sizes(enlarge: Enlarge, random: np.random.Generator) -> tuple[int, int, int]:
    """Scale, shrink and alignment: the least alignment for which the output grows evenly with the input."""
    said: list[str] = []
    for align in ALIGNMENTS:
        short = _multiple(33, align)
        long = short + _multiple(8, align)
        try:
            found = _growth(_shape(enlarge, random, short, long), short, long)
            other = _shape(enlarge, random, long + align, short)
        except WeightsError as error:
            said.append(str(error))
            continue
        if found is not None and other == tuple(found[0] * side - found[1] for side in (long + align, short)):
            return *found, align
        said.append(f"what it makes of {short}x{long} is no enlargement by 1 to {MOST_SCALE}")
    raise WeightsError(f"it is no network that enlarges pictures: {said[0]}")


def _growth(shape: tuple[int, int], short: int, long: int) -> tuple[int, int] | None:
    """Scale and shrink by what became of a picture ``short x long``; None where that is no enlargement."""
    scale, rest = divmod(shape[1] - shape[0], long - short)
    shrink = scale * short - shape[0]
    fits = not rest and 1 <= scale <= MOST_SCALE and 0 <= shrink <= MOST_SHRINK_PX and shrink % 2 == 0
    return (scale, shrink) if fits else None


def _shape(enlarge: Enlarge, random: np.random.Generator, height: int, width: int) -> tuple[int, int]:
    large = enlarge(random.random((3, height, width), np.float32))
    if large.ndim != 3 or large.shape[0] != 3:
        raise WeightsError(f"it makes {'x'.join(map(str, large.shape))} of a picture of 3 channels")
    if not np.isfinite(large).all():
        raise WeightsError("it makes what is no number")
    return large.shape[1], large.shape[2]


def _halo(enlarge: Enlarge, random: np.random.Generator, scale: int, shrink: int, align: int) -> tuple[int | None, int]:
    """How far the network looks, and the pixels of the largest picture that it was shown."""
    edge = _multiple(-(-shrink // (2 * scale)), align)
    farthest, height = _multiple(FARTHEST_PX + edge, 8 * align), _multiple(STRIP_PX + 2 * edge, align)
    width = _multiple(CORE_PX, align) + 2 * farthest
    strips = [random.random((3, height, width), np.float32), _blocks(random, height, width)]
    wanted = [_middle(enlarge(strip), scale, shrink, farthest, 0) for strip in strips]
    for halo in HALOS_PX:
        around = _multiple(halo + edge, align)
        cut = farthest - around
        parts = (np.ascontiguousarray(strip[:, :, cut : width - cut]) for strip in strips)
        found = [_middle(enlarge(part), scale, shrink, farthest, cut) for part in parts]
        if all(np.abs(a - b).max() <= TOLERANCE for a, b in zip(wanted, found, strict=True)):
            return halo, height * width
    return None, height * width


def _middle(large: np.ndarray, scale: int, shrink: int, farthest: int, cut: int) -> np.ndarray:
    """The output of the strip's core; ``cut``: how many input pixels are missing at either end."""
    begin = (farthest - cut) * scale - shrink // 2
    return large[:, :, begin : large.shape[2] - begin]


def _blocks(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Flat blocks with a little noise, nearer to pictures of the world than noise is."""
    coarse = random.random((3, height // 8 + 1, width // 8 + 1), np.float32)
    fine = coarse.repeat(8, 1).repeat(8, 2)[:, :height, :width]
    return np.ascontiguousarray(0.9 * fine + 0.1 * random.random((3, height, width), np.float32), np.float32)


def _multiple(value: int, of: int) -> int:
    return -(-value // of) * of
