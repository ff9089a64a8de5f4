"""Checkpoints of MGLD-VSR as its training framework writes them: with callbacks, settings and networks of others."""

from __future__ import annotations

import json
import os
import shutil
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from limpid.checkpoints.folders import read_card
from limpid.checkpoints.pickles import read_pickle
from limpid.convert import convert as converting
from limpid.convert.convert import convert_weights
from limpid.convert.openclip_keys import HEAD_CHANNELS, PREFIX, openclip_text
from limpid.convert.random_weights import make_random_weights
from limpid.convert.verify import verify_weights
from limpid.priors.load.schedule_config import read_schedule
from limpid.types import WeightsError

BASE = "stable-diffusion-2-1-base"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_random_weights("mgld-vsr", "tiny", tmp_path_factory.mktemp("official") / "mgld")


@pytest.fixture
def official(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy that a test may damage."""
    monkeypatch.setenv("LIMPID_WEIGHTS", str(tmp_path / "weights"))
    return Path(shutil.copytree(made, tmp_path / "mgld"))


def resave(value: Any, path: Path) -> None:
    torch.save(value, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


class ModelCheckpoint:
    """A callback's class, which a reader does not have."""

    def __init__(self) -> None:
        self.best, self.paths = torch.ones(1), ["a.ckpt"]


class DictConfig(dict[str, Any]):
    """Like OmegaConf's: with state beside its items."""


def lightning(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """What the training framework stores around the weights, and what the network holds beside its denoiser."""
    settings = DictConfig(lr=5e-5)
    settings.parent = {"content": settings}  # type: ignore[attr-defined]
    others = {
        "betas": torch.ones(3),
        "first_stage_model.encoder.conv_in.weight": torch.ones(2),
        "flownet_model.fnet.conv1.weight": torch.ones(2),
        "model_ema.decay": torch.tensor(0.9),
    }
    return {
        "epoch": 3,
        "global_step": 42000,
        "pytorch-lightning_version": "1.4.2",
        "callbacks": {ModelCheckpoint: {"best": torch.ones(1)}, "one": ModelCheckpoint()},
        "hyper_parameters": settings,
        "optimizer_states": [{"state": {}}],
        "state_dict": OrderedDict({**others, **state}),
    }


def test_a_file_with_callbacks_and_settings_converts(official: Path, tmp_path: Path) -> None:
    path = official / "mgldvsr_unet.ckpt"
    state = dict(read_pickle(path)["state_dict"])
    resave(lightning(state), path)
    vae = official / "video_vae_cfw.ckpt"
    resave(lightning({**read_pickle(vae)["state_dict"], "loss.logvar": torch.zeros(1)}), vae)
    with pytest.raises(WeightsError, match="not expected"):
        convert_weights("mgld-vsr", official, tmp_path / "out")  # the autoencoder's file has no such other networks
    known = dict(read_pickle(vae)["state_dict"])
    kinds = ("encoder", "decoder", "loss", "quant", "post")
    kept = {name: tensor for name, tensor in known.items() if name.startswith(kinds)}
    resave({**lightning({}), "state_dict": kept}, vae)
    out = convert_weights("mgld-vsr", official, tmp_path / "out")
    assert verify_weights(out) == [] and read_card(out).random
    ours = load_file(out / "unet" / converting.WEIGHTS_FILE)
    theirs = state["model.diffusion_model.middle_block.4.in_layers.2.weight"]
    assert torch.equal(ours["mid_block.resnets.1.conv1.weight"], theirs)
    assert not [name for name in ours if name.startswith(("betas", "first_stage", "flownet", "model_ema"))]


class Attack:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.mark}",)


def test_a_malicious_file_does_nothing(official: Path, tmp_path: Path) -> None:
    path, mark = official / "mgldvsr_unet.ckpt", tmp_path / "mark"
    whole = lightning(read_pickle(path)["state_dict"])
    resave({**whole, "callbacks": {"x": Attack(mark)}, "loops": Attack(mark)}, path)
    assert verify_weights(convert_weights("mgld-vsr", official, tmp_path / "out")) == []
    whole["state_dict"]["model.diffusion_model.out.2.bias"] = Attack(mark)
    resave(whole, path)
    with pytest.raises(WeightsError, match="no tensors"):
        convert_weights("mgld-vsr", official, tmp_path / "out2")
    assert not mark.exists()


# ------------------------------------------------------------------------------------------ the text encoder


def as_openclip(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A text encoder of transformers in OpenCLIP's names, with one layer more."""
    names = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "self_attn.out_proj": "attn.out_proj"}
    names |= {"mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj", "encoder.layers": "transformer.resblocks"}
    names |= {"embeddings.token_embedding": "token_embedding", "final_layer_norm": "ln_final"}
    names |= {"embeddings.position_embedding.weight": "positional_embedding"}
    found: dict[str, Tensor] = {}
    for key, tensor in state.items():
        for ours, theirs in names.items():
            key = key.replace(ours, theirs)
        key = key.removeprefix("text_model.")
        if "self_attn.q_proj" in key:
            parts = [state[k] for k in (original(key, state, part) for part in "qkv")]
            found[key.replace("self_attn.q_proj.", "attn.in_proj_")] = torch.cat(parts)
        elif "self_attn" not in key:
            found[key] = tensor
    last = {key.replace("blocks.1.", "blocks.2."): tensor for key, tensor in found.items() if "blocks.1." in key}
    return {**found, **last, "text_projection": torch.ones(1), "logit_scale": torch.ones(())}


def original(key: str, state: Mapping[str, Tensor], part: str) -> str:
    """The name in ``state`` of a query's (key's, value's) projection."""
    end = key.replace("transformer.resblocks", "encoder.layers").replace("q_proj", f"{part}_proj")
    return next(name for name in state if name.endswith(end))


def test_the_text_encoder_of_the_checkpoint_is_that_of_transformers(official: Path, tmp_path: Path) -> None:
    """The same embedding, from a checkpoint alone with a tokenizer beside it."""
    transformers = pytest.importorskip("transformers")
    from limpid.priors.text import encode_once

    torch.manual_seed(0)
    sizes = {"hidden_size": HEAD_CHANNELS, "intermediate_size": 128, "num_attention_heads": 1, "num_hidden_layers": 2}
    config = transformers.CLIPTextConfig(**sizes, vocab_size=600, hidden_act="gelu", projection_dim=32)
    encoder = transformers.CLIPTextModel(config).eval()
    path = official / "mgldvsr_unet.ckpt"
    text = {f"{PREFIX}{name}": tensor for name, tensor in as_openclip(encoder.state_dict()).items()}
    resave({"state_dict": {**read_pickle(path)["state_dict"], **text}}, path)
    shutil.rmtree(official / BASE / "text_encoder")
    out = convert_weights("mgld-vsr", official, tmp_path / "out")
    assert verify_weights(out) == []
    embedded = encode_once(out, ["a street"], "cpu", torch.float32)
    from transformers import CLIPTokenizer

    tokens = CLIPTokenizer.from_pretrained(out / "tokenizer")("a street", padding="max_length", return_tensors="pt")
    with torch.no_grad():
        wanted = encoder(tokens.input_ids).last_hidden_state
    torch.testing.assert_close(embedded, wanted, rtol=0, atol=1e-6)


def test_without_a_text_encoder_anywhere_it_is_said(official: Path, tmp_path: Path) -> None:
    shutil.rmtree(official / BASE / "text_encoder")
    with pytest.raises(WeightsError, match="has no text encoder; give the folder"):
        convert_weights("mgld-vsr", official, tmp_path / "out")
    with pytest.raises(WeightsError, match="nothing"):
        openclip_text({"x": torch.ones(1)}, "nothing")


def test_the_image_model_converts_to_start_training_from(tmp_path: Path) -> None:
    """Its denoiser stays the library's."""
    source = make_random_weights("sd-2-1-base", "tiny", tmp_path / "official")
    out = convert_weights("sd-2-1-base", source, tmp_path / "out")
    assert verify_weights(out) == [] and read_schedule(out / "scheduler").prediction_type == "epsilon"
    kinds = {n: json.loads((out / n / "config.json").read_text())["_class_name"] for n in ("unet", "vae")}
    assert kinds == {"unet": "UNet2DConditionModel", "vae": "UpscalerVAE"}
