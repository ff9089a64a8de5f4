"""The networks for optical flow that are installed, and the choice between them and DIS, for methods and metrics.

One installed network serves all: a method's own folder is looked into first, then the places where
``limpid weights convert raft-things``, ``raft-large`` and ``spynet`` put them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from limpid.checkpoints.folders import CARD, Card, file_facts, read_card, weights_root
from limpid.checkpoints.manifest import find_entry, how_to_get
from limpid.choices import Flow
from limpid.flow.estimate import DISFlow, FlowEstimator, LastFlows
from limpid.flow.tiled import TiledFlow
from limpid.networks.flow.files import FLOW_FILE
from limpid.types import WeightsError

FlowNetworkKind = Literal["raft", "spynet"]
_ENTRIES: dict[FlowNetworkKind, tuple[str, ...]] = {"raft": ("raft-things", "raft-large"), "spynet": ("spynet",)}
_TITLES: dict[FlowNetworkKind, str] = {"raft": "RAFT", "spynet": "SpyNet"}


@dataclass(frozen=True, kw_only=True, slots=True)
class FlowWeights:
    """The weights of a flow network where they lie."""

    kind: FlowNetworkKind
    file: Path

    def estimator(self) -> FlowEstimator:
        """The network behind the call of `FlowEstimator`; the file is read when it is first called."""
        if self.kind == "spynet":
            from limpid.networks.flow.spynet import SpyNetFlow

            return SpyNetFlow(self.file)
        from limpid.networks.flow.raft import RAFTFlow

        return RAFTFlow(self.file)

    def digest(self) -> str:
        """Hash of the file, from the card of its folder where there is one. Raises WeightsError."""
        return flow_digest(self.file)

    def named(self) -> str:
        """For tables: the network and the first digits of its file's hash, ``RAFT (sha256 fcfa4125...)``."""
        random = ", random weights" if flow_is_random(self.file) else ""
        return f"{_TITLES[self.kind]} (sha256 {self.digest()[:8]}{random})"


def find_flow_weights(kind: FlowNetworkKind, folder: Path | None = None) -> FlowWeights | None:
    """The weights of a flow network: in a method's ``folder``, else where they are installed, else None."""
    own = () if folder is None or kind != "raft" else (folder,)
    for place in (*own, *(weights_root() / name for name in _ENTRIES[kind])):
        file = place / "flow" / FLOW_FILE
        if file.is_file():
            return FlowWeights(kind=kind, file=file)
    return None


def need_flow_weights(kind: FlowNetworkKind, folder: Path | None = None) -> FlowWeights:
    """`find_flow_weights`, or WeightsError with what to do."""
    found = find_flow_weights(kind, folder)
    if found is None:
        entry = _ENTRIES[kind][0]
        own = f"{folder / 'flow'} or " if folder is not None and kind == "raft" else ""
        raise WeightsError(
            f"flow {kind} needs the weights of {_TITLES[kind]}, which are not in {own}{weights_root() / entry}: "
            f"{how_to_get(find_entry(entry))}, which serves every method"
        )
    return found


def flow_estimator(flow: Flow, folder: Path | None = None) -> FlowEstimator:
    """The estimator of that name; "auto" is RAFT where its weights are, else DIS, which needs none.

    ``folder``: the method's weights, beside which RAFT may lie. Raises WeightsError where a network is not installed.
    """
    if flow == "dis":
        return DISFlow()
    if flow == "auto":
        found = find_flow_weights("raft", folder)
        return DISFlow() if found is None else found.estimator()
    return need_flow_weights(flow, folder).estimator()


def flow_file_used(estimator: FlowEstimator) -> Path | None:
    """The file of the network that an estimator asks; None for one that needs no weights."""
    while isinstance(estimator, LastFlows | TiledFlow):
        estimator = estimator.estimator
    path = getattr(estimator, "path", None)
    return path if isinstance(path, Path) else None


def flow_digest(file: Path) -> str:
    """Identifies the weights of a flow network: the file's hash, as the card of its folder has it."""
    card = _card_of(file)
    facts = None if card is None else card.files.get(f"{file.parent.name}/{file.name}")
    return str((file_facts(file) if facts is None else facts)["sha256"])


def flow_is_random(file: Path) -> bool:
    """Whether the network was never trained, by the card of its folder."""
    card = _card_of(file)
    return card is not None and card.random


def _card_of(file: Path) -> Card | None:
    folder = file.parent.parent
    return read_card(folder) if (folder / CARD).is_file() else None
