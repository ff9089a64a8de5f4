"""Load on ``limpid serve``: many queued jobs of a fake engine, streams of events, clients that poll.

    python benchmarks/serve_load.py [--jobs 200] [--streams 50] [--pollers 20] [--seconds 30] [--json FILE]

The server is a process of its own on a free port of this machine. Told are: the events that each stream missed or saw
twice, the memory of the server, and how long `GET /jobs/ID` takes: while everybody asks, and with one client alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "helpers"))

from serving import HERE

POLL_S = 0.5
"""Pause of a polling client; the page polls nothing at all."""


@dataclass
class Found:
    """What was measured."""

    times_s: list[float] = field(default_factory=list)
    streams: list[list[int]] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)


def main() -> int:
    options = parsed()
    with tempfile.TemporaryDirectory(prefix="limpid-load-") as folder:
        told = asyncio.run(story(Path(folder), options))
    print(json.dumps(told, indent=2))
    if options.json:
        Path(options.json).write_text(json.dumps(told, indent=2) + "\n")
    return 0 if told["lost"] == told["doubled"] == 0 and told["jobs_done"] == options.jobs else 1


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("jobs", 200), ("streams", 50), ("pollers", 20), ("seconds", 30)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", help="write the numbers into this file, too")
    return parser.parse_args()


def start(folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    """A server with the fake engine, and its port."""
    code = (
        "import dataclasses, sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path\n"
        "from serving import fake_config; from limpid.serve.running import serve\n"
        "config = fake_config(Path(sys.argv[2]) / 'state', Path(sys.argv[2]) / 'films', port=0, tick_s=0.25)\n"
        "serve(config, open_browser=False)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(HERE), str(folder)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    line = process.stdout.readline().decode()
    return process, int(line.strip().rstrip("/").rsplit(":", 1)[1])


async def story(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    process, port = start(folder)
    found = Found()
    try:
        films = folder / "films"
        for number in range(options.jobs):
            (films / f"{number}.mp4").write_text(json.dumps({"segments": 4, "delay_s": 0.005}))
        await call(port, "PATCH", "/queue", {"paused": True})
        streams = [asyncio.create_task(listen(port, found)) for _ in range(options.streams)]
        created = time.perf_counter()
        jobs = [
            (await call(port, "POST", "/jobs", {"input": str(films.resolve() / f"{n}.mp4")}))[1]["id"]
            for n in range(options.jobs)
        ]
        created = time.perf_counter() - created
        pollers = [asyncio.create_task(poll(port, jobs, found, n)) for n in range(options.pollers)]
        await asyncio.sleep(options.seconds / 3)
        queued = list(found.times_s)
        await call(port, "PATCH", "/queue", {"paused": False, "at_once": 2})
        await until_done(port, process.pid, found, options.jobs)
        busy = found.times_s[len(queued) :]
        for task in pollers:
            task.cancel()
        quiet = await alone(port, jobs)
        newest = await newest_event(port)
        await asyncio.sleep(1.0)
        for task in streams:
            task.cancel()
        return summary(found, options, newest, created, {"queued": queued, "running": busy, "alone": quiet})
    finally:
        process.terminate()
        process.wait(30)


def summary(
    found: Found, options: argparse.Namespace, newest: int, created_s: float, times: dict[str, list[float]]
) -> dict[str, Any]:
    lost = sum(newest - len(set(seen)) - (min(seen) - 1) for seen in found.streams)
    doubled = sum(len(seen) - len(set(seen)) for seen in found.streams)
    in_order = all(seen == sorted(seen) for seen in found.streams)
    milliseconds = {
        name: {"median": milli(statistics.median(each)), "p99": milli(quantile(each, 0.99)), "count": len(each)}
        for name, each in times.items()
    }
    return {
        "jobs": options.jobs,
        "jobs_done": options.jobs,
        "streams": options.streams,
        "pollers": options.pollers,
        "events": newest,
        "lost": lost,
        "doubled": doubled,
        "in_order": in_order,
        "state_ms": milliseconds,
        "create_ms": milli(created_s / options.jobs),
        "server_mib": round(max(found.memory) / 2**20, 1),
        "statuses": found.statuses,
    }


def milli(seconds: float) -> float:
    return round(1000 * seconds, 1)


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


async def call(port: int, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """One request on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        data = b"" if body is None else json.dumps(body).encode()
        kind = "" if body is None else "Content-Type: application/json\r\n"
        head = f"{method} /api/v1{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n{kind}"
        writer.write(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        answer = await reader.read()
        head_bytes, _, content = answer.partition(b"\r\n\r\n")
        return int(head_bytes.split()[1]), json.loads(content) if content else None
    finally:
        writer.close()


async def listen(port: int, found: Found) -> None:
    """Keep the numbers of all events of a stream."""
    seen: list[int] = []
    found.streams.append(seen)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    writer.write(f"GET /api/v1/events?after=0 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    while line := await reader.readline():
        if line.startswith(b"id: "):
            seen.append(int(line[4:]))


async def poll(port: int, jobs: list[str], found: Found, seed: int) -> None:
    rng = random.Random(seed)
    while True:
        began = time.perf_counter()
        status, _ = await call(port, "GET", f"/jobs/{rng.choice(jobs)}")
        found.times_s.append(time.perf_counter() - began)
        found.statuses[status] = found.statuses.get(status, 0) + 1
        await asyncio.sleep(POLL_S * rng.uniform(0.5, 1.5))


async def until_done(port: int, pid: int, found: Found, count: int) -> None:
    while True:
        found.memory.append(resident_bytes(pid))
        _, told = await call(port, "GET", "/jobs?state=done&limit=1")
        if told["total"] >= count:
            return
        await asyncio.sleep(0.5)


async def alone(port: int, jobs: list[str]) -> list[float]:
    times = []
    for job in jobs[:100]:
        began = time.perf_counter()
        await call(port, "GET", f"/jobs/{job}")
        times.append(time.perf_counter() - began)
    return times


async def newest_event(port: int) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    while line := await reader.readline():
        if line.startswith(b"data: "):
            writer.close()
            return int(json.loads(line[6:])["last"])
    raise RuntimeError("the stream of events said nothing")


def resident_bytes(pid: int) -> int:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    sys.exit(main())
