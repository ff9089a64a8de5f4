"""The one door to Ray: its import, quiet and safe by default, and a sentence where it is not installed."""

from __future__ import annotations

import logging
import os
import secrets
from typing import Any

from limpid.types import ResourceError, SettingsError

MISSING = "workers and clusters need Ray, which is not installed; install it with: pip install 'limpid-video[ray]'"
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DISABLE_DOCKER_CPU_WARNING": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_TQDM": "0",
}


def check_ray() -> None:
    """Raises SettingsError where Ray is not installed; loads nothing."""
    from importlib.util import find_spec

    if find_spec("ray") is None:
        raise SettingsError(MISSING)


def import_ray(*, own: bool) -> Any:
    """The module ``ray``. ``own``: a cluster of this machine alone is about to be started.

    An own cluster asks for a token that only this process and its children know, and listens on the loopback interface
    only; both must be said before Ray is imported. Raises SettingsError where it is not installed.
    """
    check_ray()
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if own:
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        # What Ray asks before it takes the loopback address on any system; the name is older than that.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    try:
        import ray
    except ImportError as error:
        raise ResourceError(f"Ray cannot be loaded: {error}") from error
    logging.getLogger("ray").setLevel(logging.ERROR)
    return ray
