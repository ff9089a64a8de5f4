"""What a run over files holds besides the work on a tile: frames that wait, decoder and encoder."""

from __future__ import annotations

from dataclasses import replace

from limpid.cuts.cost import Held
from limpid.restoration.restorer import Restorer
from limpid.restoration.sizes import held_frames
from limpid.run.executor import WAITING_PIECES, piece_frames
from limpid.run.feed import WAITING_GROUPS, group_frames
from limpid.types import Clip, OutputSpec, Timeline

DECODE_BYTES_PER_PX = 26
"""Memory of a decoder per pixel of the input: pictures that it keeps, one that is turned into RGB. Measured (H.264)."""
ENCODE_BYTES_PER_PX = {"h264": (14, 9, 12), "h265": (16, 12, 14), "av1": (90, 7, 24)}
"""Memory of an encoder per pixel of the output, by codec: at the least, for each frame that it has seen, and how many
of those it keeps to look ahead. Measured at 8 bits, with noise as pictures."""
ENCODE_BYTES_WITHOUT_LOOKING_AHEAD = 75
RUN_BYTES = 32 << 20
"""What a run takes whatever the size of its pictures: contexts and threads of codecs, their heaps. Measured."""


def encode_bytes_per_px(codec: str, frames: int) -> int:
    """Memory of an encoder that is given so many frames, per pixel of the output."""
    if codec not in ENCODE_BYTES_PER_PX:
        return ENCODE_BYTES_WITHOUT_LOOKING_AHEAD
    least, per_frame, most = ENCODE_BYTES_PER_PX[codec]
    return least + per_frame * min(frames, most)


def held_by_run(clip: Clip, timeline: Timeline, restorer: Restorer, spec: OutputSpec, frames: int) -> Held:
    """``spec``: of the segments, which are encoded while frames are computed; ``frames``: how many are made."""
    deep, channels = 2 if clip.bit_depth > 8 else 1, 4 if clip.has_alpha else 3
    pixels, size = clip.width * clip.height, (clip.height, clip.width)
    held = held_frames(restorer.method, restorer.settings, pixels * deep * channels, size, restorer.format)
    decoder = 0 if clip.kind == "images" else DECODE_BYTES_PER_PX * pixels * deep
    encoder = encode_bytes_per_px(spec.codec, frames) * spec.width * spec.height * (2 if spec.bit_depth > 8 else 1)
    return replace(
        held,
        waiting_lr_frames=WAITING_GROUPS * group_frames(clip.width, clip.height),
        waiting_finished_frames=WAITING_PIECES * piece_frames(held.finished_frame_bytes),
        shot_frames=max(stop - start for start, stop in timeline.shots()),
        codec_bytes=RUN_BYTES + decoder + encoder,
    )
