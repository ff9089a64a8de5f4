"""No option is silent: with every method, each value changes the pixels or is refused with a sentence.

The rows are those of `limpid.settings`, so a new option fails here until it is tried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from image_networks import blurring

import limpid
from limpid.convert.convert import convert_weights
from limpid.convert.random_weights import make_random_weights
from limpid.methods import METHODS, chosen_options
from limpid.options.declare import Declared, declared
from limpid.restoration.direct import without_noise
from limpid.settings import Settings
from limpid.spellings import CONSISTENCY
from limpid.types import SettingsError, WeightsError

VALUES: dict[str, tuple[Any, ...]] = {
    "steps": (3,),
    "sampler": ("ddpm", "ddim", "dpm++"),
    "seed": (1,),
    "strength": (0.5,),
    "detail": (0.0,),
    "denoise": (0.5,),
    "color": ("none", "adain", "wavelet"),
    "tile_px": (16,),
    "window_frames": (4,),
    "prompt": ("a street at night",),
    "negative_prompt": ("snow",),
    "prompts": ("1: a street at night",),
    "noise_level": (300,),
    "guidance": ("cfg", "dssag", "sag", "pag", "none"),
    "guidance_scale": (2.5,),
    "attention": ("none", "sap", "tap", "sap+tap"),
    "attention_rate": (1.0,),
    "attention_frames": (1,),
    "image_embedding": ("zero", "clip"),
    "consistency": CONSISTENCY,
    "propagation_steps": ("0",),
    "motion_guidance": (500.0,),
    "motion_guidance_limit": (0.01,),
    "joint_frames": (0,),
    "flow": ("dis", "raft", "spynet"),
    "autoencoder": ("image", "video", "light"),
    "decoder_weight": (0.25,),
    "released": (True,),
}
"""What each option is tried with: all its words, or a number that is no method's own. Of several words one may leave
the pixels as they are: the one that the method has by itself."""
NEEDED: dict[str, tuple[dict[str, Any], ...]] = {
    "guidance_scale": ({}, {"guidance": "cfg", "prompt": "a street"}),
    "guidance": ({"prompt": "a street"},),
    "negative_prompt": ({}, {"guidance": "cfg", "prompt": "a street"}),
    "propagation_steps": ({}, {"consistency": "propagation"}),
    "motion_guidance": ({}, {"consistency": "motion"}),
    "motion_guidance_limit": ({}, {"consistency": "motion", "steps": 4}),
    "flow": ({}, {"consistency": "motion"}),
    "attention": ({"tile_px": 16, "window_frames": 6},),
    "attention_rate": ({"tile_px": 16},),
    "attention_frames": ({"tile_px": 16, "window_frames": 6},),
    "joint_frames": ({"segment_frames": 6, "consistency": "none"},),
}
"""What an option is tried beside: alone, where nothing is said, and with what else it needs."""
NOT_PIXELS = {"offload", "compile", "runtime", "attention_kernel"}
"""Options for speed and memory, which are not to change the pixels."""
EXACT = {"tile_px", "window_frames"}
"""And these not with a local method: it gives the same frames for any cut."""
LOCAL = {"small", "tiny", "image"}
RELATIVES = {"diffvsr", "lavie-vsr", "sd-x4-upscaler"}
"""Made by the same function as Upscale-A-Video."""
OF_RELATIVES = {
    *("window_frames", "prompt", "negative_prompt", "guidance", "guidance_scale", "consistency", "joint_frames"),
    *("autoencoder", "decoder_weight", "released"),
}
"""What that function decides by which of them it makes."""
BASE: dict[str, Any] = {"color": "none"}


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    """10 frames of 16x24 that move by a pixel each."""
    picture = np.random.default_rng(0).integers(0, 256, (16, 40, 3), dtype=np.uint8)
    return np.stack([picture[:, i : i + 24] for i in range(10)])


@pytest.fixture(scope="module")
def restore(frames: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., np.ndarray]]:
    """Runs a method on its small network of random numbers; results are kept."""
    root, done = tmp_path_factory.mktemp("weights"), dict[str, np.ndarray]()

    def own(name: str) -> dict[str, Any]:
        if name == "small":
            return {}
        if name == "tiny":
            return {"steps": 2}
        if name == "image":
            return {"weights": str(blurring(root / "network"))}
        if not (root / name).exists():
            convert_weights(name, make_random_weights(name, "tiny", root / f"official-{name}"), root / name)
        return {"weights": str(root / name), "steps": 2}

    def run(name: str, **options: Any) -> np.ndarray:
        chosen = {**BASE, **own(name), **options}
        if (key := f"{name} {sorted(chosen.items())}") not in done:
            done[key] = np.stack(list(limpid.restore(frames, fps=25, cuts=[], method=name, **chosen)))
        return done[key]

    with pytest.MonkeyPatch.context() as changed:
        changed.setenv("LIMPID_WEIGHTS", str(root / "installed"))
        for place in ("plan.allocator", "priors.text"):  # a third of the time, for nothing here
            changed.setattr(f"limpid.{place}.free_memory", lambda: None)
        yield run


def rows() -> dict[str, Declared]:
    """Options that belong to methods, and those of the engine that decide pixels."""
    return {row.name: row for row in declared(Settings) if row.option.scope in ("method", "engine")}


def test_every_option_is_tried() -> None:
    assert rows().keys() - NOT_PIXELS == VALUES.keys() | {"weights"}
    for name, row in rows().items():
        if row.choices and name not in NOT_PIXELS:
            missing = set(row.choices) - {"auto"} - set(VALUES[name])
            assert not missing, f"{name}: {missing}"


def cases() -> list[tuple[str, str]]:
    return [(m, name) for m in METHODS for name in VALUES if m not in RELATIVES or name in OF_RELATIVES]


@pytest.mark.parametrize(("method", "name"), cases())
def test_it_changes_the_pixels_or_is_refused(method: str, name: str, restore: Callable[..., np.ndarray]) -> None:
    if method in LOCAL and name in EXACT:
        pytest.skip("a local method gives the same frames for any cut")
    assert len(restore(method)) == 10
    for beside in NEEDED.get(name, ({},)):
        same = [value for value in VALUES[name] if is_silent(restore, method, beside, {name: value})]
        assert len(same) <= (len(VALUES[name]) > 1), f"{method} with {beside}: {name} {same} does nothing"


def is_silent(
    restore: Callable[..., np.ndarray], method: str, beside: Mapping[str, Any], change: Mapping[str, Any]
) -> bool:
    """Whether an option leaves the pixels as they are, and nobody says so."""
    if method == "small" and without_noise(METHODS[method](), Settings(**change)):
        return False
    try:
        return np.array_equal(restore(method, **{**beside, **change}), restore(method, **beside))
    except (SettingsError, WeightsError):
        return False


def test_guidance_that_waits_for_captions_is_not_refused(restore: Callable[..., np.ndarray]) -> None:
    """The texts come when the shots are known."""
    with pytest.raises(SettingsError, match="guidance cfg has no effect"):
        restore("lavie-vsr", guidance="cfg")
    make: Any = lambda *, prompt="", prompts=None, guidance=None: prompt  # noqa: E731
    assert chosen_options("x", make, Settings(guidance="cfg", caption="auto"))["prompt"]
    assert "prompt" not in chosen_options("x", make, Settings(guidance="cfg"))
