"""Which facts of workers must be the same even where unlike machines are let in: see `limpid.cluster.mixed`."""

from __future__ import annotations

SAME_VERSIONS = ("limpid", "python", "av")


def is_same_everywhere(name: str) -> bool:
    """``name``: of a fact, ``versions.torch`` for instance."""
    return name == "weights" or name in {f"versions.{each}" for each in SAME_VERSIONS}
