"""One of several processes of a toy run: ``one_of_several.py OUT``; started by test_several.py."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from toy import ToyNetwork, ToyObjective, toy_run

from limpid.train.loop import train

if __name__ == "__main__":
    ToyNetwork.dropout = 0.0
    train(toy_run(Path(sys.argv[1]), objective=ToyObjective(critic=True), micro_batch=1, run={"save_every_s": 0.05}))
