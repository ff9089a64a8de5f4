"""``limpid train``: runs recipes, lists them, prepares clips."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limpid.cli.parser import Parser, parse
from limpid.cli.words import shown
from limpid.types import SettingsError

if TYPE_CHECKING:
    from limpid.train.source import BatchSource
    from limpid.train.stage import Recipe, Stage
    from limpid.train.validation import Validation

USAGE = """limpid train --recipe NAME --data DIR --out RUN [options]
       limpid train recipes [--json]
       limpid train prepare DATA OUT [options]
       limpid train latents --recipe NAME --data DIR --weights DIR --out DIR [options]"""
DESCRIPTION = """Train networks by a recipe: a list of stages with their data, losses and steps.

The same command goes on where it stopped, and the result is as if it had never stopped.
RUN/final is what limpid upscale --weights takes. docs/training.md has the details.

  recipes    what there is to train
  prepare    make degraded clips beforehand (see limpid train prepare --help)
  latents    run a trained denoiser over prepared clips, for its decoder to learn from"""


def command(arguments: list[str]) -> int:
    """Train, or run one of the other actions. Raises LimpidError."""
    if arguments and arguments[0] in ACTIONS:
        return ACTIONS[arguments[0]](arguments[1:])
    options = parse(make_parser(), arguments)
    recipe = resolved(options)
    return _show_plan(options, recipe) if options.dry_run else _train(options, recipe)


def make_parser() -> Parser:
    parser = Parser("limpid train", usage=USAGE, description=DESCRIPTION)
    what = parser.add_argument_group("what")
    what.add_argument("--recipe", metavar="NAME", required=True, help="a name, or a Python file with RECIPE")
    what.add_argument("--data", metavar="DIR", help="videos, frame folders, photos, tar shards")
    what.add_argument("--keep-out", metavar="NAME", nargs="+", default=[], help="names in DIR not to train on")
    what.add_argument("--out", metavar="RUN", help="folder of the run; the same one goes on with it")
    what.add_argument("--start", metavar="PATH", help="weights that the first stage starts from")
    what.add_argument("--assets", metavar="DIR", help="local files of losses, as LPIPS (default: weights folder)")
    what.add_argument("--latents", metavar="DIR", help="what a decoder learns from (made by limpid train latents)")
    what.add_argument("--stage", metavar="NAME", help="only this stage of the recipe")
    what.add_argument("--small", action="store_true", help="the recipe's small version: tiny networks, few steps")
    what.add_argument("--steps", metavar="N", type=int, help="of each stage, instead of the recipe's")
    what.add_argument("--batch", metavar="N", type=int, help="clips of a step, over all processes")
    what.add_argument("--micro-batch", metavar="N", type=int, help="clips at a time in each process")
    what.add_argument("--seed", metavar="N", type=int, default=0, help="of everything random (default: 0)")
    look = parser.add_argument_group("looking at it")
    look.add_argument("--validation", metavar="DIR", help="clips apart from DIR: pictures and metrics of them")
    look.add_argument("--validate-every", metavar="N", type=int, help="steps between two looks (default: 500)")
    look.add_argument("--validation-clips", metavar="N", type=int, help="how many (default: 4)")
    look.add_argument("--log-every", metavar="N", type=int, default=20, help="steps per log line (default: 20)")
    look.add_argument("--dry-run", action="store_true", help="show stages, parameters and memory, train nothing")
    look.add_argument("--json", action="store_true", help="one event per line on stdout")
    look.add_argument("-q", "--quiet", action="store_true", help="only warnings and errors")
    look.add_argument("--traceback", action="store_true", help="show where an error comes from")
    how = parser.add_argument_group("how")
    how.add_argument("--workers", metavar="N", type=int, help="processes that make clips (default: processors - 1)")
    how.add_argument("--device", metavar="NAME", default="auto", help="auto, cpu, cuda, mps")
    how.add_argument("--precision", metavar="NAME", default="auto", help="auto, float32 or bf16 (weights: float32)")
    how.add_argument("--threads", metavar="N", type=int, help="of the processor")
    look.add_argument("--latest", action="store_true", help="keep RUN/latest, the averaged weights so far")
    how.add_argument(
        "--save-every", metavar="S", type=float, default=600.0, help="seconds between states (default: 600)"
    )
    return parser


def resolved(options: argparse.Namespace) -> Recipe:
    """The recipe with what the options change. Raises SettingsError."""
    from limpid.train.recipes import find_recipe, small_recipe

    recipe = find_recipe(options.recipe)
    if options.small:
        recipe = small_recipe(recipe)
    recipe = _on_latents(options, recipe)
    changes = {name: getattr(options, name) for name in ("steps", "batch", "micro_batch")}
    changes = {name: value for name, value in changes.items() if value is not None}
    for name, value in [*changes.items(), ("log_every", options.log_every)]:
        if value < 1:
            raise SettingsError(f"--{name.replace('_', '-')} {value} is too few; it counts from 1")
    if options.validation is None and (options.validate_every or options.validation_clips):
        raise SettingsError("--validate-every and --validation-clips have no effect without --validation DIR")
    if min(options.validate_every or 1, options.validation_clips or 1) < 1:
        raise SettingsError("--validate-every and --validation-clips count from 1")
    if options.save_every < 0:
        raise SettingsError(f"--save-every {options.save_every:g} must not be negative")
    return replace(recipe, stages=tuple(replace(stage, **changes) for stage in recipe.stages))


def _on_latents(options: argparse.Namespace, recipe: Recipe) -> Recipe:
    """The recipe on the latents of ``--latents``, or of the folder ``latents`` in ``--assets``, where there are any."""
    folder = _path(options.latents)
    if folder is None and options.assets is not None and (Path(options.assets) / "latents" / "latents.json").is_file():
        folder = Path(options.assets) / "latents"
    if folder is None:
        return recipe
    from limpid.train.latents_run import with_latents

    return with_latents(recipe, folder)


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


# ------------------------------------------------------------------------------------------ the plan


def _show_plan(options: argparse.Namespace, recipe: Recipe) -> int:
    import tempfile

    import torch

    from limpid.train.loop import chosen_stages
    from limpid.train.missing import missing_parts
    from limpid.train.plan import plan_stage
    from limpid.train.stage import Start

    print(f"{recipe.name}: {recipe.summary}")
    for need in recipe.needs:
        print(f"needs {need}")
    with tempfile.TemporaryDirectory() as folder:
        start = _path(options.start)
        if start is None and recipe.make_start is not None:
            start = recipe.make_start(Path(folder))
        stages = [stage for _, stage in chosen_stages(recipe, options.stage)]
        for stage in stages:
            begin = Start(device=torch.device("cpu"), seed=options.seed, weights=start, assets=_path(options.assets))
            print("\n".join(plan_stage(stage, begin).lines()))
    given = {name: _path(getattr(options, name)) for name in ("data", "start", "latents", "assets")}
    missing = missing_parts(recipe, stages, given, options.keep_out)
    print("missing" if missing else "nothing is missing", *(f"  {part}" for part in missing), sep="\n")
    return 0


# ------------------------------------------------------------------------------------------ training


def _train(options: argparse.Namespace, recipe: Recipe) -> int:
    if options.out is None:
        raise SettingsError("--out is missing: the folder for states, logs and the result")
    from limpid.cli.progress import make_reporter
    from limpid.plan.device import versions
    from limpid.train.loop import Run, train

    out, reporter = Path(options.out), make_reporter(as_json=options.json, quiet=options.quiet)
    run = Run(
        recipe=recipe,
        out=out,
        open_source=lambda stage: _open(options, stage, reporter),
        open_validation=lambda stage: _open_validation(options, stage),
        seed=options.seed,
        start=_path(options.start),
        assets=_path(options.assets),
        device=options.device,
        precision=options.precision,
        threads=options.threads,
        save_every_s=options.save_every,
        log_every=options.log_every,
        latest=options.latest,
        only=options.stage,
        about={"versions": versions(), "command": ["limpid", *sys.argv[1:]]},
        on_event=reporter,
    )
    try:
        made = train(run)
    finally:
        reporter.close()
    if not options.json:
        print(shown(made))
    return 0


def _open(options: argparse.Namespace, stage: Stage, tell: Callable[[dict[str, Any]], None]) -> BatchSource:
    folder = stage.data or _path(options.data)
    if folder is None:
        raise SettingsError(f"--data is missing: stage {stage.name} needs clips")
    from limpid.train.latents_run import check_stored
    from limpid.train.source import open_folder

    check_stored(stage, folder)
    source = open_folder(folder, stage.clips, seed=options.seed, workers=options.workers, keep_out=options.keep_out)
    tell({"event": "note", "message": f"{shown(folder)}: {source.clips.describe()}"})
    return source


def _open_validation(options: argparse.Namespace, stage: Stage) -> Validation | None:
    if options.validation is None:
        return None
    from limpid.plan.device import choose_device
    from limpid.train.source import open_folder
    from limpid.train.validation import SEED, Validation

    spec = replace(stage.clips, flips=False, strides=(stage.clips.strides[0], stage.clips.strides[0]))
    given = {"every": options.validate_every, "clips": options.validation_clips}
    return Validation(
        source=open_folder(Path(options.validation), spec, seed=SEED, workers=0),
        device=choose_device(options.device),
        **{name: value for name, value in given.items() if value is not None},
    )


# ------------------------------------------------------------------------------------------ other actions


def _recipes_parser() -> Parser:
    parser = Parser("limpid train recipes", usage="limpid train recipes [--json]", description="List the recipes.")
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    return parser


def recipes(arguments: list[str]) -> int:
    options = parse(_recipes_parser(), arguments)
    from limpid.train.recipes import RECIPES, find_recipe

    found = {name: find_recipe(name) for name in RECIPES}
    if options.json:
        from limpid.train.facts import plain

        print(json.dumps({name: plain(recipe) for name, recipe in found.items()}, indent=2))
        return 0
    for name, recipe in found.items():
        print(f"{name}: {recipe.summary}")
        for stage in recipe.stages:
            print(f"  {stage.name}: {', '.join(stage.trainable)}; {stage.steps:,} steps of {stage.batch:,} clips")
        for need in recipe.needs:
            print(f"  needs {need}")
    return 0


def _prepare_parser() -> Parser:
    from limpid.train.data.prepare_command import add_options

    parser = Parser(
        "limpid train prepare",
        usage="limpid train prepare DATA OUT [options]\n       limpid train prepare DATA --check LAYOUT",
        description="Make the clips of a training beforehand, or check a data set on disk.",
    )
    add_options(parser)
    return parser


def prepare(arguments: list[str]) -> int:
    from limpid.train.data.prepare_command import run_prepare

    return run_prepare(parse(_prepare_parser(), arguments))


def _latents_parser() -> Parser:
    from limpid.train.latents_command import add_latents_options

    parser = Parser(
        "limpid train latents",
        usage="limpid train latents --recipe NAME --data DIR --weights DIR --out DIR [options]",
        description="Run a denoiser over prepared clips once; limpid train --latents DIR teaches its decoder on that.",
    )
    add_latents_options(parser)
    return parser


def latents(arguments: list[str]) -> int:
    from limpid.train.latents_command import run_latents

    return run_latents(parse(_latents_parser(), arguments))


ACTIONS: dict[str, Callable[[list[str]], int]] = {"recipes": recipes, "prepare": prepare, "latents": latents}

PARSERS: dict[str, Callable[[], Parser]] = {
    "recipes": _recipes_parser,
    "prepare": _prepare_parser,
    "latents": _latents_parser,
}
