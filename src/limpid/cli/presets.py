"""``limpid presets``: settings under a name, those that come with Limpid and the user's own."""

from __future__ import annotations

import argparse
import json
import shlex
from typing import Any

from limpid.cli.options import add_settings, given_settings
from limpid.cli.parser import Parser, parse
from limpid.presets import LOOKS, Preset, delete_preset, list_presets, load_preset, presets_folder, save_preset
from limpid.serve.arguments import words_of
from limpid.settings import Settings
from limpid.types import SettingsError

USAGE = """limpid presets [--json]
       limpid presets show NAME [--json]
       limpid presets save NAME [--description TEXT] OPTIONS of limpid upscale
       limpid presets remove NAME"""
DESCRIPTION = """Settings under a name, for limpid upscale --preset-look NAME and for the page of limpid serve.

Those by content come with Limpid and are starting points. Your own are files in a folder of yours.
Options that are said besides a preset win over it.
"""
ACTIONS = ("list", "show", "save", "remove")


def make_parser() -> Parser:
    parser = Parser("limpid presets", usage=USAGE, description=DESCRIPTION)
    parser.add_argument("action", nargs="?", default="list", metavar="ACTION", choices=ACTIONS, help=argparse.SUPPRESS)
    parser.add_argument("name", nargs="?", metavar="NAME", help=argparse.SUPPRESS)
    parser.add_argument("--description", default="", metavar="TEXT", help="save: what it is for")
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_settings(parser, shown=False)
    return parser


def command(arguments: list[str]) -> int:
    """List, show, save or remove presets; returns 0."""
    options = parse(make_parser(), arguments)
    given = given_settings(options)
    if given and options.action != "save":
        raise SettingsError(f"--{next(iter(given)).replace('_', '-')} is for limpid presets save; leave it out")
    if options.action == "list":
        _list(options)
        return 0
    if options.name is None:
        raise SettingsError(f"name the preset: limpid presets {options.action} NAME (see limpid presets --help)")
    if options.action == "show":
        _show(load_preset(options.name), as_json=options.json)
    elif options.action == "save":
        _save(options.name, options.description, given)
    else:
        delete_preset(options.name)
        print(f"removed {options.name}")
    return 0


def _list(options: argparse.Namespace) -> None:
    if options.name is not None:
        raise SettingsError("limpid presets list takes no name; limpid presets show NAME shows one")
    own = list_presets()
    if options.json:
        print(json.dumps([_facts(preset) for preset in (*LOOKS.values(), *own)], indent=2))
        return
    for preset in (*LOOKS.values(), *own):
        print(f"{preset.name:<16} {preset.description or command_words(preset)}")
    if not own:
        print(f"\nNone of your own in {presets_folder()}; limpid presets save NAME OPTIONS keeps one.")


def _show(preset: Preset, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(_facts(preset), indent=2))
        return
    print("\n".join(filter(None, (preset.name, preset.description, command_words(preset)))))


def _save(name: str, description: str, given: dict[str, Any]) -> None:
    if not given:
        raise SettingsError("name at least one option to keep, for instance --detail 0.8 (see limpid upscale --help)")
    values = Settings().replace(**given).to_dict()
    preset = Preset(name=name, description=description, settings={option: values[option] for option in given})
    save_preset(preset)
    print(f"{name}: {command_words(preset)}")


def command_words(preset: Preset) -> str:
    """The options that a preset stands for, as they are typed."""
    return shlex.join(words_of(Settings.from_dict(preset.settings)))


def _facts(preset: Preset) -> dict[str, Any]:
    about = {"name": preset.name, "description": preset.description, "builtin": preset.name in LOOKS}
    return {**about, "settings": dict(preset.settings)}
