"""The makers' files become a folder that loads strictly, or are refused with the reason."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from limpid.checkpoints.folders import installed, read_card, weights_digest
from limpid.checkpoints.pickles import read_pickle
from limpid.convert import convert as converting
from limpid.convert.contents import CONTENTS, UAV_VAE_PART
from limpid.convert.convert import convert_weights
from limpid.convert.flow_files import random_flow
from limpid.convert.random_weights import make_random_weights
from limpid.convert.verify import verify_weights
from limpid.networks.by_name import make_official
from limpid.types import SettingsError, WeightsError

NETWORKS = {
    "upscale-a-video": {"unet": "TemporalUNet", "vae": "UpscalerVAE", "video_vae": "UpscalerVAE"},
    "diffvsr": {"unet": "TemporalUNet", "vae": "TemporalVAE"},
    "lavie-vsr": {"unet": "TemporalUNet", "vae": "UpscalerVAE"},
    "sd-x4-upscaler": {"unet": "TemporalUNet", "vae": "UpscalerVAE"},
    "mgld-vsr": {"unet": "StructuredUNet", "vae": "CFWVAE"},
}


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Random weights in the makers' format; made once for each name."""
    root = tmp_path_factory.mktemp("official")
    return lambda name: root / name if (root / name).exists() else make_random_weights(name, "tiny", root / name)


@pytest.fixture(autouse=True)
def _no_weights_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMPID_WEIGHTS", str(tmp_path / "weights"))


@pytest.fixture
def uav(official: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy that a test may damage. Only one of its networks is converted, to save time."""
    folder = tmp_path / "uav"
    shutil.copytree(official("upscale-a-video"), folder)
    # After the whole checkpoint was made, which other tests use too.
    monkeypatch.setitem(CONTENTS, "upscale-a-video", replace(CONTENTS["upscale-a-video"], networks=(UAV_VAE_PART,)))
    return folder


def resave(value: Any, path: Path) -> None:
    """What is memory-mapped must not be written over."""
    torch.save(value, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def network(folder: Path) -> Any:
    import limpid.networks.autoencoder
    from limpid.networks.unet.mgld_vsr_unet import StructuredUNet
    from limpid.networks.unet.temporal_unet import TemporalUNet

    name = json.loads((folder / "config.json").read_text())["_class_name"]
    denoisers = {"TemporalUNet": TemporalUNet, "StructuredUNet": StructuredUNet}
    kind = denoisers.get(name) or getattr(limpid.networks.autoencoder, name)
    loaded, info = kind.from_pretrained(folder, output_loading_info=True, local_files_only=True)
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    return loaded


@pytest.mark.parametrize("name", NETWORKS)
def test_random_weights_convert_and_load(official: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    source = official(name)
    assert sum(path.stat().st_size for path in source.rglob("*") if path.is_file()) < 15e6
    base = official("sd-x4-upscaler") if name == "lavie-vsr" else None
    out = convert_weights(name, source, tmp_path / "out", base=base)
    assert installed(name, out) == out and verify_weights(out) == []
    card = read_card(out)
    assert card.random and card.licence and card.sources and len(weights_digest(out)) == 64
    for folder, kind in NETWORKS[name].items():
        assert type(network(out / folder)).__name__ == kind
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"], "nothing unfinished is left"


@pytest.mark.parametrize("name", ["upscale-a-video", "raft-things", "raft-large"])
def test_optical_flow(official: Callable[[str], Path], uav: Path, tmp_path: Path, name: str) -> None:
    from limpid.networks.flow.raft import load_raft

    shutil.copytree(official("raft-things"), uav / "propagator")
    out = convert_weights(name, uav if name == "upscale-a-video" else official(name), tmp_path / "out", dtype="float16")
    frames = torch.rand(2, 1, 3, 32, 48)
    assert bool(load_raft(out / "flow")(*frames, iterations=1).isfinite().all()) and verify_weights(out) == []


@pytest.mark.parametrize("wrapped", [False, True])
def test_spynet_of_either_file(official: Callable[[str], Path], tmp_path: Path, wrapped: bool) -> None:
    from limpid.networks.flow.spynet import load_spynet

    source = official("spynet") / CONTENTS["spynet"].flow[0]
    if wrapped:  # BasicSR's file, whose names and wrapping differ
        other = CONTENTS["spynet"].flow[1]
        torch.save(random_flow(other, lambda _, shape: 0.02 * torch.rand(shape)), tmp_path / other)
        source = tmp_path / other
    out = convert_weights("spynet", source, tmp_path / "out")
    assert bool(load_spynet(out / "flow")(*torch.rand(2, 1, 3, 32, 48)).isfinite().all()) and verify_weights(out) == []
    assert "non-commercial" in read_card(out).licence


def test_optical_flow_is_optional_but_not_half_there(
    official: Callable[[str], Path], uav: Path, tmp_path: Path
) -> None:
    notes: list[str] = []
    state = read_pickle(official("raft-things") / "raft-things.pth")
    state.pop("module.fnet.conv1.weight")
    (uav / "propagator").mkdir()
    torch.save(state, uav / "propagator" / "raft-things.pth")
    assert "1 missing (features.stem.weight)" in refused(uav, tmp_path / "out")
    shutil.rmtree(uav / "propagator")
    out = convert_weights("upscale-a-video", uav, tmp_path / "out", on_note=notes.append)
    assert "no optical flow" in notes[0] and not (out / "flow").exists()


def test_numbers_are_kept(uav: Path, tmp_path: Path) -> None:
    out = convert_weights("upscale-a-video", uav, tmp_path / "out")
    theirs, ours = read_pickle(uav / "vae" / "vae_3d.bin"), load_file(out / "vae" / converting.WEIGHTS_FILE)
    assert torch.equal(theirs["encoder.conv_in.weight"], ours["encoder.conv_in.weight"])
    assert ours["encoder.conv_in.weight"].dtype == torch.float16
    out = convert_weights("upscale-a-video", uav, tmp_path / "wide", dtype="float32")
    wide = load_file(out / "vae" / converting.WEIGHTS_FILE)
    assert {tensor.dtype for tensor in wide.values()} == {torch.float32}
    assert torch.equal(wide["encoder.conv_in.weight"], ours["encoder.conv_in.weight"].float())


def test_the_text_encoder_runs(uav: Path, tmp_path: Path) -> None:
    from limpid.priors.text import encode_once

    out, long = convert_weights("upscale-a-video", uav, tmp_path / "out"), list[str]()
    embedded = encode_once(out, ["best quality", "blur"], "cpu", torch.float32, long.append)
    assert embedded.shape == (2, 77, 32) and not long
    assert not torch.equal(embedded[0], embedded[1]) and bool(embedded.isfinite().all())


def test_one_file_and_the_folder_of_the_image_model(official: Callable[[str], Path], tmp_path: Path) -> None:
    source, base = official("lavie-vsr") / "lavie_vsr.pt", official("sd-x4-upscaler")
    assert verify_weights(convert_weights("lavie-vsr", source, tmp_path / "out", base=base)) == []


def test_files_may_lie_in_a_folder_inside_and_beside_their_own(uav: Path, tmp_path: Path) -> None:
    (tmp_path / "outer").mkdir()
    inner = uav.rename(tmp_path / "outer" / "upscale_a_video")
    (inner / "vae" / "vae_3d.bin").rename(inner / "vae_3d.bin")
    out = convert_weights("upscale-a-video", tmp_path / "outer", tmp_path / "out")
    assert verify_weights(out) == [] and "upscale_a_video/vae_3d.bin" in read_card(out).sources


def test_what_is_left_out_is_assumed_and_said(uav: Path, tmp_path: Path) -> None:
    shutil.rmtree(uav / "scheduler")
    (uav / "vae" / "vae_3d_config.json").unlink()
    notes: list[str] = []
    with pytest.raises(WeightsError, match="does not fit the network"):
        convert_weights("upscale-a-video", uav, tmp_path / "out", on_note=notes.append)
    assert "published configuration is assumed" in notes[1], "tiny weights do not fit the real configuration"
    (uav / "vae" / "vae_3d_config.json").write_text((uav / "vae" / "vae_video_config.json").read_text())
    with pytest.raises(WeightsError, match=r"92 missing \("):
        convert_weights("upscale-a-video", uav, tmp_path / "out")


def test_a_missing_schedule_is_assumed(uav: Path, tmp_path: Path) -> None:
    shutil.rmtree(uav / "scheduler")
    notes: list[str] = []
    out = convert_weights("upscale-a-video", uav, tmp_path / "out", on_note=notes.append)
    assert "linear betas" in notes[0] and read_card(out).notes == tuple(notes)
    assert json.loads((out / "scheduler" / "scheduler_config.json").read_text())["beta_schedule"] == "linear"


# ---------------------------------------------------------------------------------------------- refusals


def refused(source: Path, out: Path, name: str = "upscale-a-video", **options: Any) -> str:
    with pytest.raises(WeightsError) as error:
        convert_weights(name, source, out, **options)
    assert not [path for path in out.parent.iterdir() if path.name.startswith(f".{out.name}")]
    return str(error.value)


def test_missing_and_extra_tensors_are_named(uav: Path, tmp_path: Path) -> None:
    path = uav / "vae" / "vae_3d.bin"
    state = dict(read_pickle(path))
    state["extra.weight"] = state.pop("quant_conv.bias")
    state["quant_conv.weight"] = torch.zeros(3)
    resave(state, path)
    text = refused(uav, tmp_path / "out")
    assert "1 missing (quant_conv.bias)" in text and "1 not expected (extra.weight)" in text
    assert "quant_conv.weight is (3,), not" in text and "vae_3d.bin" in text
    assert not (tmp_path / "out").exists()


def test_another_network_is_refused(uav: Path, tmp_path: Path) -> None:
    shutil.copy(uav / "vae" / "vae_video.bin", uav / "vae" / "vae_3d.bin")
    assert "92 not expected" in refused(uav, tmp_path / "out")


def test_numbers_that_are_not_finite_are_refused(uav: Path, tmp_path: Path) -> None:
    path = uav / "vae" / "vae_3d.bin"
    state = {name: tensor.float() for name, tensor in read_pickle(path).items()}
    state["quant_conv.bias"][0] = 1e9
    resave(state, path)
    convert_weights("upscale-a-video", uav, tmp_path / "out")
    assert "quant_conv.bias" in refused(uav, tmp_path / "half", dtype="float16")


class Attack:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.mark}",)


def test_a_malicious_file_is_defused(uav: Path, tmp_path: Path) -> None:
    path, mark = uav / "vae" / "vae_3d.bin", tmp_path / "mark"
    state = dict(read_pickle(path))
    resave({"state_dict": state, "callbacks": Attack(mark)}, path)
    assert verify_weights(convert_weights("upscale-a-video", uav, tmp_path / "out")) == []
    resave({**state, "quant_conv.weight": Attack(mark)}, path)
    assert "no tensors" in refused(uav, tmp_path / "out2")
    resave(Attack(mark), path)
    assert "no weights" in refused(uav, tmp_path / "out2")
    assert not mark.exists()


def test_other_broken_files(uav: Path, tmp_path: Path) -> None:
    path = uav / "vae" / "vae_3d.bin"
    whole = path.read_bytes()
    for content, words in {
        whole[: len(whole) // 2]: "truncated",
        b"<html>": "web page",
        b"": "empty",
    }.items():
        path.write_bytes(content)
        assert words in refused(uav, tmp_path / "out")
    save_file({"w": torch.zeros(1)}, path)
    assert "missing" in refused(uav, tmp_path / "out")
    path.unlink()
    assert "vae/vae_3d.bin is not in" in refused(uav, tmp_path / "out")
    assert "does not exist" in refused(tmp_path / "nothing", tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("scheduler/scheduler_config.json", {"prediction_type": "epsilon"}, "predict v"),
        ("low_res_scheduler/scheduler_config.json", {"beta_schedule": "cosine"}, "not supported"),
        ("text_encoder/config.json", {"num_hidden_layers": 3}, "missing"),
        ("vae/vae_3d_config.json", {"block_out_channels": None}, "usable"),
        ("vae/vae_3d_config.json", {"up_block_types": ["x"]}, "not known"),
    ],
)
def test_settings_that_do_not_fit(uav: Path, tmp_path: Path, name: str, change: dict[str, Any], words: str) -> None:
    values = json.loads((uav / name).read_text())
    (uav / name).write_text(json.dumps({**values, **change}))
    assert words in refused(uav, tmp_path / "out")


def test_configurations_of_unets_that_are_not_known() -> None:
    with pytest.raises(WeightsError, match="configuration of the unet is not usable"):
        make_official("unet", {"block_out_channels": [32]})


def test_a_folder_is_never_replaced_unasked(official: Callable[[str], Path], tmp_path: Path) -> None:
    source, out = official("sd-x4-upscaler"), tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").touch()
    assert "choose another name" in refused(source, out, "sd-x4-upscaler", overwrite=True)
    (out / "mine.txt").unlink()
    out.rmdir()
    convert_weights("sd-x4-upscaler", source, out)
    assert "--overwrite" in refused(source, out, "sd-x4-upscaler")
    assert "converted already" in refused(out, tmp_path / "out2", "sd-x4-upscaler")
    convert_weights("sd-x4-upscaler", source, out, overwrite=True)
    assert verify_weights(out) == [] and len(list(tmp_path.iterdir())) == 1


def test_the_image_model_as_a_start_of_training(official: Callable[[str], Path], tmp_path: Path) -> None:
    """With temporal layers that do nothing yet."""
    source = official("sd-x4-upscaler")
    out = convert_weights("sd-x4-upscaler", source, tmp_path / "out", temporal=True, dtype="float16")
    assert verify_weights(out) == []
    state = load_file(out / "unet" / converting.WEIGHTS_FILE)
    image = load_file(source / "unet" / converting.WEIGHTS_FILE)
    assert all(torch.equal(state[name], tensor) for name, tensor in image.items())
    assert len(state) > len(image) and not state["down_temporal.0.shift_conv.weight"].any()
    with pytest.raises(SettingsError, match="layers of its own"):
        convert_weights("diffvsr", source, tmp_path / "x", temporal=True)


def test_changes_after_converting_are_found(official: Callable[[str], Path], tmp_path: Path) -> None:
    out = convert_weights("sd-x4-upscaler", official("sd-x4-upscaler"), tmp_path / "out")
    path = out / "vae" / converting.WEIGHTS_FILE
    state = load_file(path)
    state.pop("quant_conv.bias")
    save_file(state, path)
    assert verify_weights(out) == [
        f"vae/{converting.WEIGHTS_FILE} has changed",
        "vae does not fit its config.json: 1 missing (quant_conv.bias)",
    ]
    (out / "vae" / "config.json").write_text('{"_class_name": "Other"}')
    assert any("not known" in problem for problem in verify_weights(out))


def test_names_and_sizes_that_do_not_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="lavie-vsr"):
        make_random_weights("nothing", "tiny", tmp_path / "x")
    with pytest.raises(SettingsError, match="there are no weights"):
        convert_weights("nothing", tmp_path, tmp_path / "x")
