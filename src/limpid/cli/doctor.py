"""``limpid doctor``: what this machine has, how fast it is, and what to install."""

from __future__ import annotations

import json
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Literal

from limpid import __version__
from limpid.cli.parser import Parser, parse
from limpid.cli.words import size_text

State = Literal["ok", "advice", "problem"]
MARKS: dict[State, str] = {"ok": " ", "advice": "-", "problem": "!"}
PACKAGES = ("torch", "av", "numpy", "opencv-python-headless", "scenedetect-headless", "safetensors", "rich", "psutil")
DISTRIBUTION = "limpid-video"
"""The name on PyPI; `limpid` there is a package for positron annihilation."""
UNWANTED = ("torchvision", "torchcodec")
LITTLE_MEMORY = 2e9
LITTLE_DISK = 5e9


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; ``advice`` and ``problem`` say what to do."""

    topic: str
    text: str
    state: State = "ok"


def make_parser() -> Parser:
    parser = Parser("limpid doctor", usage="limpid doctor [--json]", description="Check this machine for Limpid.")
    parser.add_argument("--json", action="store_true", help="one JSON object per finding and line")
    return parser


def command(arguments: list[str]) -> int:
    """Print the findings; returns 1 when something that Limpid needs is missing or broken."""
    options = parse(make_parser(), arguments)
    worst = 0
    for finding in examine():
        worst = max(worst, int(finding.state == "problem"))
        print(json.dumps(asdict(finding)) if options.json else _line(finding), flush=True)
    if not options.json:
        print("\nSomething is missing, see the lines with !." if worst else "\nLimpid can work here.")
    return worst


def examine() -> Iterator[Finding]:
    """Findings one after the other, as the slower ones need a second; one that fails becomes a problem itself."""
    for check in (system, packages, codecs, encoders, processor, runtimes, accelerator, weights, room):
        try:
            yield from check()
        except Exception as error:  # noqa: BLE001  the other findings are still wanted
            yield Finding(check.__name__, f"could not be examined: {type(error).__name__}: {error}", "problem")


def system() -> Iterator[Finding]:
    python = platform.python_version()
    yield Finding("limpid", f"{__version__}, Python {python}, {platform.platform()}")
    if "limpid" in packages_distributions().get("limpid", []) and _version(DISTRIBUTION):
        text = (
            "the package limpid is installed beside limpid-video and has the same import name; the last one "
            f"overwrote files of the other: {sys.executable} -m pip uninstall limpid, then install {DISTRIBUTION} again"
        )
        yield Finding("limpid", text, "problem")


def packages() -> Iterator[Finding]:
    for name in PACKAGES:
        found = _version(name)
        if found is None:
            yield Finding(name, f"not installed: {sys.executable} -m pip install {name}", "problem")
        else:
            yield Finding(name, found)
    for name in UNWANTED:
        found = _version(name)
        if found is not None and "+cpu" in (_version("torch") or ""):
            yield Finding(
                name, f"{found} from the package index fails beside a CPU build of torch; remove it", "advice"
            )


def codecs() -> Iterator[Finding]:
    from limpid.video import available_encoders

    for codec, encoder in available_encoders().items():
        if encoder is None:
            yield Finding(
                f"codec {codec}", "this build of PyAV has no encoder for it: pip install --upgrade av", "advice"
            )
        else:
            yield Finding(f"codec {codec}", encoder)


def encoders() -> Iterator[Finding]:
    """Hardware encoders, each tried with two frames; none is needed."""
    from limpid.video import hardware_encoders

    for encoder, codecs in hardware_encoders():
        yield Finding(f"encoder {encoder}", _encoder_text(codecs))


def _encoder_text(codecs: dict[str, str | None]) -> str:
    usable = [codec for codec, reason in codecs.items() if reason is None]
    reasons: dict[str, list[str]] = {}
    for codec, reason in codecs.items():
        if reason is not None:
            reasons.setdefault(reason, []).append(codec)
    if not usable:
        return f"not usable: {next(iter(reasons))}"
    lacking = "".join(f"; not {', '.join(without)}: {reason}" for reason, without in reasons.items())
    return ", ".join(usable) + lacking


def processor() -> Iterator[Finding]:
    from limpid.cli.speed import convolution_gflops
    from limpid.plan.cores import usable_cores
    from limpid.plan.device import choose_machine

    machine = choose_machine("cpu")
    cores = usable_cores()
    yield Finding("processor", f"{machine.model}, {cores} cores usable, {machine.threads} threads")
    rates = {dtype: convolution_gflops(dtype) for dtype in ("float32", "bfloat16")}
    text = ", ".join(f"{dtype} {rate:.0f} GFLOP/s" for dtype, rate in rates.items())
    yield Finding("convolution", f"{text}; --dtype auto takes {machine.dtype}")
    faster = max(rates, key=lambda dtype: rates[dtype])
    if rates[faster] > 1.3 * rates[machine.dtype]:
        yield Finding("dtype", f"--dtype {faster} measured faster here than {machine.dtype}", "advice")


def runtimes() -> Iterator[Finding]:
    """What networks that are made for a processor run in, and why."""
    from limpid.cli.speed import ncnn_gflops
    from limpid.plan.device import choose_machine, cpu_flags
    from limpid.plan.runtime import measured_runtime
    from limpid.runtimes.package import has_ncnn, ncnn_version, vulkan_devices

    row = measured_runtime(cpu_flags())
    if not has_ncnn():
        state: State = "advice" if row.runtime == "ncnn" else "ok"
        yield Finding("runtime", f"torch; ncnn is not installed (limpid-video[ncnn]): {row.because}", state)
        return
    machine = choose_machine("cpu")
    rate = ncnn_gflops(machine.threads)
    yield Finding("runtime", f"--runtime auto takes {row.runtime}: {row.because}")
    yield Finding("ncnn", f"{ncnn_version()}, convolution in float32 {rate:.0f} GFLOP/s (as plain arithmetic)")
    for index, name in enumerate(vulkan_devices()):
        yield Finding(f"vulkan:{index}", f"{name}; for networks in ncnn, by --device vulkan:{index}")


def accelerator() -> Iterator[Finding]:
    import torch

    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(index)
            yield Finding(
                f"cuda:{index}", f"{torch.cuda.get_device_name(index)}, {size_text(free)} of {size_text(total)} free"
            )
    elif torch.backends.mps.is_available():
        yield Finding("mps", "Apple GPU")
    elif shutil.which("nvidia-smi"):
        text = "an NVIDIA driver is here, but this torch has no CUDA: install a CUDA build (docs/install.md)"
        yield Finding("gpu", text, "advice")
    else:
        yield Finding("gpu", "none; small and tiny are made for the processor")


def weights() -> Iterator[Finding]:
    from limpid.cli.methods import describe_methods

    for name, row in describe_methods().items():
        if "problem" in row:
            yield Finding(f"method {name}", row["problem"], "problem")
        elif "missing" in row:
            yield Finding(f"method {name}", f"its weights are not here: {row['missing']}")
        else:
            yield Finding(f"method {name}", f"{row['summary']}; weights sha256 {row['weights_sha256'][:16]}")


def room() -> Iterator[Finding]:
    from limpid.plan.memory import free_bytes

    memory = free_bytes()
    yield Finding("memory", f"{size_text(memory)} free", "advice" if memory < LITTLE_MEMORY else "ok")
    for name, folder in {"disk here": Path.cwd(), "disk for temporary files": Path(tempfile.gettempdir())}.items():
        free = shutil.disk_usage(folder).free
        yield Finding(name, f"{size_text(free)} free", "advice" if free < LITTLE_DISK else "ok")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _line(finding: Finding) -> str:
    return f"{MARKS[finding.state]} {finding.topic:<25} {finding.text}"
