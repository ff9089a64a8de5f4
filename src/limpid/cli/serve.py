"""``limpid serve``: the page with the queue, and the HTTP interface."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from limpid.cli.parser import Parser, parse
from limpid.machine_options import WAIT_S
from limpid.types import SettingsError

USAGE = "limpid serve [--root DIR]... [options]"
DESCRIPTION = """A page with a queue in the browser, and an HTTP interface for programs (docs/serve.md).

The queue goes on without the page, and after a restart.
Only this machine can reach it unless --host says otherwise.
"""
_NEEDED = ("fastapi", "uvicorn")


def make_parser() -> Parser:
    parser = Parser("limpid serve", usage=USAGE, description=DESCRIPTION)
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="where to listen (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8765, metavar="N", help="(default: 8765; 0: any that is free)")
    parser.add_argument(
        "--root",
        action="append",
        metavar="DIR",
        help="a folder whose files may be used, again for more (default: home)",
    )
    parser.add_argument("--state", metavar="DIR", help="where the queue is kept (default: a folder of the user's)")
    parser.add_argument("--token", metavar="TEXT", help="what others must know; made and shown where it is needed")
    parser.add_argument("--allow-host", action="append", metavar="NAME", help="a further name of this machine")
    parser.add_argument("--certfile", metavar="FILE", help="certificate for https")
    parser.add_argument("--keyfile", metavar="FILE", help="its private key")
    parser.add_argument("--at-once", type=int, metavar="N", help="jobs at the same time (default: one per device)")
    parser.add_argument("--workers", metavar="auto|N|NAMES", help="divide every job, as limpid upscale --workers does")
    parser.add_argument("--cluster", metavar="ADDRESS", help="compute every job on a Ray cluster")
    parser.add_argument("--mixed", action="store_true", help="let unlike workers in, as limpid upscale --mixed does")
    parser.add_argument("--wait-s", type=int, default=WAIT_S, metavar="N", help="seconds to wait for the first worker")
    parser.add_argument("--no-browser", action="store_true", help="do not open the page")
    return parser


def command(arguments: list[str]) -> int:
    """Serve until Ctrl-C; returns 0."""
    options = parse(make_parser(), arguments)
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise SettingsError(f"limpid serve needs {' and '.join(missing)}: pip install 'limpid-video[serve]'")
    from limpid.serve.running import make_config, serve

    config = make_config(
        host=options.host,
        port=options.port,
        roots=options.root,
        state=Path(options.state) if options.state else None,
        token=options.token,
        hosts=options.allow_host or [],
        certfile=options.certfile,
        keyfile=options.keyfile,
        at_once=options.at_once,
        workers=options.workers,
        cluster=options.cluster,
        mixed=options.mixed,
        wait_s=options.wait_s,
    )
    return serve(config, open_browser=not options.no_browser)
