"""Builds wheel and sdist and tries the wheel in clean environments: ``python scripts/check_release.py [PYTHON ...]``.

For every Python named (this one by default) a new environment gets the wheel with the exact versions of
constraints.txt, and there `limpid --version`, `limpid doctor` and `limpid upscale` on the example run outside of the
checkout. Ends with 1 at the first thing that is wrong. ``--out DIR`` (build/release) keeps what was built, with a list
of licences and an SBOM.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
MOST_WHEEL_BYTES = 16_000_000
TOOLS = ("build>=1.2", "twine>=6", "hatchling>=1.27")
LISTS = ("cyclonedx-bom>=5", "pip-licenses>=5")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("pythons", nargs="*", default=[sys.executable])
    parser.add_argument("--out", type=Path, default=REPOSITORY / "build" / "release")
    parser.add_argument("--torch", default="torch==2.13.0", help="which build of torch to install")
    parser.add_argument("--no-lists", action="store_true", help="no licence list and SBOM")
    options = parser.parse_args()
    wheel = build(options.out.resolve())
    for python in options.pythons:
        with tempfile.TemporaryDirectory() as folder:
            try_wheel(python, wheel, Path(folder), options.torch)
            if not options.no_lists and python == options.pythons[0]:
                write_lists(Path(folder), options.out.resolve())
    print(f"right: {wheel.name}, tried with {', '.join(options.pythons)}")


def build(out: Path) -> Path:
    """Wheel and sdist in ``out``, checked by twine and for their size."""
    shutil.rmtree(out, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        python = environment(sys.executable, Path(folder))
        run(python, "-m", "pip", "install", "--quiet", *TOOLS)
        run(python, "-m", "build", "--outdir", str(out), str(REPOSITORY))
        run(python, "-m", "twine", "check", "--strict", *map(str, sorted(out.iterdir())))
    (wheel,) = out.glob("*.whl")
    if wheel.stat().st_size > MOST_WHEEL_BYTES:
        sys.exit(f"{wheel.name} has {wheel.stat().st_size} bytes, more than {MOST_WHEEL_BYTES}")
    return wheel


def try_wheel(python: str, wheel: Path, folder: Path, torch: str) -> None:
    """The commands that a new user types first, in an environment that holds the wheel and what it needs only."""
    own = environment(python, folder)
    constraints = str(REPOSITORY / "constraints.txt")
    run(own, "-m", "pip", "install", "--quiet", torch, str(wheel), "-c", constraints)
    example = folder / "film.mp4"
    shutil.copy(REPOSITORY / "examples" / "example.mp4", example)
    result = folder / "film_x4.mp4"
    for words in (["--version"], ["doctor"], ["upscale", str(example), str(result), "--preview", "0-0.5"]):
        run(own, "-m", "limpid", *words, cwd=folder)
    if not result.exists():
        sys.exit(f"{result.name} was not made")
    run(own, "-m", "limpid", "probe", str(result), cwd=folder)


def write_lists(folder: Path, out: Path) -> None:
    """``licences.md`` and ``sbom.json`` (CycloneDX) of the environment that `try_wheel` left."""
    own = str(folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python")
    run(own, "-m", "pip", "install", "--quiet", *LISTS)
    run(own, "-m", "piplicenses", "--format=markdown", "--with-urls", f"--output-file={out / 'licences.md'}")
    run(own, "-m", "cyclonedx_py", "environment", "--output-file", str(out / "sbom.json"), own)


def environment(python: str, folder: Path) -> str:
    """The interpreter of a new virtual environment."""
    run(python, "-m", "venv", "--clear", str(folder / "venv"))
    return str(folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python")


def run(*words: str, cwd: Path | None = None) -> None:
    """A command, in an environment without PYTHONPATH, so that nothing of the checkout is imported."""
    print("$", *words, flush=True)
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if subprocess.run(words, cwd=cwd, env=clean, check=False).returncode:
        sys.exit(f"failed: {' '.join(words)}")


if __name__ == "__main__":
    main()
