"""Counts that are replaced between starts, in every order: a start knows what results came from."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path

import h5py
from tests.attacks.rows import Attack

from ctcflow.files import digests
from ctcflow.workflow.count_files import KEPT, CountFiles, Of

_TIME = 1_600_000_000


def rows() -> Iterator[Attack]:
    """All rows of this area."""
    for contents in itertools.product("abc", repeat=4):
        if contents[0] == "a":
            yield Attack("replaced", " then ".join(contents), _in_turn(contents, forget=-1))
    for forget in (1, 2, 3):
        for contents in ("aaaa", "abab", "aabb", "abca"):
            what = f"{' then '.join(contents)}, states lost before start {forget + 1}"
            yield Attack("replaced", what, _in_turn(tuple(contents), forget=forget))


def _in_turn(contents: tuple[str, ...], *, forget: int):
    """Each content has the same size and time; a step runs where its word differs."""

    def act(folder: Path) -> None:
        path, recorded, came_from = folder / "counts", None, None
        for start, content in enumerate(contents):
            path.write_text(content)
            os.utime(path, (_TIME, _TIME))
            if start == forget:
                (folder / KEPT).unlink()
            of = Of("ingest", "s1", "data", (path,))
            files = CountFiles(folder, folder / "results")
            word = files.token(of)
            files.save()
            if content != came_from:
                assert word != recorded, f"start {start + 1}: {content} after {came_from}"
            elif forget < 0:
                assert word == recorded, f"start {start + 1}: repeated for {content}"
            if word != recorded:
                _write_result(folder, of)
                recorded, came_from = word, content

    return act


def _write_result(folder: Path, of: Of) -> None:
    target = folder / "results" / of.step / f"{of.sample}.h5ad"
    target.parent.mkdir(parents=True, exist_ok=True)
    record = {"steps": {of.step: {"inputs": {of.named: digests.digest(*of.files)}}}}
    with h5py.File(target, "w") as file:
        file["uns/ctcflow"] = json.dumps(record)
