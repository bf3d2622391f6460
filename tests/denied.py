"""Run a command to which permissions apply, also where the tests are root's."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_DROP = 24
"""Of `prctl`: PR_CAPBSET_DROP."""
_OVER_PERMISSIONS = (1, 2)
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH."""


def _without_power() -> None:
    if os.geteuid() == 0:
        for capability in _OVER_PERMISSIONS:
            ctypes.CDLL(None).prctl(_DROP, capability, 0, 0, 0)


def ctcflow_denied(
    folder: Path, words: Sequence[str], variables: Mapping[str, str | None] = {}
) -> tuple[int, str]:
    """Exit code and output of `ctcflow`; a variable that is None is unset."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **variables}
    done = subprocess.run(
        [sys.executable, "-m", "ctcflow", *words],
        cwd=folder,
        env={name: value for name, value in environment.items() if value is not None},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=_without_power,
    )
    return done.returncode, done.stdout + done.stderr
