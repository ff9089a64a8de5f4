"""What the nodes share: networks that stay loaded, ComfyUI's progress bar, and its button that stops a run."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from comfy import model_management
from comfy.utils import ProgressBar

import limpid
from limpid.types import Interrupted

BAR_STEPS = 1000
_kept: list[limpid.Upscaler] = []
"""The one whose networks stay loaded from run to run; nodes themselves keep nothing."""
log = logging.getLogger("limpid")


class ComfyStop(threading.Event):
    """Set while somebody wants ComfyUI to stop what it computes."""

    def is_set(self) -> bool:
        return bool(model_management.processing_interrupted())


@contextmanager
def upscaler(*, keep_loaded: bool, unload_others: bool) -> Iterator[limpid.Upscaler]:
    """An Upscaler for one run of a node, under the conditions in which Limpid runs elsewhere.

    ComfyUI runs nodes in inference mode, whose tensors cannot be changed outside of it nor used for gradients, which
    networks that stay loaded and guidance by motion need.
    """
    if unload_others:
        model_management.unload_all_models()
    if not _kept:
        _kept.append(limpid.Upscaler())
    try:
        with torch.inference_mode(False):
            yield _kept[0]
    except Interrupted:
        model_management.throw_exception_if_processing_interrupted()
        raise
    finally:
        if not keep_loaded:
            _kept.pop().close()


def telling(total: int | None = None) -> Callable[[dict[str, Any]], None]:
    """What takes the events of a run to ComfyUI's progress bar. ``total``: frames, where events do not say it."""
    bar = ProgressBar(BAR_STEPS)

    def told(event: dict[str, Any]) -> None:
        if event["event"] == "progress" and event["stage"] == "run":
            bar.update_absolute(int(BAR_STEPS * event["done"] / (total or event["total"])), BAR_STEPS)
        elif event["event"] in ("note", "warning"):
            log.log(logging.WARNING if event["event"] == "warning" else logging.INFO, event["message"])

    return told
