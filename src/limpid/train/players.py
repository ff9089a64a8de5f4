"""The networks of a learner with what the loop adds to each: a wrapper that gathers gradients, and an optimizer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from limpid.train.freezing import freeze_layers, model_of
from limpid.train.learner import ClipBatch, ClipRandom, Learner
from limpid.train.rates import make_optimizer
from limpid.train.stage import Optimizer, Stage
from limpid.train.world import World


class PlayerLosses(nn.Module):
    """A player's losses as a forward pass, so that what wraps a module for several processes sees it."""

    def __init__(self, learner: Learner, player: str, precision: torch.dtype, device: torch.device) -> None:
        super().__init__()
        self.network = learner.players[player]
        self._losses, self._player = learner.losses, player
        self._precision, self._device = precision, device

    def forward(self, batch: ClipBatch, random: ClipRandom) -> dict[str, Tensor]:
        fast = self._precision != torch.float32
        with torch.autocast(self._device.type, dtype=self._precision, enabled=fast):
            return dict(self._losses(self._player, batch, random))


@dataclass(frozen=True, kw_only=True)
class Player:
    """One network that learns."""

    name: str
    network: nn.Module
    turn: nn.Module
    """`PlayerLosses`, wrapped where there are several processes."""
    parameters: Mapping[str, nn.Parameter]
    """Those that learn, by name in ``network``."""
    values: Optimizer
    optimizer: torch.optim.Optimizer

    def learns(self, yes: bool) -> None:
        for parameter in self.parameters.values():
            parameter.requires_grad_(yes)


def make_players(learner: Learner, stage: Stage, world: World, precision: torch.dtype) -> list[Player]:
    """The players in the order of their turns; the model has frozen what the stage does not train."""
    learning, (model, _) = freeze_layers(learner, stage), model_of(learner)
    players = []
    for name, network in learner.players.items():
        parameters = learning if name == model else _all_of(network)
        values = stage.optimizer if name == model else stage.critic or stage.optimizer
        network.train()
        if stage.checkpoint_gradients:
            checkpoint_gradients(network)
        turn = world.wrap(PlayerLosses(learner, name, precision, world.device))
        parameters = {n: p for n, p in network.named_parameters() if n in parameters}  # sharing out makes new ones
        optimizer = make_optimizer(values, parameters.values())
        players.append(
            Player(name=name, network=network, turn=turn, parameters=parameters, values=values, optimizer=optimizer)
        )
    return players


def _all_of(network: nn.Module) -> dict[str, nn.Parameter]:
    for parameter in network.parameters():
        parameter.requires_grad_(True)
        parameter.data = parameter.data.float()
    return dict(network.named_parameters())


def checkpoint_gradients(network: nn.Module) -> bool:
    """Asks networks that can to keep fewer activations; whether there was one that can."""
    found = False
    for module in network.modules():
        enable: Any = getattr(module, "enable_gradient_checkpointing", None)
        if callable(enable):
            enable()
            found = True
    return found


@contextlib.contextmanager
def taking_turn(player: Player, players: Sequence[Player], world: World) -> Iterator[None]:
    """Only this player gets gradients; those of the others would be thrown away (each turn begins with none).

    Weights that are shared out must not be switched; there they are computed and thrown away.
    """
    others = [] if world.sharded else [other for other in players if other is not player]
    for other in others:
        other.learns(False)
    try:
        yield
    finally:
        for other in others:
            other.learns(True)
