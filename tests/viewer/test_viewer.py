"""The modules of the player, as one script."""

from __future__ import annotations

import re

from limpid.viewer import MODULES, inlined, viewer_folder


def test_modules_are_in_the_order_of_their_imports() -> None:
    for number, name in enumerate(MODULES):
        text = (viewer_folder() / f"{name}.js").read_text("utf-8")
        for needed in re.findall(r'^import .* from "\./(\w+)\.js";$', text, re.MULTILINE):
            assert needed in MODULES[:number]
    assert {path.name for path in viewer_folder().iterdir() if path.name.endswith(".js")} == {
        f"{n}.js" for n in MODULES
    }


def test_one_script_has_no_imports_and_every_name_once() -> None:
    script = inlined('import { Player } from "../../viewer/player.js";\nnew Player();\n')
    assert not re.search(r"^(import|export)\b", script, re.MULTILINE)
    assert script.endswith("new Player();\n})();\n")
    names = re.findall(r"^(?:async )?(?:const|function|class) (\w+)", script, re.MULTILINE)
    assert len(names) == len(set(names)) and "Player" in names
