"""Small priors and strategies with the control flow of the real systems, and answers that can be worked out by hand.

The latent of most fakes is the LR frame itself (3 channels at LR size), and the decoder repeats pixels.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.cuts.base import Cut, Cuts
from limpid.cuts.blended import Blended
from limpid.cuts.cost import Cost
from limpid.cuts.local import Local
from limpid.diffusion.parametrisations import from_x0
from limpid.diffusion.samplers import DDIM, posterior_variance
from limpid.diffusion.schedules import karras_steps
from limpid.method import Bank, Call, Lane, LaneContext, Method, Phase, Prior, Strategy, View, Weights
from limpid.restoration.chunk import Chunk
from limpid.restoration.loop import sample_segment
from limpid.types import Placement, Prediction, Scene, Segment, Step, Tile, Window

SCALE = 2
CPU = Placement(device=torch.device("cpu"), dtype=torch.float32)


def segment_of(core: tuple[int, int], halo: tuple[int, int], shot: tuple[int, int], index: int = 0) -> Segment:
    return Segment(
        index=index,
        shot=0,
        shot_start=shot[0],
        shot_stop=shot[1],
        core=Window(start=core[0], stop=core[1]),
        halo=Window(start=halo[0], stop=halo[1]),
    )


def whole(frames: int) -> Segment:
    return segment_of((0, frames), (0, frames), (0, frames))


def video(frames: int, height: int = 4, width: int = 6, seed: int = 0) -> Tensor:
    return torch.rand(frames, 3, height, width, generator=torch.Generator().manual_seed(seed))


def repeat_pixels(frames: Tensor, scale: int = SCALE) -> Tensor:
    return frames.repeat_interleave(scale, dim=-2).repeat_interleave(scale, dim=-1)


# ------------------------------------------------------------------------------------------------ priors


@dataclass(frozen=True)
class FakeCondition:
    """LR frames as ``1 3 t h w``."""

    lr: Tensor

    def crop(self, window: Window, tile: Tile) -> FakeCondition:
        frames, rows, columns = (
            slice(window.start, window.stop),
            slice(tile.top, tile.bottom),
            slice(tile.left, tile.right),
        )
        return FakeCondition(self.lr[:, :, frames, rows, columns])


class PixelPrior:
    """Says that the clean latent is the LR frame, whatever it sees; ``decode`` repeats pixels."""

    scale = SCALE
    latent_channels = 3
    warnings: tuple[str, ...] = ()

    def latent_size(self, height: int, width: int) -> tuple[int, int]:
        return height, width

    def condition(self, lr: Tensor, scene: Scene | None = None) -> FakeCondition:
        return FakeCondition(lr.transpose(0, 1)[None])

    def encode(self, condition: FakeCondition) -> Tensor:
        return condition.lr

    def clean(self, z: Tensor, step: Step, lr: Tensor) -> Tensor:
        """What the network predicts from ``z`` and LR of one piece, both ``1 3 t h w``."""
        return lr

    def denoise(self, z: Tensor, step: Step, condition: FakeCondition) -> Prediction:
        assert z.shape == condition.lr.shape
        return from_x0(z, self.clean(z, step, condition.lr), step)

    def decode(self, z: Tensor, condition: FakeCondition) -> Tensor:
        assert z.shape == condition.lr.shape
        return repeat_pixels(z[0].transpose(0, 1))


class PooledPrior(PixelPrior):
    """Like a network with norms pooled over its window and tile: the prediction holds their mean, and some noise."""

    def clean(self, z: Tensor, step: Step, lr: Tensor) -> Tensor:
        return 0.5 * lr + 0.25 * lr.mean(dim=(2, 3, 4), keepdim=True) + 0.05 * z / (1 + step.sigma)


class ConvPrior(PixelPrior):
    """A real local network: two 3x3 convolutions, a three-tap one in time between them, zero padding everywhere.

    The decoder is a 3x3 convolution after a three-tap one in time, on LR and latent. One denoiser call sees 2 pixels
    and 1 frame to each side, the decoder 1 and 1.
    """

    def __init__(self, channels: int = 8) -> None:
        generator = torch.Generator().manual_seed(11)

        def weight(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator) / (shape[1] * shape[2] * shape[3]) ** 0.5

        self.first, self.second = weight(channels, 6, 3, 3), weight(3, channels, 3, 3)
        self.last = weight(3 * SCALE**2, 6, 3, 3)

    def clean(self, z: Tensor, step: Step, lr: Tensor) -> Tensor:
        x = self.pair(z / (1 + step.sigma), lr)
        x = mix_time(F.relu(per_frame(x, self.first)))
        return lr + 0.3 * per_frame(x, self.second).transpose(0, 1)[None]

    def decode(self, z: Tensor, condition: FakeCondition) -> Tensor:
        return F.pixel_shuffle(per_frame(mix_time(self.pair(z, condition.lr)), self.last), SCALE)

    def pair(self, z: Tensor, lr: Tensor) -> Tensor:
        return torch.cat([z, lr], dim=1)[0].transpose(0, 1)


def per_frame(x: Tensor, weight: Tensor) -> Tensor:
    """3x3 convolution of ``t c h w``.

    Always of two frames or more: for a single small picture PyTorch leaves oneDNN for a routine that sums in an order
    that depends on the size, and bits could not be compared.
    """
    return F.conv2d(torch.cat([x, x]), weight, padding=1)[: len(x)]


def mix_time(x: Tensor) -> Tensor:
    padded = F.pad(x, (0, 0, 0, 0, 0, 0, 1, 1))
    return 0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]


def cuts_of(changes: dict[str, Any]) -> Cuts:
    """Takes what belongs to the geometry out of the changes of a method."""
    kind = Local if changes.pop("local", False) else Blended
    names = {f.name for f in fields(kind)}
    return kind(**{name: changes.pop(name) for name in list(changes) if name in names})


def cost_of(changes: dict[str, Any]) -> Cost:
    names = {f.name for f in fields(Cost)}
    return Cost(**{name: changes.pop(name) for name in list(changes) if name in names})


def method(prior: Callable[[], Prior] = PixelPrior, **changes: Any) -> Method:
    """A method of `prior`; geometry and cost by the names of their fields, ``local=True`` for a local one."""
    defaults: dict[str, Any] = {
        "name": "fake",
        "summary": "a fake",
        "load": lambda placement: prior(),
        "scale": SCALE,
        "steps": 3,
        "make_schedule": lambda n: karras_steps(n, 0.05, 4.0),
        "sampler": DDIM(),
        "color": "none",
    }
    if "cuts" not in changes:
        changes["cuts"] = cuts_of(changes)
    if "weights_bytes" in changes:
        changes["weights"] = Weights(network_bytes=changes.pop("weights_bytes"))
    return Method(**{**defaults, "cost": cost_of(changes), **changes})


def sample(
    m: Method,
    prior: Prior,
    lr: Tensor,
    segment: Segment,
    *,
    steps: tuple[Step, ...],
    seed: int,
    tile_px: int | None = None,
    window_frames: int | None = None,
    decode_tile_px: int | None = None,
    carry_in: Mapping[str, Tensor] | None = None,
    carry_out: dict[str, Tensor] | None = None,
    on_share: Callable[[float], None] = lambda share: None,
    view: View | None = None,
    **options: Any,
) -> Tensor:
    """`sample_segment` of one segment with pieces of these sizes."""
    chunk = Chunk(
        frames=lr,
        segment=segment,
        carry_in=carry_in or {},
        carry_out={} if carry_out is None else carry_out,
        on_share=on_share,
        view=view,
    )
    cut = Cut(
        tile_px=tile_px or m.cuts.tile_px,
        window_frames=window_frames or m.cuts.window_frames,
        decode_tile_px=decode_tile_px,
    )
    return sample_segment(m, prior, chunk, steps=steps, seed=seed, cut=cut, **options)


def local_method(**changes: Any) -> Method:
    reach = {"reach_px": 2, "reach_frames": 1, "decode_reach_px": 1, "decode_reach_frames": 1}
    return method(ConvPrior, **{"local": True, **reach, **changes})


# -------------------------------------------------------------- Upscale-A-Video: propagation of x0 in the loop


@dataclass(frozen=True, kw_only=True)
class FakePropagation(Strategy):
    """Recurrent fusion along a flow of zero: backward over all frames of the lane, then forward over the result."""

    at_steps: frozenset[int] = frozenset()
    fusion_weight: float = 0.5

    def on_x0(self, x0: Tensor, step: Step, context: LaneContext, state: Any) -> Tensor:
        return fuse_recurrently(x0, self.fusion_weight) if step.index in self.at_steps else x0


def fuse_recurrently(x0: Tensor, weight: float) -> Tensor:
    frames = list(x0.unbind(dim=2))
    for i in range(len(frames) - 2, -1, -1):
        frames[i] = weight * frames[i + 1] + (1 - weight) * frames[i]
    for i in range(1, len(frames)):
        frames[i] = weight * frames[i - 1] + (1 - weight) * frames[i]
    return torch.stack(frames, dim=2)


# ----------------------------------------------------------- MGLD-VSR: a gradient step on the latent each step


@dataclass(frozen=True, kw_only=True)
class FakeMotionGuidance(Strategy):
    """Descends half the squared difference of neighbouring frames by ``strength`` times the posterior variance."""

    strength: float = 0.0

    def on_latent(self, z: Tensor, step: Step, context: LaneContext, state: Any) -> Tensor:
        assert not torch.is_grad_enabled()
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            energy = 0.5 * (z[:, :, 1:] - z[:, :, :-1]).square().sum()
            (gradient,) = torch.autograd.grad(energy, z)
        return z - self.strength * posterior_variance(step) * gradient


# ------------------------------------------------------- DiffVSR: lanes, rescheduled noise, one merge at the end


@dataclass(frozen=True, kw_only=True)
class FakeTransition(Strategy):
    """Lanes of ``length`` that overlap by ``overlap``; later frames take the noise of the first ``length`` frames."""

    length: int = 8
    overlap: int = 4

    def lanes(self, segment: Segment) -> tuple[Lane, ...]:
        stride, stop = self.length - self.overlap, segment.halo.stop
        starts = range(segment.halo.start, max(stop - self.overlap, segment.halo.start + 1), stride)
        return tuple(Lane(window=Window(start=s, stop=min(s + self.length, stop))) for s in starts)

    def noise_frames(self, frames: Sequence[int], segment: Segment, seed: int) -> Sequence[int]:
        return [segment.shot_start + self.source(f - segment.shot_start, seed, segment.shot) for f in frames]

    def source(self, frame: int, seed: int, shot: int) -> int:
        if frame < self.length:
            return frame
        stride = self.length - self.overlap
        block, place = divmod(frame, stride)
        order = random.Random(f"{seed}/{shot}/{block}").sample(range(stride), stride)
        return self.source((block - 2) * stride + order[place], seed, shot)

    def merge(self, left: Tensor, right: Tensor) -> Tensor:
        """DiffVSR Eq. 4."""
        alpha = torch.linspace(1.0, 0.0, left.shape[2]).reshape(1, 1, -1, 1, 1)
        return alpha * left + (1 - alpha) * right


# ------------------------------------------------------------ DC-VSR: attention propagation


@dataclass
class FakeAttentionLayer:
    """Keys are the mean of what the layer sees; the output is the mean of its own keys and of those injected."""

    inject: Callable[[Tensor], Sequence[Tensor]] = field(default=lambda key: ())

    def __call__(self, x: Tensor) -> Tensor:
        key = x.mean()
        return torch.stack([key, *self.inject(key)]).mean().expand_as(x)


class AttentionPrior(PixelPrior):
    """Predicts what its attention layer makes of the LR tile."""

    def __init__(self) -> None:
        self.layers = {"down.0": FakeAttentionLayer()}
        self.fail_at_call: int | None = None
        self.calls = 0

    def clean(self, z: Tensor, step: Step, lr: Tensor) -> Tensor:
        self.calls += 1
        if self.calls == self.fail_at_call:
            raise RuntimeError("the network failed")
        return self.layers["down.0"](lr)


@dataclass(frozen=True)
class FakeAttentionPropagation:
    """SAP at even steps (collect, barrier, apply), TAP at odd ones (windows in order, bank of the one before)."""

    log: list[tuple[Any, ...]] = field(default_factory=list)

    def phases(self, step: Step, tiles: int) -> tuple[Phase, ...]:
        if step.index % 2 == 0:
            return Phase(name="collect", kept=False), Phase(name="apply")
        return (Phase(name="previous"),)

    def descending(self, step: Step) -> bool:
        return step.index % 4 == 3

    @contextmanager
    def patch(self, prior: Prior, bank: Bank, call: Call) -> Iterator[None]:
        assert isinstance(prior, AttentionPrior)
        self.log.append((call.step.index, call.phase.name, call.window, call.tile, call.branch, len(bank)))
        found = {name: layer.inject for name, layer in prior.layers.items()}
        for name, layer in prior.layers.items():
            layer.inject = self._injection(bank, call, name)
        try:
            yield
        finally:
            for name, layer in prior.layers.items():
                layer.inject = found[name]

    def barrier(self, bank: Bank, step: Step, phase: Phase, window: int) -> None:
        self.log.append((step.index, phase.name, window, "barrier"))
        if phase.name == "apply":
            bank.clear()
        if phase.name == "previous":
            fresh = {k[1:]: v for k, v in bank.items() if k[0] == "fresh"}
            bank.clear()
            bank.update(fresh)

    def _injection(self, bank: Bank, call: Call, layer: str) -> Callable[[Tensor], Sequence[Tensor]]:
        def inject(key: Tensor) -> Sequence[Tensor]:
            address = (layer, call.branch, call.tile)
            if call.phase.name == "collect":
                bank[address] = key
                return ()
            if call.phase.name == "apply":
                return [k for (*owner, _), k in bank.items() if owner == [layer, call.branch]]
            bank[("fresh", *address)] = key
            return [bank[address]] if address in bank else []

        return inject
