"""How much memory may be used: what is free on the machine, inside the limits of the control group of this process.

A container's limit is not seen in the machine's free memory, and going over it kills the process without a word, so
both versions of Linux control groups are read, up to the root of the hierarchy.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

GIB = 1 << 30
USABLE_PART = 0.5
"""Part of the free memory that is used: other programs, the file cache and the encoder need room too."""
MOST_BYTES = 8 * GIB
"""More than this on a CPU makes a run hardly faster."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Bytes that may be used. ``host`` is None where the device that computes is the host."""

    device: int
    host: int | None = None
    free: int | None = None
    """All that is free on the device, for what cannot be done with less; None: no more than ``device``."""


def free_bytes(root: Path = Path("/")) -> int:
    """Bytes that this process can still take: the machine's free memory or what its control group leaves, if less."""
    import psutil

    machine = int(psutil.virtual_memory().available)
    group = cgroup_free_bytes(root)
    return machine if group is None else min(machine, group)


def cpu_budget(root: Path = Path("/"), most: int | None = MOST_BYTES) -> int:
    """Bytes that the planner may count on for the work on one chunk on a CPU."""
    usable = int(free_bytes(root) * USABLE_PART)
    return usable if most is None else min(usable, most)


def cgroup_free_bytes(root: Path = Path("/")) -> int | None:
    """The smallest difference of limit and use among the control groups around this process; None without a limit.

    ``root`` stands for ``/``, so that tests can build a file tree of their own.
    """
    free = [value for folder, v2 in _cgroup_folders(root) if (value := _free_in(folder, v2=v2)) is not None]
    return min(free) if free else None


def _cgroup_folders(root: Path) -> list[tuple[Path, bool]]:
    """Folders of the memory controller from the own group up to the root, with whether they are of version 2."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    folders = []
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        v2 = controllers == ""
        if not v2 and "memory" not in controllers.split(","):
            continue
        base = root / ("sys/fs/cgroup" if v2 else "sys/fs/cgroup/memory")
        # In a container the path is often that outside of it: then only the base itself exists, which is the own group.
        here = base / path.lstrip("/")
        folders += [(f, v2) for f in (here, *here.parents) if f == base or base in f.parents]
    return folders


def _free_in(folder: Path, *, v2: bool) -> int | None:
    limit = _read_int(folder / ("memory.max" if v2 else "memory.limit_in_bytes"))
    used = _read_int(folder / ("memory.current" if v2 else "memory.usage_in_bytes"))
    if limit is None or used is None or limit >= 1 << 60:
        return None
    # File cache that was not used lately counts as used, but is given back when memory is asked for.
    return max(limit - used + _inactive_file(folder), 0)


def _inactive_file(folder: Path) -> int:
    try:
        lines = (folder / "memory.stat").read_text().splitlines()
    except OSError:
        return 0
    values = dict(line.split()[:2] for line in lines if len(line.split()) >= 2)
    return int(values.get("total_inactive_file", values.get("inactive_file", 0)))


def _read_int(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
