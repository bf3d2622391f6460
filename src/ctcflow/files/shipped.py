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
    package_folder = package()
    for place in (package_folder / _INSIDE / folder, package_folder.parents[1] / folder):
        if place.is_dir():
            return place
    raise CtcflowError(
        f"`{package_folder}` has no `{folder}` in it or beside it: install ctcflow again"
    )


def checkout() -> Path:
    """Root of the checkout that the package is part of.

    Raises
    ------
    CtcflowError
        The package is installed and is not part of a checkout.
    """
    package_folder = package()
    if (package_folder / _INSIDE).is_dir() or not (
        package_folder.parents[1] / "pyproject.toml"
    ).is_file():
        raise CtcflowError(
            f"`{package_folder}` is an installed package: files are generated in a checkout of"
            " ctcflow only"
        )
    return package_folder.parents[1]
