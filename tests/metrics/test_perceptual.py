"""LPIPS, tLP and DISTS with seeded weights: equality with torchmetrics, what holds for any distance, wrong files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from limpid.metrics import Clips, measure
from limpid.metrics.files import MetricFile, place

ALEX, HEADS, VGG, SHARES = "alexnet-owt-7be5be79.pth", "lpips_alex.pth", "vgg16-397923af.pth", "dists.pt"
NAMES = ["lpips", "tlp", "dists"]


def alexnet() -> nn.Sequential:
    """The features of torchvision's alexnet, layer by layer."""
    pool = nn.MaxPool2d(3, 2)
    first = [nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), pool, nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), pool]
    last = [nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(), nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*first, *last, nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), pool)


def vgg16() -> nn.Sequential:
    """The features of torchvision's vgg16, layer by layer."""
    layers: list[nn.Module] = []
    width = 3
    for out, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            layers += [nn.Conv2d(width, out, 3, padding=1), nn.ReLU()]
            width = out
        layers.append(nn.MaxPool2d(2, 2))
    return nn.Sequential(*layers)


def named(features: nn.Module) -> dict[str, torch.Tensor]:
    return {f"features.{name}": tensor for name, tensor in features.state_dict().items()}


@pytest.fixture(scope="module")
def networks() -> tuple[nn.Sequential, nn.Sequential]:
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return alexnet().eval(), vgg16().eval()


@pytest.fixture(scope="module")
def heads() -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(3)
    return {
        f"lin{n}.model.1.weight": torch.rand(1, c, 1, 1, generator=random)
        for n, c in enumerate((64, 192, 384, 256, 256))
    }


@pytest.fixture(scope="module")
def shares() -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(4)
    return {name: torch.rand(1, 1475, 1, 1, generator=random) for name in ("alpha", "beta")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, networks, heads, shares) -> Path:
    place: Path = tmp_path_factory.mktemp("metrics")
    classifier = {"classifier.6.bias": torch.zeros(1000)}
    torch.save(named(networks[0]) | classifier, place / ALEX)
    torch.save(named(networks[1]) | classifier, place / VGG)
    torch.save(heads, place / HEADS)
    torch.save(shares, place / SHARES)
    return place


@pytest.fixture(scope="module")
def clips(clip) -> Clips:
    truth = np.stack(clip[0])[:3, :81, :70]
    noise = np.random.default_rng(0).normal(0, 12, truth.shape)
    return Clips(np.clip(np.rint(truth + noise), 0, 255).astype(np.uint8), truth)


def tensor(frames: np.ndarray) -> torch.Tensor:
    return torch.tensor(frames / 255.0, dtype=torch.float32).permute(0, 3, 1, 2)


# --------------------------------------------------------------------------- equality with torchmetrics


@pytest.fixture
def their_lpips(monkeypatch, networks, heads) -> nn.Module:
    """Their LPIPS around the same AlexNet; torchvision, which would only bring the weights, is not needed for that."""
    from torchmetrics.functional.image import lpips as theirs

    monkeypatch.setattr(theirs, "_get_tv_model_features", lambda *_: networks[0])
    network = theirs._LPIPS(pretrained=False, net="alex")
    found = network.load_state_dict(heads, strict=False)
    assert not found.unexpected_keys
    return network


def test_lpips_and_tlp_equal_torchmetrics(their_lpips, clips: Clips, folder: Path) -> None:
    sr, truth = tensor(clips.sr), tensor(clips.truth)
    found = measure(["lpips", "tlp"], clips, folder)
    with torch.no_grad():
        frames = their_lpips(sr, truth, normalize=True).flatten()
        steps = [their_lpips(v[:-1], v[1:], normalize=True).flatten() for v in (truth, sr)]
    assert found["lpips"].per_frame == pytest.approx(frames.tolist(), rel=1e-4)
    assert found["lpips"].value == pytest.approx(float(frames.mean()), rel=1e-4)
    assert found["tlp"].value == pytest.approx(100 * float((steps[0] - steps[1]).abs().mean()), rel=1e-3)
    assert len(found["tlp"].per_frame or ()) == len(clips.sr) - 1


def test_dists_equals_torchmetrics(monkeypatch, networks, shares, clips: Clips, folder: Path) -> None:
    from torchmetrics.functional.image import dists as theirs

    class Vgg:
        features = networks[1]

    monkeypatch.setattr(theirs, "_TORCHVISION_AVAILABLE", True)
    monkeypatch.setattr(theirs, "vgg16", lambda **_: Vgg, raising=False)
    monkeypatch.setattr(theirs, "VGG16_Weights", type("Weights", (), {"DEFAULT": None}), raising=False)
    network = theirs.DISTSNetwork(load_weights=False)
    network.load_state_dict(shares, strict=False)
    expected = network(tensor(clips.sr), tensor(clips.truth))
    assert measure(["dists"], clips, folder)["dists"].per_frame == pytest.approx(expected.tolist(), rel=1e-3, abs=1e-5)


# ------------------------------------------------------------------------------------------ properties


def test_a_clip_is_at_no_distance_from_itself(clips: Clips, folder: Path) -> None:
    found = measure(NAMES, Clips(clips.truth, clips.truth), folder)
    assert [found[name].value for name in NAMES] == [0, 0, 0]


def test_symmetric_and_positive(clips: Clips, folder: Path) -> None:
    there, back = measure(NAMES, clips, folder), measure(NAMES, Clips(clips.truth, clips.sr), folder)
    for name in NAMES:
        assert there[name].value == pytest.approx(back[name].value, rel=1e-4)
        assert (there[name].value or 0) > 0


def test_batches_do_not_matter(monkeypatch, clips: Clips, folder: Path) -> None:
    from limpid.metrics import perceptual

    together = measure(["lpips", "dists"], clips, folder)
    monkeypatch.setattr(perceptual, "MAX_BATCH_PIXELS", 1)
    for name, answer in measure(["lpips", "dists"], clips, folder).items():
        assert answer.per_frame == pytest.approx(together[name].per_frame, rel=1e-4)


# ------------------------------------------------------------------------------- missing and wrong files


def test_missing_files_are_named(clips: Clips, tmp_path: Path, heads) -> None:
    torch.save(heads, tmp_path / HEADS)
    for name, file in zip(NAMES, (ALEX, ALEX, VGG), strict=True):
        answer = str(measure([name], clips, tmp_path)[name])
        assert answer.startswith(f"n/a: needs {file} (")
        assert answer.endswith(f"not found in {tmp_path}")


def test_wrong_files_give_a_reason(clips: Clips, tmp_path: Path, folder: Path, heads) -> None:
    path = tmp_path / HEADS
    (tmp_path / ALEX).symlink_to(folder / ALEX)

    def reason() -> str:
        answer = measure(["lpips"], clips, tmp_path)["lpips"]
        assert answer.value is None
        return answer.reason or ""

    path.write_text("<html>not found</html>")
    assert "cannot be read" in reason()
    torch.save([1, 2, 3], path)
    assert "has no lin0.model.1.weight" in reason()
    first = "lin0.model.1.weight"
    torch.save(heads | {first: torch.ones(1, 63, 1, 1)}, path)
    assert "of shape (1, 63, 1, 1), needed is (1, 64, 1, 1)" in reason()
    torch.save(heads | {first: torch.full((1, 64, 1, 1), torch.nan)}, path)
    assert "not finite" in reason()
    torch.save(heads, path)
    assert measure(["lpips"], clips, tmp_path)["lpips"].value


def test_safetensors_do_as_well(clips: Clips, tmp_path: Path, folder: Path, heads) -> None:
    from safetensors.torch import save_file

    (tmp_path / ALEX).symlink_to(folder / ALEX)
    other = tmp_path / "lpips_alex.safetensors"
    save_file(heads, other)
    assert place(tmp_path, MetricFile(HEADS, "", "")) == other
    expected = measure(["lpips"], clips, folder)["lpips"]
    assert measure(["lpips"], clips, tmp_path)["lpips"] == expected
    other.write_bytes(b"no")
    assert "cannot be read" in (measure(["lpips"], clips, tmp_path)["lpips"].reason or "")


def test_frames_too_small_or_too_few(clips: Clips, folder: Path) -> None:
    small, single = clips.truth[:, :30], clips.truth[:1]
    assert "at least 31 pixels" in (measure(["lpips"], Clips(small, small), folder)["lpips"].reason or "")
    assert "too few frames" in (measure(["tlp"], Clips(single, single), folder)["tlp"].reason or "")
    tiny = clips.truth[:, :31, :31]
    assert measure(["lpips"], Clips(tiny, tiny), folder)["lpips"].value == 0
