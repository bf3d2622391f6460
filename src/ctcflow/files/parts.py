"""Files that were begun: how they are named, and how those that a dead job left are removed.

A file is written beside its final name, as `.NAME.XXXXXXXX.part`, and renamed when it is complete.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

SUFFIX: Final = ".part"
_KINDS: Final = "h5ad|h5mu|zarr|tsv|tsv\\.gz|json|html|png|svg|zip|gmt|txt"
_OWN: Final = re.compile(
    rf"\..+\.({_KINDS})\.([a-z0-9_]{{8}}|\d+)\.part"  # `io.whole_file`, `provenance`
    r"|\.[0-9a-f]{16}\.part"  # `digests.recorded`
)
"""Names that ctcflow gives to what it begins; a user's own `.notes.part` is none."""


def prefix(path: Path) -> str:
    """How the name of a file that was begun starts; random letters and `SUFFIX` follow."""
    return f".{path.name}."


def begun_below(folder: Path) -> Iterator[Path]:
    """Find what ctcflow began below a folder and did not complete; no link is followed.

    Parameters
    ----------
    folder
        Folder of results.
    """
    for root, folders, files in os.walk(folder, followlinks=False):
        # zarr is a folder
        yield from (
            path
            for name in (*folders, *files)
            if _OWN.fullmatch(name) and not (path := Path(root, name)).is_symlink()
        )
        folders[:] = [name for name in folders if not _OWN.fullmatch(name)]


def remove(path: Path) -> None:
    """Remove what was begun: a file, or the folder of a zarr."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
