"""Networks that stay loaded from one run to the next, for as long as the next one needs the same.

What a run is told in words is not part of the networks: `LoadWithTexts` is how a method says so, and then another text
costs an embedding, and not gigabytes read again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from limpid.method import Method, Prior
from limpid.plan.allocator import free_memory
from limpid.settings import Settings
from limpid.types import Placement

TEXTS = ("prompt", "negative_prompt", "prompts")
"""Options that change what networks are told, and not the networks."""


@dataclass(frozen=True, slots=True)
class LoadWithTexts:
    """How a prior is loaded whose texts can be changed afterwards; called, it loads all."""

    whole: Callable[[Placement], Prior]
    other_texts: Callable[[Any, Placement], Prior]
    """A prior of the same weights and options, and where it is -> the same networks, told the texts of this one."""

    def __call__(self, placement: Placement) -> Prior:
        return self.whole(placement)


class KeptNetworks:
    """The prior that was loaded last. Another one takes its place, so that there are never two of them in memory."""

    def __init__(self) -> None:
        self._key: object = None
        self._texts: object = None
        self._prior: Prior | None = None

    def method(self, method: Method, settings: Settings) -> Method:
        """A copy of the method, which looks here before it loads.

        Args:
            settings: those that the method was made with.
        """
        options = settings.given("method")
        texts = {name: options.pop(name, None) for name in TEXTS}

        def load(placement: Placement) -> Prior:
            return self._loaded(method, (method.name, options, method.weights.digest(), placement), texts, placement)

        return replace(method, load=load)

    def drop(self) -> None:
        """Forgets the networks; their memory is free when no run uses them any more."""
        if self._prior is not None:
            self._key = self._texts = self._prior = None
            free_memory()

    def _loaded(self, method: Method, key: object, texts: object, placement: Placement) -> Prior:
        if self._prior is not None and key == self._key and texts == self._texts:
            return self._prior
        if self._prior is not None and key == self._key and isinstance(method.load, LoadWithTexts):
            prior = method.load.other_texts(self._prior, placement)
        else:
            self.drop()
            prior = method.load(placement)
        self._key, self._texts, self._prior = key, texts, prior
        return prior
