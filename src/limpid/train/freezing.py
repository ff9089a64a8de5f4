"""Which parameters learn: exactly those of the kinds that a stage names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import nn

from limpid.train.learner import Learner
from limpid.train.stage import Stage
from limpid.types import SettingsError

ALL = "all"


def by_kind(network: nn.Module, kind_of: Callable[[str], str]) -> dict[str, list[str]]:
    """Names of the parameters by kind of layer; kinds that the network does not have are left out."""
    kinds: dict[str, list[str]] = {}
    for name, _ in network.named_parameters():
        kinds.setdefault(kind_of(name), []).append(name)
    return kinds


def sizes(network: nn.Module, kinds: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Number of parameters of each kind."""
    counts = {name: parameter.numel() for name, parameter in network.named_parameters()}
    return {kind: sum(counts[name] for name in names) for kind, names in kinds.items()}


def model_of(learner: Learner) -> tuple[str, nn.Module]:
    """The first player: the network that is saved and averaged."""
    return next(iter(learner.players.items()))


def learning_names(kinds: Mapping[str, Sequence[str]], stage: Stage) -> set[str]:
    """Names of the model's parameters that learn. Raises SettingsError for a kind that the model has not."""
    for kind in stage.trainable:
        if kind != ALL and kind not in kinds:
            raise SettingsError(
                f"stage {stage.name} trains layers of kind {kind!r}, which its network has not; it has "
                f"{', '.join(kinds)}, or all"
            )
    chosen = kinds if ALL in stage.trainable else stage.trainable
    return {name for kind in chosen for name in kinds[kind]}


def freeze_layers(learner: Learner, stage: Stage) -> dict[str, nn.Parameter]:
    """Makes the chosen kinds learn and nothing else of the model; those parameters by name, in float32.

    Raises:
        SettingsError: an unknown kind, or kinds without a parameter.
        ValueError: the kinds do not hold each parameter exactly once, a mistake of the objective.
    """
    network, kinds = model_of(learner)[1], learner.kinds()
    parameters, listed = dict(network.named_parameters()), [name for names in kinds.values() for name in names]
    if sorted(listed) != sorted(parameters):
        odd = sorted(set(listed) ^ set(parameters)) or sorted({n for n in listed if listed.count(n) > 1})
        raise ValueError(f"kinds of layers must hold each parameter once; wrong are {', '.join(odd[:5])}")
    chosen = learning_names(kinds, stage)
    if not chosen:
        raise SettingsError(f"stage {stage.name}: layers of kind {', '.join(stage.trainable)} have no parameters")
    for name, parameter in parameters.items():
        parameter.requires_grad_(name in chosen)
        if name in chosen:
            parameter.data = parameter.data.float()
    return {name: parameter for name, parameter in parameters.items() if name in chosen}
