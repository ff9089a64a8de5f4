"""The small process around one job: it writes down how the job ended, and ends it when the server is gone.

``python -m limpid.serve.runner FOLDER ATTEMPT GRACE -- COMMAND``. Whatever kills the server closes the pipe on stdin;
then the job is asked to stop, as Ctrl-C would, and keeps its finished segments. The lock of the folder is held by
this process and by the job itself, so that a job whose runner was killed is still seen, and cannot be doubled.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from limpid.durable.files import write_atomic
from limpid.durable.lock import acquire
from limpid.types import OutputError

LOCKED = 75
"""EX_TEMPFAIL: another process works on this job."""
EVENTS, LOG_NAME, EXIT = "events-{}.jsonl", "log.txt", "exit-{}.json"


def _main(arguments: list[str]) -> int:
    folder, attempt, grace_s, command = Path(arguments[0]), int(arguments[1]), float(arguments[2]), arguments[4:]
    for number in (signal.SIGINT, signal.SIGTERM):  # those are for the job; handlers are not inherited by it
        signal.signal(number, lambda *_: None)
    try:
        lock = acquire(folder)
    except OutputError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return LOCKED
    code = run_job(folder, attempt, command, grace_s, lock.fileno())
    write_atomic(folder / EXIT.format(attempt), json.dumps({"code": code}))
    lock.close()
    return 0


def run_job(folder: Path, attempt: int, command: list[str], grace_s: float, lock: int) -> int:
    """The exit code of the command, negative for a signal; its events and its log are in files when it ends."""
    keep: Any = {"pass_fds": (lock,)} if os.name != "nt" else {}
    with (folder / EVENTS.format(attempt)).open("ab") as events, (folder / LOG_NAME).open("ab") as log:
        try:
            job = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=events, stderr=log, **keep)
        except OSError as error:
            log.write(f"limpid: {command[0]} cannot be started: {error.strerror}\n".encode())
            return 127
        threading.Thread(target=_stop_with_the_server, args=(job, grace_s), daemon=True).start()
        return int(job.wait())


def _stop_with_the_server(job: subprocess.Popen[bytes], grace_s: float) -> None:
    with contextlib.suppress(OSError):
        while os.read(sys.stdin.fileno(), 64):
            pass
    job.terminate()
    try:
        job.wait(grace_s)
    except subprocess.TimeoutExpired:
        job.kill()


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
