"""One pass over the whole input: the exact times of all frames that are shown, the shots, and what is damaged."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import Interpolation, VideoReformatter

from limpid.types import Clip, InputError, Timeline
from limpid.video.cuts import CutDetector, small_size
from limpid.video.decode import Decoder, Shown, field_of
from limpid.video.deinterlace import check_mode
from limpid.video.extras import LOST
from limpid.video.images import scan_images
from limpid.video.joined_files import told_parts
from limpid.video.names import is_still_name
from limpid.video.pixels import FULL, bit_depth, has_alpha, plane_array, stored_size
from limpid.video.side_data import kinds_of
from limpid.video.timestamps import Repaired, last_duration, missing_frames, repair
from limpid.video.tracks import LONGEST_GAP_S

MIN_FRAMES_TO_SEEK = 500
"""Shorter clips are decoded from the start: seeking would save next to nothing."""
_INTERLACED_SHARE = 0.02
_TRIALS = 2
_GAPS_ON_PURPOSE = frozenset({"avi", "gif", "apng"})
"""AVI has no times, its gaps are empty chunks; each picture of an animation says for how long it is shown."""
_NO_SEEKING = frozenset({"mpeg"})
"""MPEG program streams: after a jump into the middle of a pack, FFmpeg gives frames the times of their neighbours."""

_Counted = Callable[[int], None]


def scan(
    clip: Clip, *, deinterlace: str = "auto", detect_cuts: bool = True, on_progress: _Counted | None = None
) -> Timeline:
    """Decode ``clip`` once from end to end and list its frames; ``on_progress`` is told how many there are so far.

    Memory grows by some bytes per frame only. Damaged streams are read as far as they can be, a second time on one
    thread so that the result is repeatable (``on_progress`` starts again at 1), and `Timeline.warnings` tells the loss.
    Raises `InputError` when nothing can be decoded, `SettingsError` for an unknown ``deinterlace``.
    """
    check_mode(deinterlace)
    if clip.kind == "images":
        return scan_images(clip, detect_cuts=detect_cuts, on_progress=on_progress)
    found = _Pass(clip, threads=0, detect_cuts=detect_cuts, on_progress=on_progress)
    if found.damaged:
        found = _Pass(clip, threads=1, detect_cuts=detect_cuts, on_progress=on_progress)
    timeline = found.timeline(deinterlace)
    return doubled(timeline) if deinterlace == "double" else timeline


def doubled(timeline: Timeline) -> Timeline:
    """Every frame as two, the second half way to the next one: an interlaced picture has two moments in it."""
    ends = [*timeline.pts[1:], timeline.pts[-1] + timeline.last_duration]
    return replace(
        timeline,
        pts=tuple(time for a, b in zip(timeline.pts, ends, strict=True) for time in (2 * a, a + b)),
        time_base=timeline.time_base / 2,
        cuts=tuple(2 * cut for cut in timeline.cuts),
        clock_shifts=tuple(2 * shift for shift in timeline.clock_shifts),
        seekable=False,
    )


class _Pass:
    """Everything that one decoding pass finds out."""

    def __init__(self, clip: Clip, *, threads: int, detect_cuts: bool, on_progress: _Counted | None) -> None:
        self.clip = clip
        self.raw: list[int | None] = []
        self.dts: list[int | None] = []
        self.fields: list[int] = []
        self.tags: tuple[int, int] | None = None
        self.retagged_frames = self.deeper_frames = self.seethrough_frames = 0
        self.kinds: set[Any] = set()
        self.checks = array("I")
        self.interlaced_frames = self.resized_frames = 0
        self.final_duration: int | None = None
        self._detector = CutDetector(clip.fps) if detect_cuts else None
        self._shrink = _Shrink(clip)
        with Decoder(clip.path, threads=threads, all_streams=True, stream_index=clip.stream_index) as decoder:
            self.step = 1 / (clip.fps * clip.time_base)
            # Raw streams are counted in frames, whatever times FFmpeg makes up for them.
            self._timed = decoder.stream.time_base == clip.time_base
            self._field = field_of(decoder) if not self._timed else None
            self.container = decoder.container.format.name
            running = bool(decoder.container.format.flags & av.format.Flags.ts_discont.value)
            self.longest_gap = round(LONGEST_GAP_S / self.clip.time_base) if running else None
            self.expected_packets = _expected_packets(decoder)
            for shown in decoder.frames():
                self._take(shown)
                if on_progress is not None:
                    on_progress(len(self.raw))
            self.stats, self.changing_sound = decoder.stats, decoder.sounds.changing
            self.codecs = decoder.codecs.names
            self.lost_packets = _lost_packets(decoder, self.expected_packets)
            self.short_s = _short_by(decoder)
        if self.fields and set(self.fields) != {2}:
            self.raw = [0, *accumulate(self.fields[:-1])]
            self.final_duration = self.fields[-1]
        if not self.raw:
            raise InputError(f"{clip.path}: not one frame can be decoded; the file is damaged")
        self.repaired: Repaired = repair(self.raw, self.dts, self.step, longest_gap=self.longest_gap)
        self.gaps, self.missing = missing_frames(self.repaired.pts, self.step)

    def _take(self, shown: Shown) -> None:
        frame = shown.frame
        self.raw.append(shown.pts if self._timed else None)
        self.dts.append(shown.dts if self._timed else None)
        self.interlaced_frames += frame.interlaced_frame
        self.resized_frames += (frame.width, frame.height) != self._shrink.stored
        self.final_duration = shown.duration if self._timed else None
        if self._field is not None:
            self.fields.append(min(12, max(1, round(shown.duration / self._field))))
        tags = (frame.color_primaries or 2, frame.color_trc or 2)
        self.tags = self.tags or tags
        self.retagged_frames += tags != self.tags
        self.deeper_frames += self.clip.bit_depth <= 8 < bit_depth(frame.format)
        self.seethrough_frames += not self.clip.has_alpha and has_alpha(frame.format)
        self.kinds.update(kinds_of(frame))
        self.checks.append(checksum(frame))
        if self._detector is not None:
            self._detector.push(self._shrink(frame))

    @property
    def damaged(self) -> bool:
        return self.stats.damaged

    def timeline(self, deinterlace: str) -> Timeline:
        interlaced = self.interlaced_frames > _INTERLACED_SHARE * len(self.raw)
        clean = not (self.damaged or self.repaired.synthesised or self.repaired.changed)
        clean = (
            clean
            and self._timed
            and not self.gaps
            and len(self.codecs) == 1
            and all(time is not None for time in self.raw)
        )
        return Timeline(
            pts=tuple(self.repaired.pts),
            time_base=self.clip.time_base,
            cuts=self._detector.finish() if self._detector is not None else (0,),
            last_duration=last_duration(self.repaired.pts, self.final_duration, self.step),
            clock_shifts=self.repaired.restarts,
            changing_sound=self.changing_sound,
            interlaced=interlaced,
            seekable=clean and _seeking_is_sound(self),
            damaged=self.damaged,
            closed_captions=Type.A53_CC in self.kinds,
            warnings=(*self.clip.warnings, *self._losses(), *self._repairs(), *self._oddities(interlaced, deinterlace)),
        )

    def _losses(self) -> Iterable[str]:
        if self.lost_packets:
            lost, of = self.lost_packets, self.expected_packets
            yield f"the file is cut off: about {lost} of {of} frames are missing at its end"
        elif self.short_s > 0:
            frames = round(self.short_s * float(self.clip.fps))
            yield f"the file ends {self.short_s:.1f} s before its header says: about {frames} frames are missing"
        if self.stats.lost_packets:
            yield f"{_count(self.stats.lost_packets, 'part')} of the video could not be decoded (damaged)"
        if self.stats.read_errors:
            yield f"the file could not be read cleanly in {_count(self.stats.read_errors, 'place')}"
        if self.stats.corrupt_frames:
            yield f"{_count(self.stats.corrupt_frames, 'damaged frame')}, used as the decoder could mend them"
        if self.gaps and self.container not in _GAPS_ON_PURPOSE:
            gaps = _count(self.gaps, "gap")
            yield f"about {_count(self.missing, 'frame')} missing in {gaps} of an otherwise constant frame rate"

    def _repairs(self) -> Iterable[str]:
        if self.repaired.synthesised and self._timed:
            yield f"the frames have no timestamps; {self.clip.fps} frames/s is used"
        if self.repaired.restarts:
            times = _count(len(self.repaired.restarts), "time")
            yield f"the clock of the file starts again {times} (joined recordings); the parts follow one another"
        if self.repaired.changed > len(self.repaired.restarts):
            frames = _count(self.repaired.changed - len(self.repaired.restarts), "frame")
            yield f"repaired the times of {frames}, which were missing, doubled or out of order"

    def _oddities(self, interlaced: bool, deinterlace: str) -> Iterable[str]:
        yield from told_parts(Path(self.clip.path), self.container, self.codecs, self.stats)
        if self.resized_frames:
            yield f"{_count(self.resized_frames, 'frame')} of another size than the first, scaled to its size"
        if self.retagged_frames:
            frames = _count(self.retagged_frames, "frame")
            yield f"{frames} with other primaries or another transfer curve than the first; all are taken to be like it"
        if self.deeper_frames:
            frames = _count(self.deeper_frames, "frame")
            yield f"{frames} with more than the 8 bits per channel of the first; all are read with 8 bits"
        if self.seethrough_frames:
            yield f"{_count(self.seethrough_frames, 'frame')} with transparency, which the first lacks; it is left out"
        told = {Type.ICC_PROFILE} if is_still_name(Path(self.clip.path)) else set()  # tags of single pictures are kept
        yield from dict.fromkeys(LOST[kind] for kind in LOST if kind in self.kinds - told)
        if len(self.stats.aspects) > 1:
            shapes = ", then ".join(map(str, self.stats.aspects))
            yield f"the shape of the pixels changes ({shapes}); all frames are shown in the first one"
        if interlaced and deinterlace == "off":
            yield "the video is interlaced and --deinterlace is off: its combing will be upscaled too"
        if not interlaced and deinterlace == "double":
            yield "no frame is marked as interlaced; --deinterlace double makes two of each all the same"
        if interlaced and deinterlace == "auto":
            yield "the video is interlaced; it is deinterlaced, one frame out for each frame in"
        if not interlaced and deinterlace == "auto" and self.clip.field_order in ("tt", "bb", "tb", "bt"):
            yield "the header says interlaced, no frame is marked so; use --deinterlace on if there is combing"


class _Shrink:
    """Frames as small BGR pictures for the search of cuts."""

    def __init__(self, clip: Clip) -> None:
        self.stored = stored_size(clip)
        self._width, self._height = small_size(*self.stored)
        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        if frame.colorspace not in (0, 1, 2, 4, 5, 6, 7, 9):
            frame.colorspace = 1
        small = self._reformatter.reformat(
            frame, self._width, self._height, "bgr24", interpolation=Interpolation.AREA, dst_color_range=FULL, threads=1
        )
        return np.asarray(small.to_ndarray())


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("" if number == 1 else "s")


def checksum(frame: av.VideoFrame) -> int:
    """A number that tells the first plane of two frames apart."""
    if frame.format.has_palette or bit_of(frame) < 8:
        return 0
    return zlib.crc32(np.ascontiguousarray(plane_array(frame, 0)).data)


def bit_of(frame: av.VideoFrame) -> int:
    """Bits of the first component; packed and float formats count as they are."""
    return int(frame.format.components[0].bits)


def _expected_packets(decoder: Decoder) -> int:
    """How many packets the header promises. MP4's count has those that its edit list leaves out, its index has not."""
    if "mov" in decoder.container.format.name:
        return len(decoder.stream.index_entries)
    return int(decoder.stream.frames or 0)


def _lost_packets(decoder: Decoder, expected: int) -> int:
    """How many of them are not there. AVI counts empty chunks too, which say that a picture is shown for longer."""
    found = decoder.stats.packets
    if decoder.container.format.name == "avi" and decoder.stream.time_base and decoder.stream.average_rate:
        found = max(found, round(decoder.stats.video_end_s * decoder.stream.average_rate))
    return max(0, expected - found)


def _short_by(decoder: Decoder) -> float:
    """Seconds by which all streams end before the header's duration; 0 when that is within what rounding explains."""
    container = decoder.container
    if container.duration is None or "mov" in container.format.name or not decoder.stats.end_s:
        return 0.0
    promised = container.duration / av.time_base
    # Some writers count the duration from 0, others from the first frame: only what is missing by both is a loss.
    missing = promised - max(decoder.stats.end_s, decoder.stats.end_s - (container.start_time or 0) / av.time_base)
    return missing if missing > max(0.3, min(2.0, 0.015 * promised)) else 0.0


def _seeking_is_sound(found: _Pass) -> bool:
    """Try a few key frames: from there on, times and pictures must be those of the pass from the start."""
    keys = sorted(set(found.stats.key_pts))
    if len(found.raw) < MIN_FRAMES_TO_SEEK or len(keys) < 4 or found.container in _NO_SEEKING:
        return False
    numbers = {time: number for number, time in enumerate(found.repaired.pts)}
    tried = sorted({keys[2 + (len(keys) - 3) * k // _TRIALS] for k in range(1, _TRIALS + 1)})
    answers = [_same_from(found, numbers, key) for key in tried]
    return False not in answers and True in answers


def _same_from(found: _Pass, numbers: dict[int, int], key: int) -> bool | None:
    """Whether all is the same after a seek to ``key``; None when the file gives no way to get there."""
    with Decoder(found.clip.path, stream_index=found.clip.stream_index) as decoder:
        trusted = decoder.seek_before(key)
        if trusted is None or key not in numbers:
            return None
        last = min(numbers[key] + 32, len(found.raw) - 1)
        expected = None
        for shown in decoder.frames():
            if shown.pts is None or shown.pts < trusted:
                continue
            number = numbers.get(shown.pts)
            if number is None or expected not in (None, number):
                return False
            if checksum(shown.frame) != found.checks[number]:
                return False
            if number >= last:
                return True
            expected = number + 1
    return False
