"""Whether the count files of a sample are still those that its results came from.

Time stamps do not tell: `rsync -a` and `cp -p` keep old ones, and a copied file has a new one. What
tells is the content, and reading it at every start would take minutes. So the state of each file is
kept (name, size, time of its last change, and the time at which the file system noticed it, which
no tool can set), and the content is read only where the state differs.

Standard library only, but for results that have to be looked into.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from ctcflow.errors import CtcflowError
from ctcflow.files import io
from ctcflow.files.digests import digest, state_of

KEPT: Final = Path(".ctcflow") / "count_files.json"
"""Where the states are kept, below the folder of the run."""

State = list[list[str | int]]


class Of(NamedTuple):
    """The count files that one step reads of one sample."""

    step: str
    sample: str
    named: str
    """Name of this input in the record of the step."""
    files: tuple[Path, ...]

    @property
    def key(self) -> str:
        """Its name among the kept states."""
        return f"{self.step}/{self.sample}"


def in_words(replaced: Sequence[Of]) -> list[str]:
    """Say, a sentence each, whose files are not those that the results came from."""
    what = {"ingest": "its counts are", "qc": "its unfiltered droplets are"}
    return [
        f"sample `{of.sample}`: {what[of.step]} not the file its results came from"
        f" (`{of.files[0]}`): they are read again"
        for of in replaced
    ]


class CountFiles:
    """Hold the count files of a run against those that its results came from.

    Parameters
    ----------
    run
        Folder of the run.
    results
        Folder of its results, on this machine; None where they are elsewhere.
    """

    def __init__(self, run: Path, results: Path | None) -> None:
        self._path, self._results = run / KEPT, results
        self._kept = _read(self._path)
        self._changed = False
        self.replaced: list[Of] = []
        """Whose files are not those that the results came from."""

    def token(self, of: Of) -> str:
        """Word that changes when the files get another content than the results came from.

        It is a parameter of the step: Snakemake repeats the step when it differs from the one that
        was recorded with the results. It is empty for the first content of a run, so that nothing
        has to be read before the step reads it.

        Raises
        ------
        OSError
            A file cannot be read.
        """
        now, kept = _state(of.files), self._kept.get(of.key, {})
        if kept.get("state") == now:
            return str(kept["token"])
        token, tokens = str(kept.get("token", "")), dict(kept.get("tokens", {}))
        before = self._read_by_results(of)
        if self._results is None:
            token = digest(*of.files)
        elif before is not None:
            content = digest(*of.files)
            if content != before:
                self.replaced.append(of)
                tokens.setdefault(before, token)
                new = str(tokens.setdefault(content, content))
                if new == tokens[before]:  # it was replaced once more while a step read it
                    new = tokens[content] = f"{content}+"
                # the state stays: the files are read again until the results have come from them
                self._keep(of, {**kept, "token": token, "tokens": tokens})
                return new
            token = tokens.get(content, token)
        self._keep(of, {"state": now, "token": token, "tokens": tokens})
        return token

    def differ(self, of: Of) -> bool:
        """Whether the content is not what the results came from, read anew; False without results.

        Raises
        ------
        OSError
            A file cannot be read.
        """
        before = self._read_by_results(of)
        return before is not None and digest(*of.files) != before

    def copies(
        self, counts: Sequence[Of], *, has_cells: Callable[[Of], bool]
    ) -> tuple[Of, Of] | None:
        """Two samples with cells whose counts are the same, byte for byte; None for none.

        Only files of the same sizes are looked into.

        Raises
        ------
        OSError
            A file cannot be read.
        """
        of_sizes: dict[tuple[int, ...], list[Of]] = {}
        for of in counts:
            sizes = tuple(path.stat().st_size for path in of.files)
            of_sizes.setdefault(sizes, []).append(of)
        for alike in of_sizes.values():
            first_with: dict[str, Of] = {}
            for of in alike if len(alike) > 1 else []:
                first = first_with.setdefault(digest(*of.files), of) if has_cells(of) else of
                if first is not of:
                    return first, of
        return None

    def save(self) -> None:
        """Keep the states for the next start; without effect where the folder cannot be written."""
        if not self._changed:
            return
        with contextlib.suppress(OSError, CtcflowError):
            io.write_bytes(self._path, json.dumps(self._kept, sort_keys=True).encode())

    def _keep(self, of: Of, entry: dict[str, Any]) -> None:
        self._changed |= self._kept.get(of.key) != entry
        self._kept[of.key] = entry

    def _read_by_results(self, of: Of) -> str | None:
        """Digest of the files as the step read them; None if it has no result."""
        if self._results is None:
            return None
        path = self._results / of.step / f"{of.sample}.h5ad"
        if not path.is_file():
            return None
        import h5py

        with contextlib.suppress(OSError, KeyError, ValueError, AttributeError, TypeError):
            with h5py.File(path, "r") as file:
                record = json.loads(file["uns/ctcflow"].asstr()[()])
            return str(record["steps"][of.step]["inputs"][of.named])
        return None


def _state(files: Sequence[Path]) -> State:
    return [[path.name, *state_of(path)] for path in files]


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """The kept states; empty where there are none, or they are damaged."""
    try:
        kept = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    whole = isinstance(kept, dict) and all(map(_is_entry, kept.values()))
    return kept if whole else {}


def _is_entry(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("token"), str)
        and isinstance(entry.get("tokens"), dict)
        and all(isinstance(token, str) for token in entry["tokens"].values())
    )
