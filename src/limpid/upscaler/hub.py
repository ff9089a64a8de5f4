"""Weights from the Hugging Face hub, where somebody asks for them: the only place that knows its package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from limpid.bounded import cut
from limpid.checkpoints.folders import CARD, INDEX
from limpid.checkpoints.index import read_model_index
from limpid.checkpoints.verify import broken_files
from limpid.types import SettingsError, WeightsError


def downloaded(name: str, *, revision: str | None = None, cache_dir: str | Path | None = None) -> Path:
    """The folder of a repository, fetched where it is not here yet. What goes on is the hub's own cache.

    Its index is read first, and only what that lists is fetched and checked by its hashes: nothing of a repository
    that is not Limpid's.

    Raises:
        SettingsError: the package huggingface_hub is not installed.
        WeightsError: the repository cannot be had, or is not what its index says.
    """
    hub, asked = _package(name), {"repo_id": name, "revision": revision, "cache_dir": cache_dir}
    index = read_model_index(Path(_asked(hub.hf_hub_download, name, filename=INDEX, **asked)))
    wanted = [INDEX, CARD, *index.files]
    folder = Path(_asked(hub.snapshot_download, name, allow_patterns=wanted, **asked))
    for problem in broken_files(folder, index.files):
        raise WeightsError(f"what came from {name} is not what its {INDEX} says: {problem}")
    return folder


def cached(name: str, *, revision: str | None = None, cache_dir: str | Path | None = None) -> Path | None:
    """The folder of a repository that was downloaded before; None where it is not here. Asks no network."""
    try:
        hub = _package(name)
        found = hub.snapshot_download(repo_id=name, revision=revision, cache_dir=cache_dir, local_files_only=True)
    except Exception:  # noqa: BLE001  whatever the package says, it is not here
        return None
    return Path(found) if (Path(found) / INDEX).is_file() else None


def _package(name: str) -> ModuleType:
    try:
        import huggingface_hub
    except ImportError:
        raise SettingsError(
            f"downloading {name} needs the package huggingface_hub: pip install 'limpid-video[hub]'"
        ) from None
    return huggingface_hub


def _asked(call: Callable[..., str], name: str, **arguments: Any) -> str:
    try:
        return call(**arguments)
    except Exception as error:  # of the hub, of its network library, of the disk
        raise WeightsError(
            f"{name} cannot be had from the Hugging Face hub: {cut(' '.join(str(error).split()))}"
        ) from error
