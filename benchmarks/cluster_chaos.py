"""Kills parts of Ray clusters at random moments while they upscale, and compares with a run that has no Ray.

    python benchmarks/cluster_chaos.py --runs 200 --minutes 10 --resume chaos.jsonl

Each run has a number, from which all follows: whether the command has a cluster of its own or uses one of two nodes;
whether workers, nodes (with the memory of objects that each holds), the book-keeper of the cluster or the command
itself are killed; how many, together or one after the other; and when, by the time since the start or by the segments
that are durable. Whatever happens, the command must end, by itself or when it is given again, with the bytes of the run
without Ray; no segment is committed twice; no process, file or shared memory of it is left. One line per run goes to
the file, and runs that stand there are not made again, so that many can be gathered piece by piece.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cluster_nodes as land
import numpy as np

from limpid.durable.files import sha256_of
from limpid.run.journal import Journal

CUT = ("--segment-frames", "8")
MOST_TRIES = 4
"""So often the command is given, the first time included; only during that one anything is killed."""
GONE_S = 15.0
"""Everything must be gone so long after the end of a command."""
SHARED = Path("/dev/shm")
OWN = ("worker", "workers", "node", "books", "command", "interrupt", "terminate")
"""What may be hit of a command with a cluster of its own."""
NODES = ("worker", "workers", "second node", "whole second node", "first node", "books", "command", "interrupt")
FATAL = {"first node", "books"}
"""After these the cluster is started again."""


@dataclass(frozen=True, kw_only=True)
class Hit:
    """What is killed, and when."""

    victim: str
    after_segments: int | None
    """So many segments are durable; None: by time alone."""
    delay_s: float


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """All that follows from the number of a run."""

    number: int
    own: bool
    hits: tuple[Hit, ...]

    @classmethod
    def of(cls, seed: int, number: int, segments: int, run_s: float) -> Scenario:
        """``run_s``: what an undisturbed run takes, about."""
        chance = random.Random(f"{seed}/{number}")
        own = chance.random() < 0.4
        count = chance.choice((1, 1, 2, 2, 3))
        victims = [chance.choice(OWN if own else NODES) for _ in range(count)]
        together = chance.random() < 0.5
        moments = [_moment(chance, segments, run_s) for _ in range(1 if together else count)]
        hits = [
            Hit(victim=v, after_segments=m[0], delay_s=m[1]) for v, m in zip(victims, moments * count, strict=False)
        ]
        return cls(number=number, own=own, hits=tuple(hits))


def _moment(chance: random.Random, segments: int, run_s: float) -> tuple[int | None, float]:
    if chance.random() < 0.3:
        return None, chance.uniform(0, run_s)
    return chance.randrange(1, segments), chance.choice((0.0, 0.0, chance.uniform(0, 0.3)))


@dataclass
class Result:
    """What became of a run."""

    number: int
    own: bool
    hits: list[dict[str, Any]]
    struck: list[str] = field(default_factory=list)
    """Victims that were there."""
    codes: list[int] = field(default_factory=list)
    """Exit codes of the command, one for each time that it was given."""
    kept: int = 0
    """Segments that a later command found in the journal."""
    faults: list[str] = field(default_factory=list)
    said: str = ""
    seconds: float = 0.0


# ------------------------------------------------------------------------------------------------------------- killing


@dataclass
class Field:
    """Where runs take place: a folder, and a cluster that is there as long as it lives."""

    folder: Path
    nodes: land.Nodes | None = None

    def cluster(self) -> land.Nodes:
        if self.nodes is None:
            self.nodes = land.Nodes(self.folder, 2)
        return self.nodes

    def mend(self, struck: list[str]) -> list[str]:
        """Make the cluster whole again, or let it go."""
        if self.nodes is None:
            return []
        if FATAL & set(struck):
            return self.end()
        if any("second node" in name for name in struck):
            self.nodes.add()
        return []

    def end(self) -> list[str]:
        """End the cluster; what is left of ours. Processes of Ray that outlive theirs for a minute are ended."""
        if self.nodes is not None:
            self.nodes.close()
            self.nodes = None
        for pid, words in land.processes_of(self.folder).items():
            if words.startswith(("ray::DashboardAgent", "ray::RuntimeEnvAgent")):
                land.kill(pid)
        return [f"after the cluster: {words[:80]}" for words in land.gone(self.folder, GONE_S).values()]


def strike(victim: str, run: land.Command, place: Field, own: bool) -> bool:
    """Kill; False where there was nothing to kill."""
    if victim in ("command", "interrupt", "terminate"):
        number = {"command": signal.SIGKILL, "interrupt": signal.SIGINT, "terminate": signal.SIGTERM}[victim]
        if run.process.poll() is None:
            run.process.send_signal(number)
            return True
        return False
    pids = _victims(victim, place, own)
    for pid in pids:
        land.kill(pid)
    return bool(pids)


def _victims(victim: str, place: Field, own: bool) -> list[int]:
    if victim in ("worker", "workers"):
        return land.actors(place.folder)[: 1 if victim == "worker" else None]
    if victim == "books":
        return land.books(place.folder)
    if own:
        return land.raylets(place.folder)
    first, *others = place.cluster().raylets
    if victim == "first node":
        return [first]
    return [p for pid in others[-1:] for p in ([pid, *_below(pid)] if victim.startswith("whole") else [pid])]


def _below(pid: int) -> list[int]:
    """Children of a process."""
    found = []
    for place in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            if place.name.isdigit() and int((place / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(place.name))
    return found


def strike_all(scenario: Scenario, run: land.Command, place: Field) -> list[str]:
    """Kill what the scenario says when it says so, until the command ends."""
    began, struck, left = time.monotonic(), [], list(scenario.hits)
    since: dict[int, float] = {}
    while left and run.process.poll() is None:
        done = len(run.named("segment"))
        for hit in list(left):
            if hit.after_segments is not None and done >= hit.after_segments:
                since.setdefault(hit.after_segments, time.monotonic())
            start = began if hit.after_segments is None else since.get(hit.after_segments)
            if start is not None and time.monotonic() - start >= hit.delay_s:
                left.remove(hit)
                if strike(hit.victim, run, place, scenario.own):
                    struck.append(hit.victim)
        time.sleep(0.002)
    return struck


# ------------------------------------------------------------------------------------------------------------- one run


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The film, and what a run without Ray makes of it."""

    film: Path
    digest: str
    segments: int


def play(scenario: Scenario, place: Field, truth: Truth) -> Result:
    """One run, and the same command until it ends well."""
    result = Result(number=scenario.number, own=scenario.own, hits=[asdict(hit) for hit in scenario.hits])
    began, shared = time.monotonic(), set(SHARED.iterdir())
    with tempfile.TemporaryDirectory(prefix="lo-", dir="/tmp") as folder:
        output, made = Path(folder) / "a.mp4", set[int]()
        for attempt in range(MOST_TRIES):
            where = ("--workers", "2") if scenario.own else ("--cluster", place.cluster().address)
            run = land.upscale(place.folder, truth.film, output, *CUT, *where)
            if attempt == 0:
                result.struck = strike_all(scenario, run, place)
            code = _code(run, result)
            result.codes.append(code)
            _check_end(result, run, code)
            _check_once(result, run, output, made, truth, whole=code == 0)
            if not scenario.own:
                result.faults += place.mend(result.struck if attempt == 0 else [])
            if code == 0:
                break
        if result.codes[-1] != 0:
            result.faults.append("it never ended well")
        elif sha256_of(output) != truth.digest:
            result.faults.append("DIFFERENT BYTES")
        elif (names := sorted(path.name for path in Path(folder).iterdir())) != ["a.mp4", "a.mp4.limpid.json"]:
            result.faults.append(f"beside the output: {names}")
    result.faults += _left(place, shared, own=scenario.own)
    result.seconds = round(time.monotonic() - began, 1)
    return result


def _code(run: land.Command, result: Result) -> int:
    """The exit code; a command that hangs is ended, and says where it was."""
    try:
        return run.wait()
    except subprocess.TimeoutExpired:
        result.faults.append("it hung")
        run.process.send_signal(signal.SIGABRT)  # PYTHONFAULTHANDLER
        code = run.wait()
        result.said += "".join(run.said)[-6000:]
        return code


def _check_end(result: Result, run: land.Command, code: int) -> None:
    """A command that was not killed ends with a code of its own and a sentence."""
    if code in (0, -signal.SIGKILL):
        return
    early = not run.events and set(result.struck) & {"interrupt", "terminate"}
    result.said += f"[{code}] {run.messages[-400:]}"
    if early and code in (-signal.SIGINT, -signal.SIGTERM, 130, 143):  # before it had its own way to end
        return
    in_words = any(line.startswith("limpid: ") for line in run.said)
    if code < 0 or code == 70 or "Traceback" in run.messages or not in_words:
        result.faults.append(f"it ended with {code}")


def _check_once(result: Result, run: land.Command, output: Path, made: set[int], truth: Truth, *, whole: bool) -> None:
    """Nothing that the journal had is committed again; at the end all is."""
    now = [event["index"] for event in run.named("segment")]
    if len(set(now)) != len(now) or made & set(now):
        result.faults.append(f"committed twice: {sorted(made & set(now)) or now}")
    made |= set(now)
    if whole:
        if len(made) != truth.segments:
            result.faults.append(f"{len(made)} of {truth.segments} segments were committed")
        return
    journal = Journal.load(output.parent / f".{output.name}.limpid")
    if journal is not None:
        written = [json.loads(line) for line in (journal.folder / "journal.jsonl").read_bytes().splitlines()]
        indices = [line["segment"]["index"] for line in written if "segment" in line]
        if len(set(indices)) != len(indices) or not made <= set(indices):
            result.faults.append(f"the journal has {indices}, told were {sorted(made)}")
        made |= set(indices)
        result.kept = len(made)


def _left(place: Field, shared: set[Path], *, own: bool) -> list[str]:
    """Processes, files and shared memory that a run should not have left; each is waited for."""
    until = time.monotonic() + GONE_S
    while (found := _now_left(place, shared, own)) and time.monotonic() < until:
        time.sleep(0.2)
    return found


def _now_left(place: Field, shared: set[Path], own: bool) -> list[str]:
    processes = land.processes_of(place.folder)
    if place.nodes is not None:
        mine = [words for words in processes.values() if words.startswith(land.ACTOR) or "limpid" in words]
        mine = [words for words in mine if "cluster_nodes.py" not in words]
    else:
        mine = list(processes.values())
    files = [path.name for path in place.folder.rglob("limpid-*")]
    files += [path.name for path in SHARED.iterdir() if path not in shared]
    return [f"left: {name[:100]}" for name in (*mine, *files)]


# ------------------------------------------------------------------------------------------------------------- all runs


def make_film(path: Path) -> Path:
    """160 small frames in three shots."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "helpers"))
    import media

    def draw(index: int) -> np.ndarray:
        return media.shot_picture(index, 64, 48, [50, 90])

    return Path(media.make_video(path, width=64, height=48, frames=160, draw=draw))


def truth_of(folder: Path) -> Truth:
    film = make_film(folder / "film.mp4")
    run = land.upscale(folder, film, folder / "alone.mp4", *CUT)
    if run.wait() != 0:
        raise SystemExit(run.messages)
    told = run.named("segment")
    return Truth(film=film, digest=sha256_of(folder / "alone.mp4"), segments=told[0]["of"])


def told_of(result: Result) -> str:
    state = "FAULT " + "; ".join(result.faults) if result.faults else "equal"
    where = "own" if result.own else "two nodes"
    hit = "+".join(result.struck) or "nothing hit"
    return f"run {result.number:3d}: {where}, {hit}: {result.codes}, {state} ({result.seconds} s)"


def summary(results: list[dict[str, Any]]) -> None:
    counts = collections.Counter(name for result in results for name in result["struck"])
    again = sum(len(result["codes"]) > 1 for result in results)
    faults = [result for result in results if result["faults"]]
    for name, count in sorted(counts.items()):
        print(f"{count:4d}  {name}")
    print(f"{len(results)} runs, {sum(counts.values())} hits, {again} given again, {len(faults)} with faults")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, nargs="+", help="numbers of runs")
    parser.add_argument("--minutes", type=float, default=600, help="begin no run after this time")
    parser.add_argument("--resume", type=Path, default=Path("chaos.jsonl"), help="what is done, a line per run")
    parser.add_argument("--run-seconds", type=float, default=12, help="of an undisturbed run, about")
    options = parser.parse_args()
    done = [json.loads(line) for line in options.resume.read_text().splitlines()] if options.resume.exists() else []
    known, stop = {result["number"] for result in done}, time.monotonic() + 60 * options.minutes
    with (
        land.short_folder() as home,
        land.short_folder() as own,
        land.short_folder() as shared,
        options.resume.open("a") as file,
    ):
        truth, fields = truth_of(home), {True: Field(own), False: Field(shared)}
        for number in options.only or range(options.runs):
            if number in known or time.monotonic() > stop:
                continue
            scenario = Scenario.of(options.seed, number, truth.segments, options.run_seconds)
            result = play(scenario, fields[scenario.own], truth)
            file.write(json.dumps(asdict(result)) + "\n")
            file.flush()
            done.append(asdict(result))
            print(told_of(result), flush=True)
        for left in fields[False].end():
            print(left)
    summary(done)
    sys.exit(any(result["faults"] for result in done))


if __name__ == "__main__":
    main()
