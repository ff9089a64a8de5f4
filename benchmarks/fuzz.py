"""Gives Limpid broken, hostile and absurd inputs, and looks at how each ends.

    python benchmarks/fuzz.py --media 5000 --weights 1000 --models 100 --records 1000 --options 300

Each case is a forked process with 4 GiB of memory and 60 s. It must end with a documented exit code but 70, without a
traceback or a control character in what it prints, and must change nothing outside of its own folder. Cases follow
from the seed; a failure prints its number and keeps its folder. Kinds: mutated videos and images (probed, and for some
restored); mutated and constructed weight files; image networks of ncnn (`fuzz_models.py`); edits of journal, scan,
record, card and degradation of real runs; and values of options.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from fuzz_models import model_pairs

import limpid.api  # before forking
import limpid.cli.degrade
import limpid.cli.probe
import limpid.cli.upscale
import limpid.cli.weights
import limpid.methods
from limpid.cli.main import main as command

MEMORY_BYTES = 4 << 30
LONGEST_S = 60.0
CODES = frozenset((0, 1, 2, 3, 4, 5, 6, 130))
CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]")
ODD_NUMBERS: tuple[Any, ...] = (
    *(0, -1, 1, 2, 2**31, 2**31 - 1, 2**63, 2**64, -(2**63), 10**40, 10**300, 0.5, 1e308, -1e308, 5e-324),
    *("", "0", "x", "1e99999999", "9" * 5000, "../../x", "/etc/passwd", "\x1b[2J", "a\0b", "\u202eabc", "1/0", "nan"),
    *(None, True, False, [], {}, [[]], [1] * 1000, {"a": {"b": []}}, [None], "x" * 100_000),
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A command in a folder of its own."""

    kind: str
    arguments: list[str]
    folder: Path
    most_bytes: int = MEMORY_BYTES
    """Memory that it and the processes that it starts may take, each."""


def run(case: Case) -> tuple[int, bytes, float, int]:
    """Exit code (negative: a signal; -14: too long), what was printed, seconds, and the most memory of a process."""
    log = case.folder / "log"
    began = time.monotonic()
    pid = os.fork()
    if not pid:
        code = 99
        try:
            with log.open("wb") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            sys.stdout = os.fdopen(1, "w", errors="backslashreplace", closefd=False)
            sys.stderr = os.fdopen(2, "w", errors="backslashreplace", closefd=False)
            grown = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (grown + MEMORY_BYTES, grown + MEMORY_BYTES))
            signal.alarm(int(LONGEST_S))
            os.chdir(case.folder)
            code = command(case.arguments)
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)
    _, status, used = os.wait4(pid, 0)
    return os.waitstatus_to_exitcode(status), log.read_bytes(), time.monotonic() - began, used.ru_maxrss * 1024


def judge(case: Case, code: int, says: bytes, seconds: float, peak_bytes: int) -> str | None:
    """What is wrong with how a case ended."""
    if code not in CODES:
        return f"exit code {code}"
    if b"Traceback" in says:
        return "a traceback"
    if found := CONTROL.search(says):
        return f"the control character {found[0]!r}"
    if peak_bytes > case.most_bytes:
        return f"{peak_bytes >> 20} MiB of memory"
    return f"{seconds:.0f} s" if seconds > LONGEST_S else None


# ------------------------------------------------------------------------------------------------- media


def seeds_of_media(folder: Path) -> list[Path]:
    """Small sound files of every kind that can be written here."""
    folder.mkdir(parents=True)
    found = [video(folder / f"v{number}{suffix}", codec, form) for number, (suffix, codec, form) in enumerate(VIDEOS)]
    for suffix in (".png", ".jpg", ".webp", ".tif", ".bmp"):
        path = folder / f"image{suffix}"
        cv2.imwrite(str(path), picture(3))
        found.append(path)
    cv2.imwrite(str(folder / "deep.png"), picture(1).astype(np.uint16) * 257)
    return [*found, folder / "deep.png"]


VIDEOS = (
    *((".mp4", "libx264", "yuv420p"), (".mkv", "libx264", "yuv420p"), (".ts", "libx264", "yuv420p")),
    *((".avi", "mpeg4", "yuv420p"), (".mov", "prores_ks", "yuv422p10le"), (".mkv", "ffv1", "bgr0")),
    *((".mp4", "libx265", "yuv420p"), (".webm", "libvpx-vp9", "yuv420p"), (".gif", "gif", "rgb8")),
    *((".mpg", "mpeg2video", "yuv420p"), (".nut", "rawvideo", "yuv420p"), (".flv", "flv", "yuv420p")),
)


def picture(number: int) -> np.ndarray:
    y, x = np.mgrid[:48, :64]
    return np.stack([(x * 5 + number * 9) % 256, (y * 7) % 256, (x + y + number) % 256], -1).astype(np.uint8)


def video(path: Path, codec: str, form: str) -> Path:
    """Eight frames, with a title and a little sound where the container has some."""
    quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    with av.open(str(path), "w") as out:
        out.metadata["title"] = "a title"
        stream: Any = out.add_stream(codec, rate=25, options=quiet)
        stream.width, stream.height, stream.pix_fmt = 64, 48, form
        sound: Any = out.add_stream("mp2", rate=44100) if path.suffix in (".ts", ".mkv", ".avi", ".mpg") else None
        for number in range(8):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number), format="rgb24").reformat(format=form)))
        out.mux(stream.encode(None))
        if sound is not None:
            for number in range(8):
                frame = av.AudioFrame.from_ndarray(np.zeros((1, 2304), np.int16), format="s16", layout="stereo")
                frame.sample_rate, frame.pts = 44100, number * 1152
                out.mux(sound.encode(frame))
            out.mux(sound.encode(None))
    return path


def mutated(data: bytes, source: random.Random) -> bytes:
    """A few changes: bits, bytes, sizes, pieces that are cut, doubled, moved or filled."""
    changed = bytearray(data)
    for _ in range(source.choice((1, 1, 2, 4, 16, 64))):
        if not changed:
            break
        at, length = source.randrange(len(changed)), source.choice((1, 2, 4, 8, 64, 512))
        match source.randrange(8):
            case 0:
                changed[at] ^= 1 << source.randrange(8)
            case 1:
                changed[at : at + length] = source.randbytes(len(changed[at : at + length]))
            case 2:
                changed[at : at + 4] = source.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff"))
            case 3:
                del changed[at : at + length]
            case 4:
                changed[at:at] = changed[at : at + length]
            case 5:
                del changed[at:]
            case 6:
                changed[at : at + length] = b"\x1b]0;x\x07\x1b[2J\n"[:length]
            case _:
                changed[at : at + length] = bytes([source.choice((0, 255, 27, 10))]) * len(changed[at : at + length])
    return bytes(changed)


def media_cases(folder: Path, count: int, source: random.Random) -> Iterator[Case]:
    """Mostly in the first bytes, where the headers are; one of four is restored, the others are probed."""
    seeds = [(path.suffix, path.read_bytes()) for path in seeds_of_media(folder / "seeds")]
    for number in range(count):
        suffix, data = seeds[number % len(seeds)]
        head = source.choice((64, 512, 4096, len(data)))
        broken = mutated(data[:head], source) + data[head:]
        here = folder / f"m{number}"
        here.mkdir()
        (here / f"in{suffix}").write_bytes(broken)
        name = f"in{suffix}"
        if number % 4:
            yield Case(kind="media probe", arguments=["probe", name], folder=here)
        else:
            out = source.choice(("o.mkv", "o.mp4", "frames"))
            options = ["-o", out, "--scale", "1", "--dtype", "float32", "--threads", "1"]
            yield Case(kind="media upscale", arguments=["upscale", name, *options], folder=here)


# ----------------------------------------------------------------------------------------------- weights


def weights_cases(folder: Path, count: int, source: random.Random) -> Iterator[Case]:
    """Files of ``torch.save`` in both formats, safetensors and cards: mutated, and built to exhaust."""
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    state = {"module.a.weight": torch.ones(4, 3), "b": {"c": [torch.zeros(2)], "n": 3}, "text": "hello"}
    torch.save(state, folder / "new")
    torch.save(state, folder / "old", _use_new_zipfile_serialization=False)
    tiny = Path(limpid.methods.__file__).parent.parent.rglob("*.safetensors")
    shipped = next(iter(tiny)).read_bytes()
    seeds = [(folder / "new").read_bytes(), (folder / "old").read_bytes()]
    for number in range(count):
        here = folder / f"w{number}"
        here.mkdir()
        if number % 4 == 3:
            (here / "t.safetensors").write_bytes(mutated(shipped[:4096], source) + shipped[4096:])
            (here / "in.png").write_bytes(PNG)
            arguments = ["upscale", "in.png", "-o", "o", "--weights", "t.safetensors", "--threads", "1"]
            yield Case(kind="weights of tiny", arguments=arguments, folder=here)
            continue
        data = mutated(seeds[number % 2], source) if number % 4 < 2 else in_zip(program(source))
        (here / "raft-things.pth").write_bytes(data)
        kind = "weights mutated" if number % 4 < 2 else "weights built"
        yield Case(kind=kind, arguments=["weights", "convert", "raft-things", ".", "--out", "out"], folder=here)


def model_cases(folder: Path, count: int, source: random.Random) -> Iterator[Case]:
    """Image networks of ncnn, a ``.param`` and a ``.bin`` each, that are to restore a picture; 2 GiB at most."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (kind, param, weights) in enumerate(model_pairs(count, source, mutated)):
        here = folder / f"m{number}"
        here.mkdir()
        (here / "m.param").write_bytes(param)
        (here / "m.bin").write_bytes(weights)
        (here / "in.png").write_bytes(PNG)
        arguments = ["upscale", "in.png", "-o", "o", "--method", "image", "--weights", "m.param", "--threads", "1"]
        yield Case(kind=f"models {kind}", arguments=arguments, folder=here, most_bytes=2 << 30)


PNG = cv2.imencode(".png", np.zeros((32, 32, 3), np.uint8))[1].tobytes()


def in_zip(pickle: bytes) -> bytes:
    import io

    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("archive/data.pkl", pickle)
        archive.writestr("archive/byteorder", "little")
        archive.writestr("archive/data/0", b"\0" * 256)
    return data.getvalue()


def program(source: random.Random) -> bytes:
    """A pickle that asks for much: deep, long, shared, huge, or containing itself; or random instructions."""
    many = source.choice((10, 1000, 50_000))
    build: list[Callable[[], bytes]] = [
        lambda: b"\x80\x02" + b"(" * many + b"t" * many + b".",
        lambda: b"\x80\x02}q\0(U\1xh\0u.",
        lambda: b"\x80\x02]q\0" + b"h\0a" * many + b".",
        lambda: b"\x80\x02](" + b"K\1" * many + b"eq\0" + b"cbuiltins\nlist\nh\0\x85R" * (many // 4) + b"l.",
        lambda: (
            b"\x80\x02" + b"]" + b"\x94" + b"".join(b"](h" + bytes([n % 256]) + b"h\0eq\1" for n in range(40)) + b"."
        ),
        lambda: b"\x80\x02\x8b" + (1 << 16).to_bytes(4, "little") + b"\x7f" * (1 << 16) + b".",
        lambda: b"\x80\x02}(" + b"".join(b"X\5\0\0\0%05dK\1" % (n % 100_000) for n in range(many)) + b"u.",
        lambda: b"\x80\x02}" + b"(K\1K\2" * 8 + b"t" * 8 + b"K\1s.",
        lambda: b"\x80\x02cos\nsystem\nU\x04echo\x85R.",
        lambda: b"\x80\x02" + b"".join(source.choice(INSTRUCTIONS) for _ in range(many)) + b".",
        lambda: tensors(source, min(many, 2000)),
    ]
    return source.choice(build)()


INSTRUCTIONS = (
    *(b"]", b"}", b")", b"(", b"K\1", b"0", b"2", b"a", b"s", b"\x85", b"\x86", b"\x87", b"t", b"l", b"d", b"e", b"u"),
    *(b"q\0", b"h\0", b"U\1x", b"N", b"\x88", b"R", b"b", b"\x8f", b"\x90", b"\x91", b"Q", b"cbuiltins\nset\n"),
    *(
        b"ctorch._utils\n_rebuild_tensor_v2\n",
        b"ccollections\nOrderedDict\n",
        b"G\x7f\xf0\0\0\0\0\0\0",
        b"I99\n",
        b"L9L\n",
    ),
)


def tensors(source: random.Random, count: int) -> bytes:
    """Many tensors that look into one storage, in sizes that do or do not fit."""
    body = b"\x80\x02]("
    for _ in range(count):
        numbers = [source.choice((0, 1, 2, 8, 1 << 20, 1 << 62)) for _ in range(source.choice((1, 2, 20, 70)))]
        shape = b"(" + b"".join(b"\x8a\x09" + n.to_bytes(9, "little") for n in numbers) + b"t"
        body += b"ctorch._utils\n_rebuild_tensor_v2\n((U\7storagectorch\nFloatStorage\nU\x010U\3cpuK\x40tQ"
        body += b"K" + bytes([source.choice((0, 1, 63))]) + shape + shape + b"\x89}tR"
    return body + b"e."


# ------------------------------------------------------------------------------------ records, journals


def stopped_run(folder: Path) -> Path:
    """A folder with an input and the work folder of a run that was stopped after its first segment."""
    folder.mkdir(parents=True)
    video(folder / "in.mkv", "libx264", "yuv420p")

    def stop(event: dict[str, Any]) -> None:
        if event["event"] == "segment":
            raise KeyboardInterrupt

    def work() -> None:
        with contextlib.suppress(limpid.types.Interrupted):
            limpid.api.upscale(folder / "in.mkv", folder / "o.mkv", on_event=stop, segment_frames=4, threads=1, scale=1)

    aside(work)
    if not (folder / ".o.mkv.limpid" / "journal.jsonl").exists():
        raise SystemExit("no run was stopped")
    return folder


def aside(work: Callable[[], Any]) -> None:
    """In a forked process: the threads of a computation do not survive a fork, and the cases are forked from here."""
    pid = os.fork()
    if not pid:
        try:
            work()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def finished_run(folder: Path) -> Path:
    """A folder with a result, its record, and a degraded clip with its parameters."""
    folder.mkdir()
    video(folder / "in.mkv", "libx264", "yuv420p")

    def work() -> None:
        os.chdir(folder)
        limpid.api.upscale("in.mkv", "r.mkv", segment_frames=4, threads=1, scale=1)
        for pipeline in ("realbasicvsr", "simple"):
            command(["degrade", "in.mkv", f"{pipeline}.mkv", "--pipeline", pipeline, "--scale", "2", "-q"])

    aside(work)
    return folder


def places_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values in JSON."""
    found = [path] if path else []
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        found += places_in(part, (*path, key))
    return found


def edited(value: Any, source: random.Random) -> Any:
    """JSON with one value replaced or left out."""
    value = json.loads(json.dumps(value))
    path = source.choice(places_in(value))
    holder = value
    for key in path[:-1]:
        holder = holder[key]
    if source.random() < 0.15:
        del holder[path[-1]]
    elif source.random() < 0.1 and isinstance(holder, dict):
        holder[source.choice(("__class__", "\x1b[2J", "x" * 1000, ""))] = holder[path[-1]]
    else:
        holder[path[-1]] = source.choice(ODD_NUMBERS)
    return value


def edit_journal(path: Path, source: random.Random) -> None:
    """One value of one line; half of the time with checks that fit, as somebody would write who knows how."""
    from limpid.run.journal import line_check

    lines = [json.loads(line) for line in path.read_text().splitlines()]
    number = source.randrange(len(lines))
    lines[number] = edited(lines[number], source)
    if source.random() < 0.5:
        check = ""
        for line in lines:
            if isinstance(line, dict):
                line.pop("check", None)
                line["check"] = check = line_check(check, line)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def edit_record(path: Path, source: random.Random) -> None:
    if source.random() < 0.15:
        path.write_bytes(mutated(path.read_bytes(), source))
    elif source.random() < 0.05:
        path.write_text("[" * 100_000)
    else:
        path.write_text(json.dumps(edited(json.loads(path.read_text()), source)))


def record_cases(folder: Path, count: int, source: random.Random) -> Iterator[Case]:
    folder.mkdir(parents=True, exist_ok=True)
    stopped, done = stopped_run(folder / "stopped"), finished_run(folder / "done")
    again = ["upscale", "in.mkv", "-o", "o.mkv", "--segment-frames", "4", "--threads", "1", "--scale", "1", "-q"]
    small = ["--threads", "1", "-q"]
    for number in range(count):
        here = folder / f"r{number}"
        shutil.copytree(stopped if number % 5 < 3 else done, here)
        match number % 5:
            case 0 | 1:
                edit_journal(here / ".o.mkv.limpid" / "journal.jsonl", source)
                yield Case(kind="journal", arguments=again, folder=here)
            case 2:
                edit_record(here / ".o.mkv.limpid" / "scan.json", source)
                yield Case(kind="scan", arguments=again, folder=here)
            case 3:
                edit_record(here / "r.mkv.limpid.json", source)
                trust = ["--trust-sidecar"] if source.random() < 0.5 else []
                arguments = ["upscale", "--from", "r.mkv.limpid.json", "x.mkv", *trust, *small]
                yield Case(kind="sidecar", arguments=arguments, folder=here)
            case _:
                name = source.choice(("realbasicvsr.mkv", "simple.mkv"))
                edit_record(here / f"{name}.degraded.json", source)
                arguments = ["degrade", "in.mkv", "y.mkv", "--from", f"{name}.degraded.json", "-q"]
                yield Case(kind="degradation", arguments=arguments, folder=here)


# ----------------------------------------------------------------------------------------------- options


def option_cases(folder: Path, count: int, source: random.Random) -> Iterator[Case]:
    from limpid.cli.upscale import make_parser

    folder.mkdir(parents=True, exist_ok=True)
    flags = [action.option_strings[-1] for action in make_parser()._actions if action.option_strings]
    flags = [flag for flag in flags if flag not in ("--help", "--traceback")]
    values = [str(value) for value in ODD_NUMBERS if "\0" not in str(value)] + ["cuda:99999", "0:0-1e9", "1,2," * 2000]
    for number in range(count):
        here = folder / f"o{number}"
        here.mkdir()
        (here / "in.png").write_bytes(PNG)
        given = [
            word for _ in range(source.choice((1, 1, 2))) for word in (source.choice(flags), source.choice(values))
        ]
        yield Case(kind="options", arguments=["upscale", "in.png", *given, "--dry-run"], folder=here)


# -------------------------------------------------------------------------------------------------- main


def watch_others(folder: Path) -> dict[str, bytes]:
    """Files beside the cases, which nothing may touch."""
    folder.mkdir()
    for name in ("precious.txt", "in.mp4", "lock"):
        (folder / name).write_bytes(name.encode())
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("media", "weights", "models", "records", "options"):
        parser.add_argument(f"--{name}", type=int, default=20, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="limpid-fuzz-"))
    others = watch_others(folder / "others")
    os.environ["LIMPID_WEIGHTS"] = str(folder / "weights-root")
    makers = {
        "media": media_cases,
        "weights": weights_cases,
        "models": model_cases,
        "records": record_cases,
        "options": option_cases,
    }
    counts: collections.Counter[tuple[str, int]] = collections.Counter()
    slowest, bad, largest = 0.0, 0, collections.Counter[str]()
    for name, make in makers.items():
        for case in make(folder / name, getattr(options, name), random.Random(f"{options.seed} {name}")):
            code, says, seconds, peak_bytes = run(case)
            largest[case.kind] = max(largest[case.kind], peak_bytes)
            slowest = max(slowest, seconds)
            counts[case.kind, code] += 1
            wrong = judge(case, code, says, seconds, peak_bytes)
            if wrong is None:
                shutil.rmtree(case.folder)
                continue
            bad += 1
            print(f"WRONG: {wrong}: {case.kind}: {' '.join(case.arguments)[:200]} in {case.folder}", flush=True)
            print(f"       {says[-300:]!r}", flush=True)
    for (kind, code), count in sorted(counts.items()):
        print(f"{count:5d}  exit code {code:3d}  {kind} (at most {largest[kind] >> 20} MiB)")
    if {path.name: path.read_bytes() for path in (folder / "others").iterdir()} != others:
        bad += 1
        print("WRONG: a foreign file was touched")
    print(f"{sum(counts.values())} cases, {bad} wrong, the slowest took {slowest:.1f} s")
    if bad:
        sys.exit(1)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
