"""``limpid methods``: what can be chosen with ``--method``."""

from __future__ import annotations

import json
from typing import Any

from limpid.cli.parser import Parser, parse
from limpid.types import WeightsError


def make_parser() -> Parser:
    parser = Parser(
        "limpid methods", usage="limpid methods [--json]", description="List the methods of limpid upscale."
    )
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    return parser


def command(arguments: list[str]) -> int:
    """Print every method with its default steps, scale and the state of its weights; returns 0."""
    options = parse(make_parser(), arguments)
    rows = describe_methods()
    if options.json:
        print(json.dumps(rows, indent=2))
    else:
        print("\n".join(_line(name, row) for name, row in rows.items()))
    return 0


def describe_methods() -> dict[str, dict[str, Any]]:
    """Name -> summary, scale, steps, weights, the options that are not refused; or what is wrong with it."""
    from limpid.methods import method_names

    return {name: _describe(name) for name in sorted(method_names())}


def _describe(name: str) -> dict[str, Any]:
    from limpid.methods import SUMMARIES, find_method, options_with_effect

    try:
        method = find_method(name)
        sha256 = method.weights.digest()
    except WeightsError:
        where = "name them by --weights" if name == "image" else f"limpid weights fetch {name} says where they are"
        return {"summary": SUMMARIES.get(name, name), "missing": where}
    except Exception as error:  # noqa: BLE001  a broken plugin must not hide the other methods
        return {"problem": " ".join(f"{type(error).__name__}: {error}".split())}
    facts = {"summary": method.summary, "scale": method.scale, "steps": method.steps, "weights_sha256": sha256}
    return {**facts, "options": options_with_effect(name, method)}


def _line(name: str, row: dict[str, Any]) -> str:
    if "problem" in row:
        return f"{name:<16} cannot be used: {row['problem']}"
    if "missing" in row:
        return f"{name:<16} {row['summary']}\n{'':<16} its weights are not here: {row['missing']}"
    return f"{name:<16} {row['summary']} (x{row['scale']}, {row['steps']} steps by default)"
