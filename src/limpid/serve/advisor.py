"""A process that is asked, before a job is queued, whether a run would be refused at its start, and in which words.

``python -m limpid.serve.advisor`` answers each JSON line on stdin with one on stdout. It loads PyTorch, which the
server must not, and lives as long as somebody fills in a form.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from limpid.bounded import json_object, parse_json
from limpid.types import LimpidError


def _main() -> None:
    answers = sys.stdout
    sys.stdout = sys.stderr  # what libraries print is not an answer
    for line in sys.stdin:
        print(json.dumps(answer(json_object(parse_json(line)))), file=answers, flush=True)


def answer(asked: Mapping[str, Any]) -> dict[str, Any]:
    """``{"notes": [...]}``, or ``{"error": sentence, "exit_code": n}`` where the run would be refused."""
    try:
        return {"notes": look(Path(asked["input"]), Path(asked["output"]), asked["settings"], bool(asked["overwrite"]))}
    except LimpidError as error:
        return {"error": str(error), "exit_code": error.exit_code}
    except OSError as error:
        return {"error": f"{error.filename or asked['input']}: {error.strerror or error}", "exit_code": 3}


def look(source: Path, output: Path, values: Mapping[str, Any], overwrite: bool) -> list[str]:
    """What `limpid.upscale` does before it reads the input from end to end. Raises LimpidError."""
    from limpid.methods import find_method
    from limpid.run.early import check_early, probe_for
    from limpid.run.places import check_output, choose_places
    from limpid.run.prepare import check_clip, check_options
    from limpid.run.texts import with_prompts_read
    from limpid.settings import Settings

    settings = with_prompts_read(Settings.from_dict(values))
    clip = probe_for(source, settings)
    check_clip(clip)
    places = choose_places(clip, output, settings, None)
    check_output(places, clip, overwrite=overwrite)
    notes = check_early(clip, places.output, settings)
    check_options(find_method(settings.method, settings), settings)
    return list(notes)


if __name__ == "__main__":
    _main()
