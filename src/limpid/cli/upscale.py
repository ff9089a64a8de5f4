"""``limpid upscale``: reads the options, runs `limpid.upscale` on every input, and sums up."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from dataclasses import dataclass
from os.path import exists
from pathlib import Path
from typing import Any

import limpid
from limpid.cli.inputs import Job, output_of, plan_jobs, refuse_same_outputs
from limpid.cli.main import EXIT_INTERRUPTED, complain, explain, wants_traceback
from limpid.cli.options import add_preset, add_settings, chosen_settings, preset_note
from limpid.cli.parser import EXIT_CODES, Parser, parse
from limpid.cli.progress import Reporter, make_reporter
from limpid.cli.words import Event, plan_text, shown
from limpid.run.places import is_unfinished
from limpid.settings import Settings
from limpid.types import InputError, SettingsError

USAGE = """limpid upscale INPUT [OUTPUT] [options]
       limpid upscale INPUT INPUT INPUT... [-o FOLDER] [options]
       limpid upscale --from FILE.limpid.json [OUTPUT] [options]"""

DESCRIPTION = """Make videos or folders of images larger and better, sound and timestamps kept.

One name is the input, two are input and output, three or more (or two and -o) are inputs.
A folder of images is one clip; a folder of videos stands for the videos in it.
Without an output the result lies beside the input: film.mp4 becomes film_x4.mp4.
The name of the output chooses container and codec: .mp4, .mkv, .mov; a name without a suffix is a
folder of PNG images.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How one job ended: ``code`` 0, or the exit code of what went wrong."""

    job: Job
    code: int = 0
    skipped: bool = False
    message: str = ""


def command(arguments: list[str]) -> int:
    """Run ``limpid upscale`` and return its exit code."""
    options = parse(make_parser(), arguments)
    settings, jobs, notes = _work(options)
    with closing(make_reporter(as_json=options.json, quiet=options.quiet)) as reporter:
        for note in notes:
            reporter({"event": "note", "message": note})
        outcomes = _run_all(jobs, settings, options, reporter)
    if len(jobs) > 1:
        _tell_summary(outcomes, jobs, options)
    return max((outcome.code for outcome in outcomes), default=0)


def make_parser() -> Parser:
    parser = Parser("limpid upscale", usage=USAGE, description=DESCRIPTION, epilog=EXIT_CODES)
    parser.add_argument("names", nargs="*", metavar="INPUT", help=argparse.SUPPRESS)
    files = parser.add_argument_group("files")
    files.add_argument("-o", "--output", metavar="PATH", help="the result; for several inputs a folder for the results")
    files.add_argument("--from", dest="sidecar", metavar="FILE", help="do again what this .limpid.json says")
    files.add_argument("--trust-sidecar", action="store_true", help="let --from use files outside of its folder")
    files.add_argument(
        "-r", "--recursive", action="store_true", help="folders in folders too, with -o as they lie there"
    )
    files.add_argument("--overwrite", action="store_true", help="replace outputs that exist")
    files.add_argument("--skip-existing", action="store_true", help="leave out inputs whose output exists")
    files.add_argument("--work-dir", metavar="DIR", help="finished segments lie here (default: beside the output)")
    files.add_argument("--keep-work", action="store_true", help="do not remove them after success")
    add_preset(parser)
    add_settings(parser)
    says = parser.add_argument_group("what is shown")
    says.add_argument("--dry-run", action="store_true", help="show the plan, the time and the disk space, make nothing")
    says.add_argument("--json", action="store_true", help="events as JSON lines on stdout")
    says.add_argument("-q", "--quiet", action="store_true", help="on stderr only warnings and errors")
    says.add_argument("--traceback", action="store_true", help="show where an error comes from")
    return parser


def _work(options: argparse.Namespace) -> tuple[Settings, list[Job], list[str]]:
    """The settings and jobs that the command line asks for."""
    changes = chosen_settings(options)
    if options.overwrite and options.skip_existing:
        raise SettingsError("--overwrite and --skip-existing exclude each other; choose one")
    if options.trust_sidecar and options.sidecar is None:
        raise SettingsError("--trust-sidecar has no effect without --from; leave it out")
    if options.sidecar is None:
        settings = Settings().replace(**changes)
        jobs, notes = plan_jobs(options.names, options.output, recursive=options.recursive)
        refuse_same_outputs(jobs, settings)
        return settings, jobs, [*notes, *preset_note(options, settings)]
    if len(options.names) > 1 or (options.names and options.output):
        raise SettingsError("with --from the input is the sidecar's; name one output at most")
    return _again(options, changes)


def _again(options: argparse.Namespace, changes: dict[str, Any]) -> tuple[Settings, list[Job], list[str]]:
    """The run that a sidecar describes, with what else was said on the command line."""
    source, settings = limpid.from_sidecar(options.sidecar, trust=options.trust_sidecar)
    if "height" in changes:
        changes.setdefault("scale", None)
    if "scale" in changes:
        changes.setdefault("height", None)
    output = options.output or (options.names[0] if options.names else None)
    settings = settings.replace(**changes)
    jobs = [Job(input=Path(source), output=Path(output) if output else None)]
    return settings, jobs, preset_note(options, settings)


def _run_all(jobs: list[Job], settings: Settings, options: argparse.Namespace, reporter: Reporter) -> list[Outcome]:
    """Every job in turn; a failed one does not stop the others, Ctrl-C does."""
    outcomes: list[Outcome] = []
    for number, job in enumerate(jobs, 1):
        if len(jobs) > 1:
            reporter({"event": "file", "input": str(job.input), "number": number, "of": len(jobs)})
        outcome = run_one(job, settings, options, reporter)
        outcomes.append(outcome)
        if outcome.code == EXIT_INTERRUPTED:
            break
    return outcomes


def run_one(job: Job, settings: Settings, options: argparse.Namespace, reporter: Reporter) -> Outcome:
    """One input; what goes wrong is told and becomes the outcome."""
    try:
        return _upscale(job, settings, options, reporter)
    except BrokenPipeError:
        raise
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  one broken file must not end a batch
        message, code = explain(error)
        reporter({"event": "error", "input": str(job.input), "message": message, "exit_code": code})
        complain(message, code, trace=error if options.traceback or wants_traceback(()) else None)
        return Outcome(job=job, code=code, message=message)


def _upscale(job: Job, settings: Settings, options: argparse.Namespace, reporter: Reporter) -> Outcome:
    if not exists(job.input):  # before PyTorch is loaded, which takes seconds
        raise InputError(f"{shown(job.input)}: there is no such file or folder")
    output = output_of(job, settings)
    if options.skip_existing and exists(output) and not is_unfinished(output):
        reporter({"event": "skipped", "input": str(job.input), "output": str(output)})
        return Outcome(job=job, skipped=True)

    from limpid.run.early import look_ahead

    told = look_ahead(job.input, None if job.output is None else output, settings)  # before PyTorch is loaded, too
    for note in told:
        reporter({"event": "note", "message": note})

    def on_event(event: Event) -> None:
        if event["event"] == "note" and event["message"] in told:
            return
        reporter(event)
        if options.dry_run and not options.json and event["event"] == "plan":
            print(plan_text(event["plan"]))

    report = limpid.upscale(
        job.input,
        None if job.output is None else output,
        settings=settings,
        overwrite=options.overwrite,
        work_dir=options.work_dir,
        keep_work=options.keep_work,
        dry_run=options.dry_run,
        on_event=on_event,
    )
    if not (options.json or options.dry_run):
        print(shown(report.output))
    return Outcome(job=job)


def _tell_summary(outcomes: list[Outcome], jobs: list[Job], options: argparse.Namespace) -> None:
    """The end of a batch: how many went well, and each that did not."""
    failed = [outcome for outcome in outcomes if outcome.code]
    skipped = sum(outcome.skipped for outcome in outcomes)
    counts = {"done": len(outcomes) - len(failed) - skipped, "skipped": skipped, "failed": len(failed)}
    counts["not_started"] = len(jobs) - len(outcomes)
    if options.json:
        print(json.dumps({"event": "summary", **counts}), flush=True)
        return
    words = [f"{number} {name.replace('_', ' ')}" for name, number in counts.items() if number or name == "done"]
    print(f"{len(jobs)} inputs: {', '.join(words)}", file=sys.stderr)
    for outcome in failed:
        print(f"  {shown(outcome.job.input)}: {outcome.message}", file=sys.stderr)
