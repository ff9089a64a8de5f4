"""``limpid queue``: the queue of a running ``limpid serve``, from the command line."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from limpid.cli.options import add_settings, given_settings
from limpid.cli.parser import Parser, parse
from limpid.cli.words import counts, shown
from limpid.serve.client import ServerClient
from limpid.settings import Settings
from limpid.types import SettingsError

USAGE = """limpid queue add INPUT [OUTPUT] [options of limpid upscale]
       limpid queue list [--all]
       limpid queue cancel|pause|resume|retry JOB..."""
DESCRIPTION = """The queue of a running limpid serve, here or elsewhere.

Paths are those of the machine on which it runs. $LIMPID_SERVER and $LIMPID_TOKEN stand for --server
and --token.
"""
ACTIONS = ("add", "list", "cancel", "pause", "resume", "retry")


def make_parser() -> Parser:
    parser = Parser("limpid queue", usage=USAGE, description=DESCRIPTION)
    parser.add_argument("action", metavar="ACTION", choices=ACTIONS, help=argparse.SUPPRESS)
    parser.add_argument("names", nargs="*", metavar="NAME", help=argparse.SUPPRESS)
    parser.add_argument("--server", metavar="URL", help="its address (default: http://127.0.0.1:8765)")
    parser.add_argument("--token", metavar="TEXT", help="what it wants to be told")
    parser.add_argument(
        "--preset-look", "--use-preset", metavar="NAME", help="add: settings kept under that name by the server"
    )
    parser.add_argument("--overwrite", action="store_true", help="add: replace an output that exists")
    parser.add_argument("--all", action="store_true", help="list: those that are over, too")
    parser.add_argument("--json", action="store_true", help="what the server answers, as JSON")
    add_settings(parser, shown=False)
    return parser


def command(arguments: list[str]) -> int:
    """Ask the server, and print what it answers; returns 0."""
    options = parse(make_parser(), arguments)
    client = ServerClient.from_environment(options.server, options.token)
    if options.action == "add":
        found = [_add(client, options)]
    elif options.action == "list":
        found = _list(client, options)
    else:
        found = _act(client, options)
    _tell(found, as_json=options.json)
    return 0


def _add(client: ServerClient, options: argparse.Namespace) -> Any:
    if not 1 <= len(options.names) <= 2:
        raise SettingsError("name an input, and an output if it is not to lie beside it (see limpid queue --help)")
    given = given_settings(options)
    settings = Settings().replace(**given).to_dict()
    source, output = (*map(_absolute, options.names), None)[:2]
    body = {"input": source, "output": output, "preset": options.preset_look, "overwrite": options.overwrite}
    return client.call("POST", "/jobs", {**body, "settings": {name: settings[name] for name in given}})


def _absolute(name: str) -> str:
    """A path for the server; one that ends in a slash is a folder."""
    return str(Path(name).expanduser().absolute()) + ("/" if name.endswith(("/", os.sep)) else "")


def _list(client: ServerClient, options: argparse.Namespace) -> list[Any]:
    if options.names:
        raise SettingsError("limpid queue list takes no names")
    states = "" if options.all else "&state=queued,running,paused"
    jobs: list[Any] = client.call("GET", f"/jobs?limit=500{states}")["jobs"]
    return sorted(jobs, key=lambda job: (job["state"] != "running", job["position"] is None, job["position"] or 0))


def _act(client: ServerClient, options: argparse.Namespace) -> list[Any]:
    if not options.names:
        raise SettingsError(f"name the jobs to {options.action}; limpid queue list shows them")
    return [client.call("POST", f"/jobs/{name}/{options.action}") for name in options.names]


def _tell(jobs: list[Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(jobs, indent=2))
        return
    for job in jobs:
        print(f"{job['id']}  {job['state']:<9}  {shown(job['input'])} -> {shown(job['output'])}{_more(job)}")


def _more(job: dict[str, Any]) -> str:
    if job.get("error"):
        return f"  ({job['error']['message']})"
    return f"  ({counts(job['progress'])})" if job.get("progress") else ""
