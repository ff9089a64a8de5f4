"""Trials of encoders in a process of their own: drivers may hang or crash, and a run must not go down with them.

``python -m limpid.video.trial REQUEST...`` encodes two frames for each request and reads them back; it prints one line
of JSON for each: null, or why the encoder cannot be used.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import av
import numpy as np

import limpid
from limpid.types import ColorTags, OutputSpec
from limpid.video.encode import FrameEncoder, add_video_stream

TRIAL_S = 20.0
"""How long a driver may take for two frames, starting Python included."""
_FRAMES = 2
_SHADE = 128
_MOST_ERROR = 16
"""Levels of 255: grey that comes back as another grey was not encoded."""
_SPEAKER = re.compile(r"^\[[^]]* @ 0x[0-9a-f]+\] ")


def why_not(spec: OutputSpec, timeout_s: float = TRIAL_S) -> str | None:
    """Why the encoder of a spec cannot be used for pictures of its size and depth; None: it can.

    The answer is kept while the process lives.
    """
    return answers((_request(spec),), timeout_s)[0]


def why_not_each(specs: Sequence[OutputSpec], timeout_s: float = TRIAL_S) -> list[str | None]:
    """`why_not` for several specs in one process."""
    return list(answers(tuple(_request(spec) for spec in specs), timeout_s))


@lru_cache(maxsize=64)
def answers(requests: tuple[str, ...], timeout_s: float) -> tuple[str | None, ...]:
    """What the trial process says of each request, in their order."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        end = _run([*_command(), *requests], timeout_s, out, errors)
        out.seek(0)
        told: list[str | None] = [json.loads(line) for line in out.read().decode().splitlines()]
        errors.seek(0)
        said = errors.read().decode(errors="replace").strip().splitlines()
    missing = end + (f": {said[-1][:200]}" if said else "")
    return (*told, *[missing] * (len(requests) - len(told)))


def _command() -> list[str]:
    return [sys.executable, "-m", "limpid.video.trial"]


def _run(command: list[str], timeout_s: float, out: IO[bytes], errors: IO[bytes]) -> str:
    """How the process ended, for the requests that it did not answer. One that cannot be killed is left behind."""
    home = str(Path(limpid.__file__).parents[1])
    paths = os.pathsep.join(part for part in (home, os.environ.get("PYTHONPATH", "")) if part)
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=out, stderr=errors, env={**os.environ, "PYTHONPATH": paths}
    )
    try:
        code = process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return f"it gave no answer within {timeout_s:g} s"
    finally:
        if process.poll() is None:
            process.kill()
            with suppress(subprocess.TimeoutExpired):
                process.wait(2)
    return f"its trial ended with code {code}"


def _request(spec: OutputSpec) -> str:
    names = ("codec", "encoder", "width", "height", "bit_depth", "crf")
    values = {name: getattr(spec, name) for name in names} | {"color": asdict(spec.color), "fps": str(spec.fps)}
    return json.dumps(values)


def _spec(request: str) -> OutputSpec:
    values = json.loads(request)
    fps = Fraction(values.pop("fps"))
    color = ColorTags(**values.pop("color"))
    return OutputSpec(container="mkv", fps=fps, time_base=1 / fps, color=color, **values)


def attempt(spec: OutputSpec) -> str | None:
    """Encodes and reads back two grey frames in this process; None, or what went wrong."""
    try:
        data = _encoded(spec)
    except Exception as error:  # noqa: BLE001  whatever a driver does is a reason not to use it
        return str(error) or type(error).__name__
    return _wrong_picture(data, spec)


def _encoded(spec: OutputSpec) -> io.BytesIO:
    data = io.BytesIO()
    with av.open(data, "w", format="nut") as container:
        stream: Any = add_video_stream(container, spec)
        encoder = FrameEncoder(stream, spec)
        deep = encoder.depth > 8
        shade = np.full((spec.height, spec.width, 3), _SHADE * (257 if deep else 1), np.uint16 if deep else np.uint8)
        packets = [*encoder.encode([shade] * _FRAMES), *encoder.finish()]
        if len(packets) != _FRAMES or not packets[0].is_keyframe:
            raise ValueError(f"{_FRAMES} frames gave {len(packets)} packets")
        for packet in packets:
            packet.stream = stream
            container.mux(packet)
    data.seek(0)
    return data


def _wrong_picture(data: io.BytesIO, spec: OutputSpec) -> str | None:
    with av.open(data, "r") as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    if len(frames) != _FRAMES or frames[0].shape != (spec.height, spec.width, 3):
        return "what it encoded cannot be read back"
    error = max(float(np.abs(frame.astype(np.int16) - _SHADE).mean()) for frame in frames)
    return None if error <= _MOST_ERROR else "what it encoded is another picture"


def print_answers(requests: Sequence[str]) -> None:
    """Answers to requests, each printed as soon as it is there.

    FFmpeg names the library or device that is missing on stderr alone. PyAV's own way of catching that waits for
    Python in the encoder's threads, and can stand still for ever.
    """
    av.logging.restore_default_callback()
    av.logging.set_libav_level(av.logging.ERROR)
    for request in requests:
        with tempfile.TemporaryFile() as complaints:
            os.dup2(complaints.fileno(), sys.stderr.fileno())
            reason = attempt(_spec(request))
            complaints.seek(0)
            said = complaints.read().decode(errors="replace")
        print(json.dumps(reason and _reason(said, reason)), flush=True)  # noqa: T201


def _reason(said: str, error: str) -> str:
    """The first complaint of FFmpeg, without the address of who complains, or else the error."""
    lines = [" ".join(_SPEAKER.sub("", line).split()) for line in said.splitlines()]
    return next((line for line in lines if line), error).rstrip(".")[:200]


if __name__ == "__main__":
    print_answers(sys.argv[1:])
