"""The facts that decide the bytes of a result. Segments of a former run are used again only when all of them agree."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

from limpid.durable.files import digest_of, sha256_of
from limpid.method import Method
from limpid.plan.device import Machine, versions
from limpid.run.journal import Journal
from limpid.settings import Settings
from limpid.types import Clip, InputError, OutputSpec, Timeline
from limpid.video import header_digest


def input_identity(clip: Clip, on_bytes: Callable[[int], None] | None = None) -> dict[str, Any]:
    """Size and content of the input, wherever it lies: a file that was moved is the same one."""
    try:
        if clip.kind == "video":
            path = Path(clip.path)
            return {"kind": "video", "size": path.stat().st_size, "sha256": sha256_of(path, on_bytes)}
        digest, size = hashlib.sha256(), 0
        for image in map(Path, clip.image_paths):
            digest.update(f"{image.name}\0{sha256_of(image, on_bytes)}\n".encode())
            size += image.stat().st_size
        return {"kind": "images", "size": size, "sha256": digest.hexdigest()}
    except OSError as error:
        raise InputError(f"{clip.path} cannot be read: {error.strerror}") from error


def run_facts(
    *,
    identity: Mapping[str, Any],
    timeline: Timeline,
    settings: Settings,
    method: Method,
    machine: Machine,
    size: tuple[int, int],
    spec: OutputSpec,
    segment_spec: OutputSpec,
    frames: tuple[int, int],
) -> dict[str, Any]:
    """All facts as plain JSON values."""
    machine_facts = {name: value for name, value in machine.to_dict().items() if name != "threads"}
    facts = {
        "input": dict(identity),
        "timeline": {"frames": list(frames), "digest": timeline_digest(timeline)},
        "settings": settings.key(),
        "threads": settings.threads,
        "size": list(size),
        "method": {"name": method.name, "weights": method.weights.digest()},
        "machine": machine_facts,
        "output": asdict(spec),
        "segments": asdict(segment_spec),
        "versions": versions(machine.runtime),
        **({} if segment_spec.encoder == "software" else {"headers": header_digest(segment_spec)}),
    }
    values: dict[str, Any] = json.loads(json.dumps(facts, default=_plain))
    return values


def encoder_of(former: Journal | None) -> str | None:
    """Which encoder a former run has used, as its facts say."""
    output = former.facts.get("output") if former is not None else None
    encoder = output.get("encoder") if isinstance(output, dict) else None
    return encoder if isinstance(encoder, str) else None


def timeline_digest(timeline: Timeline) -> str:
    values = [timeline.pts, str(timeline.time_base), timeline.cuts, timeline.last_duration, timeline.interlaced]
    return digest_of(values)


def _plain(value: Any) -> str:
    if isinstance(value, Fraction):
        return str(value)
    raise TypeError(f"{value!r} is not JSON")
