"""Keep the digests of the code of all steps: to find them takes longer than a small job.

Every process of Snakemake needs them, one per job among these. They are found again when a file of
the package or of its resources has another size or time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from ctcflow.errors import CtcflowError
from ctcflow.files import io
from ctcflow.workflow.step_code import step_code

KEPT: Final = Path(".ctcflow") / "code.json"
"""Where they are kept, below the folder of the run."""


class KeptCode:
    """Digests of the code of steps, and of the shipped tables that they read.

    Parameters
    ----------
    run
        Folder of the run.
    package, resources
        Folders of the package and of its tables.
    """

    def __init__(self, run: Path, package: Path, resources: Path) -> None:
        self._path, self._package = run / KEPT, package
        self._state = _state_of([package, resources])
        self._kept = self._read()
        self._changed = False

    def of(self, step: str, tables: Sequence[Path]) -> str:
        """Digest of the code that a step runs and of shipped tables (see `step_code`)."""
        if step not in self._kept:
            self._kept[step] = step_code(self._package, step, tables)
            self._changed = True
        return self._kept[step]

    def save(self) -> None:
        """Keep the digests for the next process; without effect where this is not possible."""
        if not self._changed:
            return
        with contextlib.suppress(OSError, CtcflowError):
            kept = {"state": self._state, "digests": self._kept}
            io.write_bytes(self._path, json.dumps(kept).encode())

    def _read(self) -> dict[str, str]:
        with contextlib.suppress(OSError, ValueError, RecursionError):
            kept = json.loads(self._path.read_text())
            if isinstance(kept, dict) and kept.get("state") == self._state:
                return {str(step): str(digest) for step, digest in kept["digests"].items()}
        return {}


def _state_of(folders: Sequence[Path]) -> str:
    """Digest of the names, sizes and times of all files below folders."""
    state = hashlib.blake2b(digest_size=8)
    for folder in folders:
        for line in _files_below(str(folder)):
            state.update(line.encode(errors="surrogateescape"))
    return state.hexdigest()


def _files_below(folder: str) -> Iterator[str]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir():
            if entry.name != "__pycache__":
                yield from _files_below(entry.path)
        else:
            found = entry.stat()
            yield f"{entry.path} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}\n"
