"""Names of SpyNet's tensors in the two files that exist -> names in `limpid.networks.flow.spynet`, and back."""

from __future__ import annotations

from limpid.checkpoints.renames import Rules

_PLACES = range(5)
"""Convolutions of a level; BasicSR counts the ReLUs between them too."""

SPYNET_KEYS: Rules = (
    (r"^(mean|std)$", ""),  # constants, which files of whole models hold
    *((rf"^basic_module\.(\d)\.basic_module\.{k}\.conv\.", rf"levels.\1.{k}.") for k in _PLACES),
    *((rf"^basic_module\.(\d)\.basic_module\.{2 * k}\.(?!conv\.)", rf"levels.\1.{k}.") for k in _PLACES),
)
"""``spynet_sintel_final-*.pth`` of BasicSR, ``spynet_20210409-*.pth`` of mmagic."""

SPYNET_BASICSR_NAMES: Rules = tuple(
    (rf"^levels\.(\d)\.{k}\.", rf"basic_module.\1.basic_module.{2 * k}.") for k in _PLACES
)
SPYNET_MMAGIC_NAMES: Rules = tuple(
    (rf"^levels\.(\d)\.{k}\.", rf"basic_module.\1.basic_module.{k}.conv.") for k in _PLACES
)
