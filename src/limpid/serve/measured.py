"""What Prometheus reads of a server, in its text format (version 0.0.4)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping

import psutil

from limpid import __version__
from limpid.serve.core import Core


def metrics_text(core: Core, jobs: Mapping[str, int]) -> str:
    """All measurements as lines."""
    return "".join(f"{line}\n" for line in _lines(core, jobs))


def _lines(core: Core, jobs: Mapping[str, int]) -> Iterator[str]:
    yield from _metric("limpid_info", "gauge", "the version of Limpid", {f'{{version="{__version__}"}}': 1})
    states = {f'{{state="{state}"}}': count for state, count in jobs.items()}
    yield from _metric("limpid_jobs", "gauge", "jobs by their state", states)
    yield from _metric("limpid_events_total", "counter", "numbered events that were told", {"": core.hub.newest})
    yield from _metric("limpid_event_streams", "gauge", "streams of events that are open", {"": core.hub.open_streams})
    rates = {f'{{job="{job}"}}': data["fps"] for job, (_, data) in core.hub.progress.items() if data.get("fps")}
    yield from _metric("limpid_job_frames_per_second", "gauge", "speed of a job that runs", rates)
    free = shutil.disk_usage(core.config.uploads).free
    yield from _metric("limpid_free_bytes", "gauge", "free disk space where uploads lie", {"": free})
    yield from _metric("limpid_resident_bytes", "gauge", "memory of the server itself", {"": resident_bytes()})


def _metric(name: str, kind: str, help_text: str, values: Mapping[str, float]) -> Iterator[str]:
    yield f"# HELP {name} {help_text}"
    yield f"# TYPE {name} {kind}"
    yield from (f"{name}{labels} {value}" for labels, value in values.items())


def resident_bytes() -> int:
    """Memory of this process that is in use now."""
    return int(psutil.Process().memory_info().rss)
