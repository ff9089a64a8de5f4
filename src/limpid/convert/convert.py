"""The makers' files -> a folder in the Hugging Face layout, with explicit rename tables and nothing unpickled.

    unet/, vae/, video_vae/          config.json, diffusion_pytorch_model.safetensors
    text_encoder/, tokenizer/        as transformers writes them
    image_encoder/                   the same (DC-VSR, where it is there)
    scheduler/, low_res_scheduler/   scheduler_config.json
    flow/                            config.json, model.safetensors (RAFT or SpyNet, where there is one)
    limpid.json                      what it is, from which files, hashes
    model_index.json                 the same in short, for `limpid.LimpidPipeline`

A folder appears whole or not at all. Tensors are streamed from disk to disk.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from limpid import __version__
from limpid.checkpoints.folders import Card, downloads, folder_facts, new_folder, write_card
from limpid.checkpoints.index import write_model_index
from limpid.checkpoints.manifest import find_entry
from limpid.checkpoints.renames import compare, rename_all
from limpid.checkpoints.tensor_files import write_safetensors
from limpid.convert.contents import CONTENTS, Contents, NetworkPart
from limpid.convert.official_configs import TEXT_CONFIG
from limpid.convert.openclip_keys import openclip_text, text_config
from limpid.convert.sources import MakersFiles
from limpid.networks.by_name import WEIGHTS_FILE, make_network, make_official, shapes_of
from limpid.priors.load.schedule_config import read_betas, read_schedule
from limpid.types import SettingsError, WeightsError

_DTYPES = {"float16": torch.float16, "float32": torch.float32}
_TOKENIZER_FILES = (
    "vocab.json",
    "merges.txt",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
TEXT_WEIGHTS = ("text_encoder/model.safetensors", "text_encoder/pytorch_model.bin")
_IMAGE_WEIGHTS = ("image_encoder/model.safetensors", "image_encoder/model.fp16.safetensors")
Note = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class _Job:
    source: MakersFiles
    folder: Path
    dtype: torch.dtype | None
    note: Note

    def write(self, name: str, tensors: Mapping[str, Tensor], *, as_stored: bool = False) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_safetensors(path, tensors, None if as_stored else self.dtype, _refuse_nan)


def convert_weights(
    name: str,
    source: Path,
    out: Path,
    *,
    base: Path | None = None,
    dtype: str | None = None,
    temporal: bool = False,
    overwrite: bool = False,
    on_note: Note = lambda text: None,
) -> Path:
    """Convert the makers' files of ``name`` and return ``out``.

    Args:
        source: their folder, or one file of it.
        base: folder of the model it was made from (SD x4 upscaler, SD 2.1 base, SVD), for what is not in ``source``; by
            default the place where ``limpid weights fetch`` puts it.
        dtype: ``"float16"`` or ``"float32"`` to store numbers so; by default as they are.
        temporal: for ``sd-x4-upscaler``: with temporal layers that are the identity, as training starts from.

    Raises:
        WeightsError: a file is missing, truncated, damaged, or does not fit its network.
    """
    entry, recipe = find_entry(name), CONTENTS[name]
    if temporal and all(part.temporal for part in recipe.networks if part.kind == "unet"):
        raise SettingsError(f"{name} has temporal layers of its own; they can be added to sd-x4-upscaler only")
    others = [base] if base is not None else []
    if recipe.base is not None and base is None and downloads(recipe.base).is_dir():
        others.append(downloads(recipe.base))
    files, notes = MakersFiles(given=source, others=tuple(others)), list[str]()

    def note(text: str) -> None:
        notes.append(text)
        on_note(text)

    with new_folder(out, overwrite=overwrite) as folder:
        job = _Job(source=files, folder=folder, dtype=_DTYPES[dtype] if dtype else None, note=note)
        _convert_all(job, recipe, temporal)
        card = Card(
            name=name,
            version=__version__,
            licence=entry.licence,
            page=entry.page,
            random=files.random,
            sources=files.used,
            files=folder_facts(folder),
            notes=tuple(notes),
        )
        write_card(folder, card)
        if recipe.networks:
            write_model_index(folder, card)
    return out


def _convert_all(job: _Job, recipe: Contents, temporal: bool) -> None:
    """What is small comes first, so that a missing file is found before gigabytes are copied."""
    for part in recipe.networks:
        job.source.need(*part.files)
    if recipe.networks:
        for name, assumed in recipe.schedules.items():
            _copy_schedule(job, name, assumed, recipe)
    if recipe.networks and recipe.text:
        _copy_text(job, recipe)
    if recipe.image_encoder:
        _copy_image_encoder(job)
    for part in recipe.networks:
        convert_network(job, part, temporal=temporal)
    if recipe.flow:
        _convert_flow(job, recipe.flow, needed=not recipe.networks)


# ---------------------------------------------------------------------------------------------- networks


def convert_network(job: _Job, part: NetworkPart, *, temporal: bool) -> None:
    path = job.source.need(*part.files)
    network = make_official(part.kind, _official_config(job, part), temporal=part.temporal)
    tensors = fitted(job.source.read_tensors(path), network, part, path)
    if temporal and not part.temporal:
        network = with_temporal_layers(path.parent)
        tensors = network.state_dict()
    job.write(f"{part.folder}/{WEIGHTS_FILE}", tensors)
    network.save_config(job.folder / part.folder)


def with_temporal_layers(folder: Path) -> Any:
    """The image U-Net in ``folder`` with temporal layers that do nothing yet."""
    from limpid.convert.start_unet import inflate_unet

    try:
        return inflate_unet(folder)
    except (ValueError, OSError) as error:
        raise WeightsError(f"{folder} cannot be given temporal layers: {error}") from error


def _official_config(job: _Job, part: NetworkPart) -> Mapping[str, Any]:
    found = job.source.find(part.config)
    if found is not None:
        return job.source.read_json(found)
    job.note(f"{part.config} is not there; the published configuration is assumed")
    return part.default_config


def fitted(found: Mapping[str, Tensor], network: Any, part: NetworkPart, path: Path) -> dict[str, Tensor]:
    """Tensors under our names. Raises WeightsError when they are not exactly those of the network."""
    try:
        tensors = rename_all(found, part.rules)
    except ValueError as error:
        raise WeightsError(f"{path} does not fit: {error}") from error
    mismatch = compare({name: tensor.shape for name, tensor in tensors.items()}, shapes_of(network))
    if mismatch:
        raise WeightsError(f"{path} does not fit the network: {mismatch.sentence()}")
    return tensors


def _refuse_nan(name: str, tensor: Tensor) -> None:
    if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
        raise WeightsError(f"{name} has numbers that are not finite (or too large for {tensor.dtype})")


# ---------------------------------------------------------------------------------------------- text and schedules


def _copy_text(job: _Job, recipe: Contents) -> None:
    """Text encoder as safetensors, tokenizer as it is; only files with known names are taken."""
    tensors, config = _text_encoder(job, recipe)
    job.write("text_encoder/model.safetensors", tensors)
    _write_json(job.folder / "text_encoder" / "config.json", config)
    job.source.need("tokenizer/tokenizer.json", "tokenizer/vocab.json")
    for name in _TOKENIZER_FILES:
        found = job.source.find(f"tokenizer/{name}")
        if found is not None:
            target = job.folder / "tokenizer" / name
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(job.source.use(found).read_bytes())


def _text_encoder(job: _Job, recipe: Contents) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and configuration: from a folder of transformers, else out of the makers' own file."""
    found = None if recipe.text_file is None else job.source.find(recipe.text_file)
    if found is not None and job.source.find("text_encoder/config.json") is None:
        tensors = openclip_text(job.source.read_tensors(found), f"{found} has no text encoder")
        config, path = text_config(tensors, TEXT_CONFIG), found
    else:
        config = job.source.read_json(job.source.need("text_encoder/config.json"))
        path = job.source.need(*TEXT_WEIGHTS)
        counter = "position_ids"  # stored by older versions
        tensors = {n: tensor for n, tensor in job.source.read_tensors(path).items() if not n.endswith(counter)}
    _check_text(tensors, config, path)
    return tensors, config


def _check_text(tensors: Mapping[str, Tensor], config: dict[str, Any], path: Path) -> None:
    wanted = shapes_of(make_network("CLIPTextModel", config))
    found = {name.removeprefix("text_model."): tensor.shape for name, tensor in tensors.items()}
    mismatch = compare(found, {name.removeprefix("text_model."): shape for name, shape in wanted.items()})
    if mismatch:
        raise WeightsError(f"{path} does not fit its config.json: {mismatch.sentence()}")


def _copy_image_encoder(job: _Job) -> None:
    path = job.source.find(*_IMAGE_WEIGHTS)
    if path is None:
        job.note(f"{_IMAGE_WEIGHTS[0]} is not there: image_embedding clip cannot be chosen")
        return
    config = job.source.read_json(job.source.need("image_encoder/config.json"))
    tensors = {k: v for k, v in job.source.read_tensors(path).items() if not k.endswith("position_ids")}
    wanted = shapes_of(make_network("CLIPVisionModelWithProjection", config))
    mismatch = compare({name: tensor.shape for name, tensor in tensors.items()}, wanted)
    if mismatch:
        raise WeightsError(f"{path} does not fit its config.json: {mismatch.sentence()}")
    job.write("image_encoder/model.safetensors", tensors)
    _write_json(job.folder / "image_encoder" / "config.json", config)


def _copy_schedule(job: _Job, name: str, assumed: Mapping[str, Any], recipe: Contents) -> None:
    found = None if recipe.fixed_schedules else job.source.find(f"{name}/scheduler_config.json")
    values = job.source.read_json(found) if found is not None else assumed
    if found is None and not recipe.fixed_schedules:
        job.note(f"{name}/scheduler_config.json is not there; linear betas from 1e-4 to 0.02 are assumed")
    _write_json(job.folder / name / "scheduler_config.json", values)
    read_betas(job.folder / name, force_linear=False)
    predicts = read_schedule(job.folder / name).prediction_type
    if name == "scheduler" and predicts != recipe.predicts:
        raise WeightsError(f"{found} says that the network predicts {predicts!r}; networks of this family predict v")


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dict(values), indent=2) + "\n", encoding="utf-8")


# ---------------------------------------------------------------------------------------------- optical flow


def _convert_flow(job: _Job, names: Sequence[str], *, needed: bool) -> None:
    from limpid.convert.flow_files import convert_flow

    found = job.source.need(*names) if needed else job.source.find(*names)
    if found is None:
        job.note(f"{names[0]} is not there: no optical flow by RAFT, unless limpid weights convert raft-things adds it")
        return
    tensors, config = convert_flow(job.source.read_tensors(found), found)
    job.write("flow/model.safetensors", tensors, as_stored=True)  # small, and used in float32
    _write_json(job.folder / "flow" / "config.json", config)
