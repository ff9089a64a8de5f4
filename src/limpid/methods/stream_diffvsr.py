"""Stream-DiffVSR (arXiv 2512.23709): the SD x4 upscaler in four steps, frame after frame, told the frame before."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from limpid.checkpoints.folders import installed, read_card
from limpid.choices import Flow
from limpid.consistency.previous_frame import PreviousFrame
from limpid.cuts.blended import Blended
from limpid.cuts.cost import Cost
from limpid.diffusion.samplers import DDIM
from limpid.diffusion.schedules import vp_steps
from limpid.flow.estimate import DISFlow, FlowEstimator
from limpid.flow.installed import flow_estimator
from limpid.flow.tiled import TiledFlow
from limpid.method import Method
from limpid.methods.common import STREAM_DIFFVSR_NAME, SUMMARIES, guided, weights_in
from limpid.networks.flow.raft import RAFTFlow
from limpid.priors.load.schedule_config import read_betas, read_schedule
from limpid.priors.load.stream_diffvsr import StreamDiffVSRFiles, load_stream_diffvsr
from limpid.types import Step

_STEPS = 4
_FLOW_UPDATES = 12
"""Updates of RAFT's flow, as many as torchvision's network makes unless it is told otherwise."""
_WORK_BYTES_PER_PX = 75_000
"""Peak memory of one denoiser call with its branch per LR pixel in float32: measured 70 500 at 64x64 px."""
_DECODE_BYTES_PER_PX = 40_000
"""Peak memory of one decoder call per LR pixel in float32, features of the frame before among it: measured 40 400 at
48x48 px, 27 000 at 128x128."""


def stream_diffvsr(*, weights: str | None = None, flow: Flow = "auto") -> Method:
    """The method with its options.

    Raises SettingsError for options that do not go together, WeightsError when the weights are not there.
    """
    folder = installed(STREAM_DIFFVSR_NAME, weights)
    files = StreamDiffVSRFiles(folder=folder)
    return Method(
        name=STREAM_DIFFVSR_NAME,
        summary=SUMMARIES[STREAM_DIFFVSR_NAME],
        load=partial(load_stream_diffvsr, files),
        scale=4,
        steps=int(read_card(folder).defaults.get("steps", _STEPS)),
        make_schedule=partial(stream_schedule, folder),
        sampler=DDIM(),
        strategy=PreviousFrame(estimator=_estimator(flow, folder)),
        cuts=_CUTS,
        color="none",
        cost=Cost(work_bytes_per_px=_WORK_BYTES_PER_PX, decode_bytes_per_px=_DECODE_BYTES_PER_PX),
        weights=weights_in(folder, files.parameter_bytes()),
        **guided(None, windows=False),
    )


_CUTS = Blended(
    window_frames=1,
    tile_overlap_px=64,
    tile_weights="gaussian",
    decode_frames=1,
    decode_tile_overlap_px=16,
)
"""One frame at a time, in tiles where memory asks for them; segments are cut anywhere, and make no difference."""


def _estimator(flow: Flow, folder: Path) -> FlowEstimator:
    """Flow between frames of the size of the output. Raises WeightsError where a network is not installed."""
    found = flow_estimator(flow, folder)
    if isinstance(found, DISFlow):
        return replace(found, enlarge=1)  # they are enlarged already
    return TiledFlow(estimator=replace(found, iterations=_FLOW_UPDATES) if isinstance(found, RAFTFlow) else found)


def stream_schedule(folder: Path, num_steps: int) -> tuple[Step, ...]:
    """DDIM's timesteps as the scheduler's config says; the released one is trailing: 999, 749, 499, 249."""
    config = read_schedule(folder / "scheduler")
    betas = read_betas(folder / "scheduler", force_linear=False)
    offset = config.steps_offset if config.spacing == "leading" else 0
    return vp_steps(num_steps, betas, spacing=config.spacing, offset=offset, final_alpha=config.final_alpha)
