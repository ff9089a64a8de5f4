"""Mirroring, quarter turns and time reversal of clips, with their flows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipFlip:
    """Transposed first, then mirrored; in any order of frames."""

    transposed: bool = False
    mirrored: bool = False
    upside_down: bool = False
    backwards: bool = False

    def frames(self, frames: np.ndarray) -> np.ndarray:
        """``t h w c``, square where it is transposed."""
        frames = frames.swapaxes(1, 2) if self.transposed else frames
        steps = [
            slice(None, None, -1 if flipped else 1) for flipped in (self.backwards, self.upside_down, self.mirrored)
        ]
        return np.ascontiguousarray(frames[tuple(steps)])

    def flows(self, forward: np.ndarray, backward: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Flows ``t-1 2 h w`` of the clip before to those of the turned one: backwards, they change places."""
        turned = self._flow(forward), self._flow(backward)
        return (turned[1], turned[0]) if self.backwards else turned

    def _flow(self, flow: np.ndarray) -> np.ndarray:
        flow = flow.swapaxes(2, 3)[:, ::-1] if self.transposed else flow
        signs = np.array([-1 if self.mirrored else 1, -1 if self.upside_down else 1], np.float32)
        steps = [
            slice(None, None, -1 if flipped else 1)
            for flipped in (self.backwards, False, self.upside_down, self.mirrored)
        ]
        return np.ascontiguousarray(flow[tuple(steps)] * signs[:, None, None])


def draw_flip(random: np.random.Generator) -> ClipFlip:
    """Each of the sixteen is as likely as any other."""
    bits = [bool(bit) for bit in random.integers(0, 2, 4)]
    return ClipFlip(transposed=bits[0], mirrored=bits[1], upside_down=bits[2], backwards=bits[3])
