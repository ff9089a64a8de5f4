"""Runs the stages of a recipe, one after the other; what was begun is gone on with, to the bit on a CPU.

::

    from limpid.train.loop import Run, train
    train(Run(recipe=recipe, out=Path("run"), open_source=lambda stage: clips))
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from limpid.durable.files import remove, write_atomic
from limpid.durable.interrupt import Interrupts
from limpid.durable.lock import locked
from limpid.train.facts import check_same, plain, stage_facts, weights_fingerprint
from limpid.train.freezing import model_of
from limpid.train.saving import save_learner
from limpid.train.source import BatchSource
from limpid.train.stage import Recipe, Stage, Start
from limpid.train.stage_run import StageRun
from limpid.train.state import read_position
from limpid.train.validation import Validation
from limpid.train.world import World, choose_precision, enter_world
from limpid.types import Interrupted, Progress, SettingsError

STAGES_FOLDER, FINAL = "stages", "final"


@dataclass(frozen=True, kw_only=True)
class Run:
    """A training: what, with which clips, where it is written, on what it runs."""

    recipe: Recipe
    out: Path
    open_source: Callable[[Stage], BatchSource]
    open_validation: Callable[[Stage], Validation | None] = lambda stage: None
    """Clips that are looked at while a stage runs, and how often."""
    seed: int = 0
    start: Path | None = None
    """Weights for the first stage."""
    assets: Path | None = None
    device: str = "auto"
    precision: str = "auto"
    threads: int | None = None
    save_every_s: float = 600.0
    log_every: int = 20
    """Steps that a line of the log stands for."""
    latest: bool = False
    """Whether each state comes with a folder ``latest``: the averaged weights so far, as `Learner.save` writes them."""
    only: str | None = None
    """Name of the one stage to run; None: all of them."""
    about: dict[str, Any] | None = None
    """Written to ``run.json``: versions, the command."""
    on_event: Progress | None = None

    def tell(self, event: str, **values: Any) -> None:
        if self.on_event is not None:
            self.on_event({"event": event, **values})


def stage_folder(out: Path, index: int, stage: Stage) -> Path:
    """Where stage number ``index`` (from 0) puts what it has trained."""
    return out / STAGES_FOLDER / f"{index + 1:02d}-{stage.name.replace('/', '-')}"


def chosen_stages(recipe: Recipe, only: str | None) -> list[tuple[int, Stage]]:
    """Stages to run with their numbers. Raises SettingsError for a name that is none, or stands twice."""
    names = [stage.name for stage in recipe.stages]
    if len(set(names)) < len(names):
        raise SettingsError(f"recipe {recipe.name} has two stages of one name among {', '.join(names)}; rename one")
    if only is not None and only not in names:
        raise SettingsError(f"recipe {recipe.name} has no stage {only!r}; it has {', '.join(names)}")
    return [(n, stage) for n, stage in enumerate(recipe.stages) if only in (None, stage.name)]


def train(run: Run) -> Path:
    """Run what is not done yet; the folder of the last stage.

    Raises:
        SettingsError: a stage that its network does not fit, or a folder that was begun with other values.
        DivergedError: NaN or infinite numbers; the batch is saved.
        Interrupted: after Ctrl-C or termination, all saved.
    """
    stages = chosen_stages(run.recipe, run.only)
    world = enter_world(run.device)
    if run.threads is not None:
        torch.set_num_threads(run.threads)
    with _alone_in(run.out, world), Interrupts() as interrupts:
        run = _with_start(run, world)
        for index, stage in stages:
            target = stage_folder(run.out, index, stage)
            source = run.open_source(stage)
            _check_facts(run, world, index, stage, source)
            _write_about(run, world)
            if not target.exists():
                _run_stage(run, world, interrupts, index, source)
            _point_final(run, world, target)
    return target


@contextlib.contextmanager
def _alone_in(out: Path, world: World) -> Iterator[None]:
    """The first process holds the folder's lock for all of them."""
    with locked(out) if world.rank == 0 else contextlib.nullcontext():
        world.wait()
        yield


def _write_about(run: Run, world: World) -> None:
    if world.rank == 0:
        device = {"device": str(world.device), "processes": world.size}
        values = {"recipe": plain(run.recipe), "seed": run.seed, **device, **(run.about or {})}
        write_atomic(run.out / "run.json", json.dumps(values, indent=2) + "\n")


def _with_start(run: Run, world: World) -> Run:
    """A small recipe makes random weights when the user gives none; they stay with the run."""
    if run.start is not None or run.recipe.make_start is None:
        return run
    folder, name = run.out / "random-start", run.out / "random-start.json"
    if world.rank == 0 and not name.exists():
        remove(folder)
        folder.mkdir(parents=True)
        write_atomic(name, json.dumps(str(run.recipe.make_start(folder).relative_to(run.out))))
    world.wait()
    run.tell("note", message="starting from random weights, since this is a small recipe without --start")
    return replace(run, start=run.out / json.loads(name.read_text()))


def _start_of(run: Run, world: World, index: int) -> Start:
    before = stage_folder(run.out, index - 1, run.recipe.stages[index - 1]) if index else None
    return Start(
        device=world.device,
        seed=run.seed,
        weights=run.start,
        previous=before if before is not None and before.exists() else None,
        assets=run.assets,
    )


def _check_facts(run: Run, world: World, index: int, stage: Stage, source: BatchSource) -> None:
    """Compares with what this stage was begun with, or writes that down."""
    start = _start_of(run, world, index)
    weights = start.previous or start.weights
    if index and weights is None:
        run.tell("warning", message=f"stage {stage.name} starts without the stage before it and without --start")
    begun_with = "" if weights is None else weights_fingerprint(weights)
    facts = stage_facts(run.recipe.name, stage, seed=run.seed, data=source.fingerprint, start=begun_with)
    target = stage_folder(run.out, index, stage)
    path = target.with_name(f"{target.name}.json")
    world.wait()
    if path.exists():
        check_same(json.loads(path.read_text()), facts, run.out)
    world.wait()
    if world.rank == 0 and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps(facts, indent=2) + "\n")


def _run_stage(run: Run, world: World, interrupts: Interrupts, index: int, source: BatchSource) -> None:
    stage, start = run.recipe.stages[index], _start_of(run, world, index)
    torch.manual_seed(run.seed)
    learner = stage.objective.learner(start, stage)
    if run.latest and world.sharded:
        raise SettingsError("--latest does not go with weights that are shared between processes (FSDP); leave it out")
    for note in start.notes:
        run.tell("note", message=note)
    position = read_position(run.out)
    stage_run = StageRun(
        run=run.out,
        index=index,
        stage=stage,
        learner=learner,
        source=source,
        validation=run.open_validation(stage),
        world=world,
        precision=choose_precision(run.precision, world.device, stage.clips.frames),
        seed=run.seed * 1000 + index,
        save_every_s=run.save_every_s,
        log_every=run.log_every,
        latest=run.latest,
        tell=run.tell,
        interrupts=interrupts,
        position=position if position is not None and position.stage == index else None,
    )
    if not stage_run.go():
        raise Interrupted(
            f"stopped in stage {stage.name} after {stage_run.done} of {stage.steps} steps; all is saved, and the same "
            "command goes on from there"
        )
    _save_result(run, world, stage_run, start)
    world.wait()


def _save_result(run: Run, world: World, stage_run: StageRun, start: Start) -> None:
    target = stage_folder(run.out, stage_run.index, stage_run.stage)
    if not world.sharded:
        if world.rank == 0:
            with stage_run.averaged():
                save_learner(stage_run.learner, target)
        return
    weights = stage_run.whole_weights()
    if world.rank == 0:  # networks that no one shares, on the CPU: what does not learn is as it was at the start
        torch.manual_seed(run.seed)
        learner = stage_run.stage.objective.learner(replace(start, device=torch.device("cpu")), stage_run.stage)
        model_of(learner)[1].load_state_dict(weights, strict=False)
        save_learner(learner, target)


def _point_final(run: Run, world: World, target: Path) -> None:
    """``final`` leads to the stage that was finished last."""
    if world.rank:
        return
    link, fresh = run.out / FINAL, run.out / f".{FINAL}.partial"
    remove(fresh)
    if link.is_dir() and not link.is_symlink():
        remove(link)
    fresh.symlink_to(target.relative_to(run.out), target_is_directory=True)
    fresh.replace(link)
