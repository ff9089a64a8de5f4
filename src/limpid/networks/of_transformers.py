"""The library transformers as it is used here: imported late, quiet, and refusing what a file lacks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from safetensors import SafetensorError

from limpid.types import SettingsError, WeightsError

LOAD_ERRORS = (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError)
"""Exceptions of transformers for files that are not there, are damaged, or are not what they claim to be."""


def import_transformers(what: str) -> Any:
    """The module transformers; ``what`` ("texts are encoded") begins the SettingsError when it is not installed."""
    try:
        import transformers
    except ImportError:
        raise SettingsError(
            f"{what} with transformers, which is not installed: pip install 'transformers>=5'"
        ) from None
    return transformers


@contextmanager
def quiet(transformers: Any) -> Iterator[None]:
    """A block in which transformers shows no progress bars and no tables of tensors: what matters is raised."""
    log = transformers.utils.logging
    verbosity, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity(log.CRITICAL)
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(verbosity)
        if bars:
            log.enable_progress_bar()


def refuse_incomplete(missing: Iterable[str], where: str) -> None:
    """Raises WeightsError when tensors that a network needs are missing from its file."""
    names = sorted(missing)
    if names:
        more = ", ..." if len(names) > 3 else ""
        raise WeightsError(f"{where}: {len(names)} tensors are missing ({', '.join(names[:3])}{more})")


def first_line(error: BaseException) -> str:
    """The beginning of an error message, for a sentence."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
