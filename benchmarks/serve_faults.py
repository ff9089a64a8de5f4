"""Random kills of ``limpid serve`` and of its jobs: nothing is lost, and nothing is made twice.

    python benchmarks/serve_faults.py [--kills 100] [--jobs 40] [--seed 0]

Each kill is SIGKILL of the server, of a whole job, of the small process around it, or of the engine alone, at a random
moment. The fake engine notes in a file whenever it publishes a result.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "helpers"))

from serving import Client, Killable, film

TARGETS = ("server", "job", "runner", "engine")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="limpid-faults-") as folder:
        os.chdir(folder)
        told = story(Path(folder), options)
    print(json.dumps(told, indent=2))
    return 0 if told["wrong"] == [] else 1


def story(folder: Path, options: argparse.Namespace) -> dict[str, object]:
    rng, server = random.Random(options.seed), Killable(folder, at_once=2)
    client = server.start()
    jobs = [add(server, client, number) for number in range(options.jobs)]
    killed: collections.Counter[str] = collections.Counter()
    while sum(killed.values()) < options.kills:
        time.sleep(rng.uniform(0.05, 0.8))
        target = rng.choice(TARGETS)
        client, done = kill(server, client, target)
        killed[target] += done
        if done and not any(job["state"] in ("queued", "running") for job in states(client)):
            jobs.append(add(server, client, len(jobs)))
    wrong = [problem for number, job in enumerate(jobs) if (problem := looked_at(server, client, number, job))]
    left = [path.name for path in server.root.glob(".*")]
    attempts = sum(client.get(f"/jobs/{job}").json["attempt"] for job in jobs)
    server.stop()
    return {"kills": dict(killed), "jobs": len(jobs), "attempts": attempts, "left_behind": left, "wrong": wrong}


def add(server: Killable, client: Client, number: int) -> str:
    answer = client.post("/jobs", {"input": film(server.root / f"{number}.mp4", segments=20, delay_s=0.05)})
    return str(answer.json["id"])


def states(client: Client) -> list[dict[str, object]]:
    return list(client.get("/jobs?limit=500").json["jobs"])


def kill(server: Killable, client: Client, target: str) -> tuple[Client, bool]:
    """Kill something; a server is started again. Whether there was anything to kill."""
    if target == "server":
        server.kill()
        return server.start(), True
    assert server.process is not None
    runners = psutil.Process(server.process.pid).children()
    runners = [each for each in runners if "limpid.serve.runner" in " ".join(command_of(each))]
    if not runners:
        return client, False
    with contextlib.suppress(psutil.Error, ProcessLookupError):
        if target == "job":
            os.killpg(runners[0].pid, signal.SIGKILL)
        elif target == "runner":
            runners[0].kill()
        else:
            for engine in runners[0].children():
                engine.kill()
    return client, True


def command_of(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def looked_at(server: Killable, client: Client, number: int, job: str) -> str | None:
    """What is wrong with a job in the end; None when it was made once."""
    found = client.wait(job, "done", "failed", "cancelled")
    if found["state"] == "failed" and "killed 3 times in a row" in found["error"]["message"]:
        client.post(f"/jobs/{job}/retry")  # as a person would; three kills without a segment between them
        found = client.wait(job, "done", "failed", "cancelled")
    output = server.root / f"{number}_x4.mp4"
    made = output.with_name(output.name + ".made")
    if found["state"] != "done" or not output.is_file():
        return f"job {number}: {found['state']} {found['error']}"
    times = made.read_text().count("made")
    return None if times == 1 and len(output.read_text()) == 20 * 64 else f"job {number}: made {times} times"


if __name__ == "__main__":
    sys.exit(main())
