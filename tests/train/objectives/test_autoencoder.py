"""Teaching decoders: what they begin as, what moves, what a clip counts, what is saved and read again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from limpid.checkpoints.folders import folder_facts, read_card, write_card
from limpid.networks import autoencoder as autoencoders
from limpid.priors.load.upscaler import UpscalerFiles, load_autoencoder
from limpid.train.freezing import freeze_layers
from limpid.train.learner import ClipBatch, ClipRandom
from limpid.train.objectives.autoencoder import DecoderLearner, last_layer
from limpid.train.players import checkpoint_gradients
from limpid.train.recipes.autoencoders import (
    DIFFVSR_AUTOENCODER,
    MGLD_VSR_AUTOENCODER,
    UPSCALE_A_VIDEO_AUTOENCODER,
    diffvsr_autoencoder,
    mgld_vsr_autoencoder,
    upscale_a_video_autoencoder,
)
from limpid.train.stage import Recipe, Stage, Start
from limpid.train.starts.autoencoder import AutoencoderChoice, autoencoder_kinds, start_autoencoder
from limpid.train.starts.random import random_converted, random_start
from limpid.types import Placement, SettingsError, WeightsError

CPU = torch.device("cpu")
RECIPES = {"uav": upscale_a_video_autoencoder, "diffvsr": diffvsr_autoencoder, "mgld": mgld_vsr_autoencoder}
SMALL_VIDEO = replace(UPSCALE_A_VIDEO_AUTOENCODER, options={**UPSCALE_A_VIDEO_AUTOENCODER.options, "lr_channels": 32})


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    base = random_start(tmp_path_factory.mktemp("base"))
    return {"uav": base, "diffvsr": base, "mgld": random_converted("mgld-vsr", tmp_path_factory.mktemp("mgld"))}


def small_stage(recipe: Recipe) -> Stage:
    assert recipe.small is not None
    return recipe.small().stages[0]


def make_batch(numbers: tuple[int, ...] = (0, 1), frames: int = 2, lr_px: int = 8) -> ClipBatch:
    """Clip ``n`` is the same in every batch."""
    hr = torch.stack(
        [torch.rand(frames, 3, 4 * lr_px, 4 * lr_px, generator=torch.Generator().manual_seed(n)) for n in numbers]
    )
    lr = torch.nn.functional.avg_pool2d(hr.flatten(0, 1), 4).reshape(len(numbers), frames, 3, lr_px, lr_px)
    words = ("",) * len(numbers)
    return ClipBatch(numbers=numbers, hr=hr, lr=lr, captions=words, keys=words)


def make_learner(name: str, folder: Path, assets: Path, stage: Stage | None = None) -> DecoderLearner:
    stage = stage or small_stage(RECIPES[name]())
    learner: Any = stage.objective.learner(Start(device=CPU, seed=0, weights=folder, assets=assets), stage)
    assert isinstance(learner, DecoderLearner)
    freeze_layers(learner, stage)
    return learner


# ------------------------------------------------------------------------------------------- beginning


def image_decoder(folder: Path, z: Tensor) -> Tensor:
    vae = load_autoencoder(UpscalerFiles(folder=folder), Placement(device=CPU, dtype=torch.float32))
    with torch.no_grad():
        decoded: Tensor = vae.decode(z, num_frames=1)
    return decoded


@pytest.mark.parametrize(
    "network", [replace(SMALL_VIDEO, options={**SMALL_VIDEO.options, "norm_scope": "frame"}), DIFFVSR_AUTOENCODER]
)
@pytest.mark.parametrize("grad", [True, False])
def test_the_start_is_the_image_decoder(folders: dict[str, Path], network: AutoencoderChoice, grad: bool) -> None:
    z = torch.randn(3, 4, 5, 7, generator=torch.Generator().manual_seed(0))
    lr = torch.rand(3, 3, 5, 7)
    vae = start_autoencoder(network, folders["uav"])
    with torch.set_grad_enabled(grad):
        made = vae.decode(z, num_frames=3, lr=lr)
    assert (made - image_decoder(folders["uav"], z)).abs().max() < 1e-4
    with torch.no_grad():
        moved = [p for name, p in vae.named_parameters() if "temporal" in name or "over_time" in name]
        for parameter in moved:
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
        assert (vae.decode(z, num_frames=3, lr=lr) - made).abs().max() > 1e-3


def test_pooled_norms_are_the_image_decoder_on_equal_frames(folders: dict[str, Path]) -> None:
    z = torch.randn(1, 4, 5, 7, generator=torch.Generator().manual_seed(0)).expand(3, -1, -1, -1)
    with torch.no_grad():
        made = start_autoencoder(SMALL_VIDEO, folders["uav"]).decode(z, num_frames=3, lr=torch.rand(3, 3, 5, 7))
    assert (made - image_decoder(folders["uav"], z)).abs().max() < 1e-4


def test_cfw_begins_anew_from_the_picture_s_layers(folders: dict[str, Path]) -> None:
    trained = start_autoencoder(replace(MGLD_VSR_AUTOENCODER, anew=False), folders["mgld"])
    fresh, z = start_autoencoder(MGLD_VSR_AUTOENCODER, folders["mgld"]), torch.randn(2, 4, 4, 4)
    kept, new = trained.state_dict(), fresh.state_dict()
    for kind, names in autoencoder_kinds(fresh).items():
        assert all(torch.equal(kept[name], new[name]) for name in names) == (kind in ("encoder", "spatial"))
    with torch.no_grad():
        alone = torch.cat([fresh.decode(frame[None], 1, weight=0) for frame in z])
        assert (fresh.decode(z, 2, weight=0) - alone).abs().max() < 1e-5
        assert (trained.decode(z, 2, weight=0) - alone).abs().max() > 1e-3


def test_every_layer_has_its_kind_at_full_size() -> None:
    """Of 113.8, 149.9 million parameters; the image autoencoder has 55.3."""
    full: dict[str, tuple[type, dict[str, Any]]] = {
        "uav": (autoencoders.UpscalerVAE, dict(UPSCALE_A_VIDEO_AUTOENCODER.options)),
        "diffvsr": (autoencoders.TemporalVAE, {}),
    }
    for kind, options in full.values():
        with torch.device("meta"):
            vae = kind(**options)
        sizes = {name: p.numel() for name, p in vae.named_parameters()}
        kinds = {k: sum(sizes[name] for name in names) for k, names in autoencoder_kinds(vae).items()}
        assert round((kinds["encoder"] + kinds["spatial"]) / 1e6, 1) == 55.3
        assert round(sum(kinds.values()) / 1e6, 1) == (113.8 if "condition" in kinds else 149.9)


def test_what_cannot_be_started_from_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    stage = small_stage(upscale_a_video_autoencoder())
    with pytest.raises(SettingsError, match="--start"):
        stage.objective.learner(Start(device=CPU, seed=0), stage)
    with pytest.raises(WeightsError, match="no autoencoder"):
        start_autoencoder(DIFFVSR_AUTOENCODER, tmp_path)
    with pytest.raises(WeightsError, match="does not fit"):
        start_autoencoder(replace(DIFFVSR_AUTOENCODER, options={"block_out_channels": (32, 32, 32)}), folders["uav"])


# ---------------------------------------------------------------------------------------------- learning


@pytest.mark.parametrize("name", RECIPES)
def test_terms_and_who_gets_gradients(name: str, folders: dict[str, Path], tmp_path: Path) -> None:
    learner = make_learner(name, folders[name], tmp_path)
    assert learner.critic is not None
    early, late = make_batch((0, 1)), make_batch((100, 101))
    terms = learner.losses("model", early, ClipRandom(0, early.numbers))
    assert "adversarial" not in terms
    learner.critic.requires_grad_(False)
    terms = learner.losses("model", late, ClipRandom(0, late.numbers))
    swc = {"difference", "consistency"} if name == "mgld" else set()
    assert set(terms) == {"l1", "gradient", "adversarial", *swc}
    torch.stack([*terms.values()]).sum().backward()
    learning = {n for kind in small_stage(RECIPES[name]()).trainable for n in learner.kinds()[kind]}
    with_gradient = {n for n, p in learner.vae.named_parameters() if p.grad is not None}
    assert with_gradient == learning
    assert not any(n.startswith(("encoder.", "quant_conv.")) for n in learning)
    learner.critic.requires_grad_(True)
    learner.losses("critic", late, ClipRandom(0, late.numbers))["hinge"].backward()
    assert all(p.grad is not None for p in learner.critic.parameters())


@pytest.mark.parametrize("name", RECIPES)
def test_a_clip_counts_the_same_whatever_it_is_batched_with(
    name: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    """Clip 5 is of the last step without the critic, clip 6 of the first with it; also for the critic."""
    learner = make_learner(name, folders[name], tmp_path)

    def terms(player: str, numbers: tuple[int, ...]) -> dict[str, float]:
        batch = make_batch(numbers)
        return {k: v.detach().item() for k, v in learner.losses(player, batch, ClipRandom(0, numbers)).items()}

    for player in ("model", "critic"):
        together, alone = terms(player, (5, 6)), [terms(player, (n,)) for n in (5, 6)]
        for key, value in together.items():
            assert value == pytest.approx(sum(one.get(key, 0.0) for one in alone) / 2, rel=2e-3, abs=1e-6)
    assert "adversarial" not in terms("model", (5,))


def test_the_adversarial_gradient_is_a_share_of_the_rest(folders: dict[str, Path], tmp_path: Path) -> None:
    """At the last layer that learns, which is a convolution over time where spatial ones are frozen."""
    learner, batch = make_learner("uav", folders["uav"], tmp_path), make_batch((100,))
    layer = last_layer(learner.vae)
    assert layer is learner.vae.decoder.up_blocks[-1].resnets[-1].temporal_conv.weight
    terms = learner.losses("model", batch, ClipRandom(0, batch.numbers))
    rest = torch.autograd.grad(terms["l1"] + terms["gradient"], layer, retain_graph=True)[0].norm()
    share = torch.autograd.grad(terms["adversarial"], layer)[0].norm() / rest
    assert share.item() == pytest.approx(0.025, rel=0.02)


def test_all_frozen_but_the_condition_still_has_a_last_layer(folders: dict[str, Path], tmp_path: Path) -> None:
    stage = replace(small_stage(upscale_a_video_autoencoder()), trainable=("condition",))
    learner = make_learner("uav", folders["uav"], tmp_path, stage)
    assert last_layer(learner.vae) is learner.vae.condition.shift.weight
    learner.vae.requires_grad_(False)
    with pytest.raises(SettingsError, match="no convolution"):
        last_layer(learner.vae)


def test_recomputed_activations_change_nothing(folders: dict[str, Path], tmp_path: Path) -> None:
    batch, found = make_batch((100, 101)), []
    for again in (False, True):
        learner = make_learner("diffvsr", folders["diffvsr"], tmp_path)
        if again:
            assert checkpoint_gradients(learner.vae)
        terms = learner.losses("model", batch, ClipRandom(0, batch.numbers))
        torch.stack([*terms.values()]).sum().backward()
        found.append([p.grad for p in learner.vae.parameters() if p.grad is not None])
    assert len(found[0]) == len(found[1])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_known_motion_is_used_and_estimated_motion_is_said(folders: dict[str, Path], tmp_path: Path) -> None:
    stage = small_stage(mgld_vsr_autoencoder())
    start = Start(device=CPU, seed=0, weights=folders["mgld"], assets=tmp_path)
    learner: Any = stage.objective.learner(start, stage)
    assert any("DIS" in note for note in start.notes)
    batch, flow = make_batch(), torch.randn(2, 1, 2, 32, 32)
    known = replace(batch, flow_forward=flow, flow_backward=-flow)
    assert learner.flows(known)[0] is flow
    assert [f.shape for f in learner.flows(batch)] == [(2, 1, 2, 32, 32)] * 2


# ------------------------------------------------------------------------------------------------ saving


@pytest.mark.parametrize("name", RECIPES)
def test_saved_weights_are_read_again(name: str, folders: dict[str, Path], tmp_path: Path) -> None:
    write_card(folders[name], replace(read_card(folders[name]), defaults={"steps": 4}))
    learner = make_learner(name, folders[name], tmp_path)
    with torch.no_grad():
        for parameter in learner.vae.parameters():
            parameter.add_(0.01)
    saved, network = tmp_path / "saved", learner.objective.network
    saved.mkdir()
    learner.save(saved)
    card = read_card(saved)
    assert (card.name, card.random) == (read_card(folders[name]).name, True)
    assert card.defaults == {"steps": 4}
    assert card.files == folder_facts(saved)
    files = UpscalerFiles(folder=saved, autoencoder=network.folder)
    again = load_autoencoder(files, Placement(device=CPU, dtype=torch.float32)).state_dict()
    resumed = start_autoencoder(replace(network, anew=False), saved).state_dict()
    for key, tensor in learner.vae.state_dict().items():
        assert torch.equal(again[key], tensor) and torch.equal(resumed[key], tensor)


@pytest.mark.parametrize("name", RECIPES)
def test_preview(name: str, folders: dict[str, Path], tmp_path: Path) -> None:
    learner, batch = make_learner(name, folders[name], tmp_path), make_batch()
    with torch.no_grad():
        shown = learner.preview(batch, ClipRandom(0, batch.numbers))
    assert shown.shape == batch.hr.shape
    assert shown.min() >= 0 and shown.max() <= 1
