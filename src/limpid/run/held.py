"""What a run over files holds besides the work on a tile: frames that wait, decoder and encoder."""

from __future__ import annotations

from dataclasses import replace

from limpid.cuts.cost import Held
from limpid.plan.cores import usable_cores
from limpid.restoration.restorer import Restorer
from limpid.restoration.sizes import held_frames
from limpid.run.encoder_memory import encoder_bytes
from limpid.run.executor import WAITING_PIECES, piece_frames
from limpid.run.feed import WAITING_GROUPS, group_frames
from limpid.types import Clip, OutputSpec, Timeline

DECODE_BYTES_PER_PX, DECODE_THREAD_BYTES_PER_PX = 17.0, 2.6
"""Memory of a decoder per pixel of the input: pictures that it keeps, one that is turned into RGB; and for each of its
threads, which have pictures of their own. Measured (H.264, 1920x1080 and 3840x2160, 1 to 8 threads)."""
MOST_DECODE_THREADS = 16
"""FFmpeg takes one more than there are cores, and no more than these."""
RUN_BYTES = 48 << 20
"""What a run takes whatever the size of its pictures: contexts and threads of codecs, their heaps. Measured."""


def decode_bytes_per_px(cores: int) -> int:
    """Memory of a decoder at 8 bits, per pixel."""
    return round(DECODE_BYTES_PER_PX + DECODE_THREAD_BYTES_PER_PX * min(cores + 1, MOST_DECODE_THREADS))


def held_by_run(clip: Clip, timeline: Timeline, restorer: Restorer, spec: OutputSpec, frames: int) -> Held:
    """``spec``: of the segments, which are encoded while frames are computed; ``frames``: how many are made."""
    deep, channels = 2 if clip.bit_depth > 8 else 1, 4 if clip.has_alpha else 3
    pixels, size = clip.width * clip.height, (clip.height, clip.width)
    held = held_frames(restorer.method, restorer.settings, pixels * deep * channels, size, restorer.format)
    decoder = 0 if clip.kind == "images" else decode_bytes_per_px(usable_cores()) * pixels * deep
    return replace(
        held,
        waiting_lr_frames=WAITING_GROUPS * group_frames(clip.width, clip.height),
        waiting_finished_frames=WAITING_PIECES * piece_frames(held.finished_frame_bytes),
        shot_frames=max(stop - start for start, stop in timeline.shots()),
        codec_bytes=RUN_BYTES + decoder,
        encoder=encoder_bytes(spec),
        encoded_frames=frames,
    )
