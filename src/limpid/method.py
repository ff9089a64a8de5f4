"""What a method is made of: sampler, strategy, attention plan, guidance, and the method itself, a plain value.

Nothing here needs torch at run time.
How the parts are driven is `limpid.restoration.loop.sample_segment`, which reads top to bottom.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from limpid.cuts.cost import Cost, Demand, Held

if TYPE_CHECKING:
    from fractions import Fraction

    from torch import Tensor

    from limpid.cuts.base import Cuts
    from limpid.plan.memory import Budget
    from limpid.settings import Settings
    from limpid.types import ColorFix, Placement, Prediction, Scene, Segment, Step, Tile, Window


class Sampler(Protocol):
    """One update of the latent, ``z' = a x0 + b eps (+ noise)``; pure, its memory is the ``state`` it hands back."""

    def step(
        self, z: Tensor, x0: Tensor, eps: Tensor, step: Step, state: Any, draw: Callable[[], Tensor]
    ) -> tuple[Tensor, Any]:
        """``z, x0, eps``: ``1 c t h w``; ``state`` is None at first; ``draw()``: standard normal noise like ``z``."""
        ...


class Condition(Protocol):
    """What `Prior.condition` returns: known for all frames it was made from, and cut to what one network call sees."""

    def crop(self, window: Window, tile: Tile) -> Any:
        """``window``: frames counted from the first frame of the condition; ``tile``: in latent pixels."""
        ...


class Prior(Protocol):
    """A denoiser with what it needs to get from frames to latents and back. All calls are stateless.

    ``scale``: output pixels per LR pixel. `decode` gives a fixed whole number of output pixels per latent pixel; where
    `latent_size` rounds up, the canvas is larger than ``scale`` times the LR frame and the loop crops it.
    """

    @property
    def scale(self) -> int: ...

    @property
    def latent_channels(self) -> int: ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences for the user on what was found when it was loaded, a prompt that is too long for instance."""
        ...

    def latent_size(self, height: int, width: int) -> tuple[int, int]:
        """Latent height and width for an LR frame."""
        ...

    def condition(self, lr: Tensor, scene: Scene) -> Any:
        """LR frames ``t 3 h w`` (see `Cuts.neighbours`) -> a `Condition`; its ``crop`` is for `denoise`, `decode`."""
        ...

    def encode(self, condition: Any) -> Tensor:
        """The clean latent ``1 c t h w`` that stands for the plainly upscaled input (for ``--strength`` below 1)."""
        ...

    def denoise(self, z: Tensor, step: Step, condition: Any) -> Prediction:
        """Noisy latent ``1 c t h w`` -> prediction of the same shape."""
        ...

    def decode(self, z: Tensor, condition: Any) -> Tensor:
        """Clean latent ``1 c t h w`` -> frames ``t 3 H W``, not clipped; a new tensor, which the caller may change."""
        ...


class DirectFrame(Protocol):
    """One frame that a `Direct` made, not yet put together: its colours can still be corrected."""

    def shrunk(self) -> Tensor:
        """The picture averaged to LR size, ``3 h w``, not clipped."""
        ...

    def picture(self, correction: Tensor | None) -> Tensor:
        """``3 H W`` float32 in [0, 1]; ``correction`` (``3 h w``) is added to the LR frame that is upscaled."""
        ...

    def rounded(self, correction: Tensor | None) -> Tensor:
        """`picture` in whole steps of 1/255, ``3 H W`` uint8. Raises ValueError for values that are not numbers."""
        ...


class Direct(Protocol):
    """The way from LR frames to pixels in one call of the network, frame after frame, without a latent."""

    def __call__(self, frames: Iterable[Tensor]) -> Iterator[DirectFrame]:
        """Neighbouring LR frames ``3 h w`` float32 in [0, 1] (see `Cuts.neighbours`) -> what they become, in order."""
        ...


@runtime_checkable
class DirectPrior(Protocol):
    """A prior that has such a way. A method says so by the memory that it takes, `limpid.cuts.cost.Cost`."""

    def direct(self, step: Step) -> Direct:
        """From the mean of pure noise at the level of ``step``, the only one, to clean frames."""
        ...


# ---------------------------------------------------------------------------------------------- strategy


@dataclass(frozen=True, kw_only=True, slots=True)
class Lane:
    """Frames (absolute numbers) that are denoised with latents of their own."""

    window: Window
    padding: int = 0
    """Frames that are appended by reflecting the segment at its end, and dropped again when lanes are merged."""

    @property
    def padded_stop(self) -> int:
        return self.window.stop + self.padding


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """Which part of a picture is seen: size of the whole, and where the part begins; noise belongs to the whole."""

    height: int
    width: int
    top: int
    left: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LaneContext:
    """What a strategy may look at while one lane is denoised.

    ``carry_in`` holds what the previous segment of the same shot left behind (empty for the first one); what hooks put
    into ``carry_out`` is handed to the next segment, and the engine can journal it: tensors only.
    """

    segment: Segment
    lane: Lane
    lr: Tensor
    """``t 3 h w`` in [0, 1], the frames of this lane."""
    condition: Any
    seed: int
    view: View | None = None
    """In latent pixels; None when ``lr`` is the whole picture."""
    carry_in: Mapping[str, Tensor] = field(default_factory=dict)
    carry_out: dict[str, Tensor] = field(default_factory=dict)

    @property
    def frames(self) -> range:
        """Absolute numbers; those of a lane's padding count on."""
        return range(self.lane.window.start, self.lane.padded_stop)


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """How frames are kept consistent beyond one window. This one does nothing: it is the plain sampler.

    A strategy is a frozen dataclass of hyper-parameters that overrides some of these hooks; what it must remember
    during a lane is the state it returns from `begin`, and its tensor maths are pure functions beside it.
    """

    carries: bool = False
    """True when segments of a shot must run in order because ``carry_in`` is used."""
    causal: bool = False
    """True when a lane depends on the decoded frames of the one before: each lane is then decoded as soon as it is
    clean (`on_frames`), and its ``carry_out`` is the ``carry_in`` of the next lane. Needs ``carries``, and lanes side
    by side that do not reach beyond the segment's core."""

    def check(self, steps: tuple[Step, ...]) -> None:
        """Raises SettingsError for a schedule that the strategy cannot work with, or would have no effect with."""

    @property
    def whole_shots(self) -> bool:
        """Whether frames of a shot act on each other over any distance, so that segments should be long: see
        `limpid.cuts.cost.Demand.whole_shots`."""
        return False

    def halo_frames(self, num_steps: int) -> tuple[int, int]:
        """How many frames before and after the core of a segment the strategy wants to see."""
        return 0, 0

    def lanes(self, segment: Segment) -> tuple[Lane, ...]:
        """Lanes in ascending order that cover ``segment.halo``; neighbours may overlap, see `merge`."""
        return (Lane(window=segment.halo),)

    def noise_frames(self, frames: Sequence[int], segment: Segment, seed: int) -> Sequence[int]:
        """For each frame, the frame whose noise it takes; a pure map, so that it never depends on who computes it."""
        return frames

    def begin(self, context: LaneContext) -> Any:
        """The state of one lane, for example optical flow of its frames."""
        return None

    def on_condition(self, condition: Any, context: LaneContext, state: Any) -> Any:
        """Changes what the network is told of a lane before its first step, by what ``context.carry_in`` holds."""
        return condition

    def on_x0(self, x0: Tensor, step: Step, context: LaneContext, state: Any) -> Tensor:
        """Changes the prediction of the clean latent ``1 c t h w`` of the whole lane before the sampler uses it."""
        return x0

    def on_latent(self, z: Tensor, step: Step, context: LaneContext, state: Any) -> Tensor:
        """Changes the latent after a step; gradients are off, switch them on with ``torch.enable_grad``."""
        return z

    def on_frames(self, frames: Tensor, context: LaneContext, state: Any) -> None:
        """Told of the frames of a lane once they are decoded, ``t 3 H W``, not clipped; causal strategies only."""

    def merge(self, left: Tensor, right: Tensor) -> Tensor:
        """Fuses what two neighbours made, after the last step, of ``p`` common frames: ``1 c p h w`` each.

        The neighbours are lanes, or segments of one shot that have frames in common. Here the weight goes from one to
        the other in equal steps, neither end being all of one.
        """
        count = left.shape[2]
        weight = left.new_tensor([(i + 0.5) / count for i in range(count)])[:, None, None]
        return left + weight * (right - left)


# ------------------------------------------------------------------------------- attention and guidance


@dataclass(frozen=True, kw_only=True, slots=True)
class Phase:
    """One pass over all spatial tiles of a temporal window. Only a phase that is ``kept`` makes the prediction."""

    name: str
    kept: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """Where in the predict loop one network call stands: what a bank of keys and values is addressed by."""

    step: Step
    phase: Phase
    window: int
    tile: int
    branch: str = "main"
    shape: tuple[int, ...] = ()
    """Shape of the latents given to the network, ``b c t h w``; ``b`` is 2 where guidance puts two calls in one."""


Bank = dict[Any, Any]
"""Keys and values kept between network calls, by (layer, branch, tile); made anew for every step."""


class AttentionPlan(Protocol):
    """Propagation between tiles through attention layers: the phases of a step, what calls are patched with."""

    def phases(self, step: Step, tiles: int) -> tuple[Phase, ...]:
        """In order; at least one, and exactly the last one is ``kept``. ``tiles``: how many a picture is cut into."""
        ...

    def descending(self, step: Step) -> bool:
        """Whether the windows are visited from last to first in this step."""
        ...

    def patch(self, prior: Prior, bank: Bank, call: Call) -> AbstractContextManager[None]:
        """Around one network call; must restore what it found, also when the call raises."""
        ...

    def barrier(self, bank: Bank, step: Step, phase: Phase, window: int) -> None:
        """All tiles of one window have run through ``phase``: aggregate what was collected, or forget what is old."""
        ...


Denoise = Callable[["Tensor", Any, str], "Prediction"]
"""``(z, condition, branch)``: one network call; the branch name keeps the banks of guidance branches apart."""


class Guidance(Protocol):
    """Combines several network calls into one prediction: CFG, SAG, PAG, DSSAG."""

    @property
    def calls(self) -> int:
        """Network calls that are made of one tile, at most; each has keys and values of its own."""
        ...

    @property
    def changes_attention(self) -> bool:
        """Whether attention layers are exchanged from call to call, which a compiled network cannot follow."""
        ...

    def in_one_batch(self) -> Guidance:
        """This guidance with its calls in one batch where that can be: faster on accelerators, more memory."""
        ...

    def predict(self, prior: Prior, denoise: Denoise, z: Tensor, step: Step, condition: Any) -> Prediction:
        """``z``: ``1 c t h w`` of one window and tile."""
        ...


# ------------------------------------------------------------------------------------------------ method


ENGINE_OPTIONS = frozenset({"steps", "strength", "seed", "color", "tile_px", "window_frames"})
"""Settings of the engine that have an effect with every method, unless it says otherwise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Weights:
    """The weights of a method, as far as they are known before they are loaded."""

    digest: Callable[[], str] = lambda: ""
    """Identifies them (sha256 of the files); belongs to the journal key."""
    network_bytes: Mapping[str, int] = field(default_factory=dict)
    """Bytes in float32 of each network that can be on the device; empty where they are too small to count."""
    random: bool = False
    """Whether they were never trained, which sidecars and tables must say."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Method:
    """A restoration system as a value: a prior and what it is composed with."""

    name: str
    summary: str
    load: Callable[[Placement], Prior]
    """Makes the prior ready to run; large libraries and the weights are imported and read only here."""
    scale: int
    """Output pixels per LR pixel."""
    steps: int
    """Steps of the schedule, unless the user asks for others."""
    make_schedule: Callable[[int], tuple[Step, ...]]
    sampler: Sampler
    cuts: Cuts
    """How frames are cut into pieces, and how the pieces meet: `Local` or `Blended`."""
    strategy: Strategy = Strategy()
    attention: AttentionPlan | None = None
    guidance: Guidance | None = None
    start: Literal["noise", "noised_input"] = "noise"
    """What a run of strength 1 starts from; below 1 it is always the noised input."""
    color: ColorFix = "wavelet"
    cost: Cost = field(default_factory=Cost)
    weights: Weights = field(default_factory=Weights)
    options: frozenset[str] = ENGINE_OPTIONS
    """Settings that have an effect; any other one that the user gives is refused."""
    runtimes: tuple[str, ...] = ("torch",)
    """What its network can run in, torch or ncnn; where it is one, nothing else can be asked for."""
    chosen: Mapping[str, Any] = field(default_factory=dict)
    """Options of its own that it has set, by the names of `Settings`: sidecars keep them, for other defaults later."""

    @property
    def carries(self) -> bool:
        """Whether the segments of a shot must run in order, because one hands something on to the next."""
        return self.strategy.carries or self.cuts.joint_frames > 0

    def num_steps(self, settings: Settings) -> int:
        """Steps of the schedule in a run with these settings."""
        return settings.steps or self.steps

    def demand(
        self,
        settings: Settings,
        *,
        width: int,
        height: int,
        fps: Fraction,
        bytes_per_value: int,
        budget: Budget,
        held: Held | None = None,
        direct: bool = False,
    ) -> Demand:
        """What a plan for an input of this size is made for; see `Cuts.sizes`."""
        num_steps = self.num_steps(settings)

        return Demand(
            width=width,
            height=height,
            fps=fps,
            scale=self.scale,
            num_steps=num_steps,
            around=self.cuts.around(num_steps, self.strategy.halo_frames(num_steps)),
            cost=self.cost,
            budget=budget,
            weights_bytes=self.weights.network_bytes,
            bytes_per_value=bytes_per_value,
            tile_px=settings.tile_px,
            window_frames=settings.window_frames,
            segment_frames=settings.segment_frames,
            whole_shots=self.strategy.whole_shots,
            offload=settings.offload,
            held=held,
            direct=direct,
        )
