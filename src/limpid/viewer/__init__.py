"""The player of before and after: JavaScript modules that the pages of Limpid share, and how one file carries them.

`limpid compare` writes them into its single file; `limpid serve` hands them out as they lie here. All sources are tiles
of one video, so that they are at the same frame whatever the browser does.
"""

from __future__ import annotations

import re
from importlib.resources import files
from importlib.resources.abc import Traversable

MODULES = ("view_box", "painter", "frame_clock", "pointing", "stage", "player")
"""Each after those that it imports."""
_IMPORT = re.compile(r"^import .*?;\n", re.MULTILINE | re.DOTALL)
_EXPORT = re.compile(r"^export ", re.MULTILINE)


def viewer_folder() -> Traversable:
    """Where the modules lie."""
    return files(__name__)


def inlined(last: str) -> str:
    """One classic script of all modules and of ``last``, the text of a module that imports them; no names leak."""
    texts = [(viewer_folder() / f"{name}.js").read_text("utf-8") for name in MODULES]
    plain = (_EXPORT.sub("", _IMPORT.sub("", text)) for text in (*texts, last))
    return '"use strict";\n(() => {\n' + "\n".join(plain) + "})();\n"
