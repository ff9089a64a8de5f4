"""How a method is cut on one picture size: planning a whole file and streaming both ask here."""

from __future__ import annotations

from fractions import Fraction

from limpid.cuts.base import Sizes
from limpid.cuts.cost import Held
from limpid.diffusion.noise import MOST_WHOLE_VALUES
from limpid.method import Method
from limpid.plan.device import Machine
from limpid.plan.memory import Budget
from limpid.restoration.direct import is_direct
from limpid.restoration.finished import FrameFormat
from limpid.restoration.reach import finish_reach
from limpid.settings import Settings

NCNN_TIMES_MEMORY = 4
"""What `tiny` and `small` take in ncnn over what they take in PyTorch, per value: 4.3 and 6.6 kB per LR pixel were
measured, not 1 and 1.6 kB."""


def sizes_of(
    method: Method,
    settings: Settings,
    machine: Machine,
    *,
    width: int,
    height: int,
    fps: Fraction,
    budget: Budget,
    held: Held,
) -> Sizes:
    """Segments, chunks and tiles for an input of ``width`` x ``height`` and the memory there is."""
    size = {"width": width, "height": height, "fps": fps}
    # ncnn works on several frames at once, each in its own part of the network, with memory for Winograd's transforms.
    value_bytes = machine.torch_dtype.itemsize * (NCNN_TIMES_MEMORY if machine.runtime == "ncnn" else 1)
    return method.cuts.sizes(
        method.demand(
            settings,
            **size,  # type: ignore[arg-type]
            bytes_per_value=value_bytes,
            budget=budget,
            held=held,
            direct=is_direct(method, settings),
        )
    )


def held_frames(
    method: Method, settings: Settings, lr_frame_bytes: int, size: tuple[int, int], out: FrameFormat
) -> Held:
    """What frames take, for LR frames of ``size`` (height and width) that become frames of the format ``out``."""
    canvas = size[0] * size[1] * method.cost.latent_bytes_per_px
    own = size[0] * method.scale, size[1] * method.scale
    return Held(
        lr_frame_bytes=lr_frame_bytes,
        finished_frame_bytes=out.frame_bytes,
        resized=(out.height, out.width) != own,
        margin_px=finish_reach(method.scale, size, out, settings.color or method.color),
        canvas_bytes=canvas if canvas <= 4 * MOST_WHOLE_VALUES else 0,
    )
