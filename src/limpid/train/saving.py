"""What has been trained, as files."""

from __future__ import annotations

from pathlib import Path

from limpid.durable.files import fsync_path, move_durably, remove
from limpid.train.learner import Learner


def save_learner(learner: Learner, target: Path) -> None:
    """What `Learner.save` writes, there whole or not at all."""
    partial = target.with_name(f".{target.name}.partial")
    remove(partial)
    partial.mkdir(parents=True)
    learner.save(partial)
    for path in partial.rglob("*"):
        fsync_path(path)
    move_durably(partial, target)
