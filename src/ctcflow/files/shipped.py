"""Where the files that come with the package are: the workflow, its tables, a configuration.

In an installed package they are inside it; in a checkout they are next to `src`.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final, Literal

from ctcflow.errors import CtcflowError

_INSIDE: Final = "_shipped"


def package() -> Path:
    """Folder of the imported package."""
    return Path(str(resources.files("ctcflow")))


@cache
def shipped(folder: Literal["workflow", "resources", "config"]) -> Path:
    """Folder of files that come with the package.

    Raises
    ------
    CtcflowError
        The folder is missing: the package was copied without its files.
    """
    mine = package()
    for place in (mine / _INSIDE / folder, mine.parents[1] / folder):
        if place.is_dir():
            return place
    raise CtcflowError(f"`{mine}` has no `{folder}` in it or beside it: install ctcflow again")


def checkout() -> Path:
    """Root of the checkout that the package is part of.

    Raises
    ------
    CtcflowError
        The package is installed and is not part of a checkout.
    """
    mine = package()
    if (mine / _INSIDE).is_dir() or not (mine.parents[1] / "pyproject.toml").is_file():
        raise CtcflowError(
            f"`{mine}` is an installed package: files are generated in a checkout of ctcflow only"
        )
    return mine.parents[1]
