"""Find, characterise and count circulating tumour cells in single-cell data of blood.

In Python: `import ctcflow as cf`, then `cf.pp` (counts, quality), `cf.tl` (evidence, calls,
mapping) and `cf.pl` (figures), which are imported when they are first asked for.
"""

from __future__ import annotations

import importlib
from types import ModuleType

__version__ = "0.2.0"
__all__ = ["__version__", "pl", "pp", "tl"]


def __getattr__(name: str) -> ModuleType:
    if name in ("pl", "pp", "tl"):
        # imported on first use, so that reading the version does not import their libraries
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module `ctcflow` has no attribute `{name}`: it has pp, tl and pl")


def __dir__() -> list[str]:
    return sorted(__all__)
