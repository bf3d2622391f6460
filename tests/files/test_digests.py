"""Digests of files: writing them, and detecting files that have changed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from ctcflow.errors import CtcflowError
from ctcflow.files import digests


def written(path: Path, content: bytes = b"result") -> Path:
    with digests.recorded(path):
        path.write_bytes(content)
    return path


def test_digest_is_of_content_and_order(tmp_path: Path) -> None:
    one, same, other = (tmp_path / name for name in ("one", "same", "other"))
    for path, content in ((one, b"x" * 10_000), (same, b"x" * 10_000), (other, b"y")):
        path.write_bytes(content)
    assert digests.digest(one) == hashlib.blake2b(b"x" * 10_000, digest_size=8).hexdigest()
    assert digests.digest(one) == digests.digest(same) != digests.digest(other)
    assert digests.digest(one, other) == digests.digest(same, other) != digests.digest(other, one)


def test_what_was_written_is_what_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "a.h5ad")
    assert digests.checked(path) == digests.digest(path)
    os.utime(path, (0, 0))
    assert list(digests.damaged(tmp_path)) == []
    assert written(path, b"another") and digests.checked(path) == digests.digest(path)


@pytest.mark.parametrize("content", [b"resul", b"", b"resulT", b"result and more"])
def test_a_changed_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = written(tmp_path / "a.h5ad")
    written(tmp_path / "b.h5ad")
    path.write_bytes(content)
    os.utime(path, (0, 0))  # whatever the clock resolves
    with pytest.raises(CtcflowError, match=r"a.h5ad` is not what its step wrote"):
        digests.checked(tmp_path / "b.h5ad", path)
    assert list(digests.damaged(tmp_path)) == [path]


def test_a_file_that_rots_without_a_trace_is_found_when_it_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "a.h5ad")
    state = path.stat()
    path.write_bytes(b"resulT")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert list(digests.damaged(tmp_path)) == []
    with pytest.raises(CtcflowError, match="is not what its step wrote"):
        digests.checked(path)


def test_a_missing_file_is_named_and_is_not_damaged(tmp_path: Path) -> None:
    path = written(tmp_path / "a.h5ad")
    path.unlink()
    assert list(digests.damaged(tmp_path)) == []
    with pytest.raises(CtcflowError, match=r"a.h5ad` is missing: run the step that writes it"):
        digests.checked(path)


def test_a_file_that_was_not_finished_has_no_digest(tmp_path: Path) -> None:
    path = written(tmp_path / "a.h5ad")
    with pytest.raises(KeyboardInterrupt), digests.recorded(path):
        path.write_bytes(b"half")
        raise KeyboardInterrupt
    assert list((tmp_path / ".digests").iterdir()) == []
    assert digests.checked(path) == digests.digest(path)


@pytest.mark.parametrize("content", ["", "abc", "abc x\n"])
def test_half_a_digest_is_none(tmp_path: Path, content: str) -> None:
    path = written(tmp_path / "a.h5ad")
    (beside,) = (tmp_path / ".digests").iterdir()
    beside.write_text(content)
    assert digests.checked(path) == digests.digest(path)
    assert list(digests.damaged(tmp_path)) == []


def test_a_digest_has_no_name_that_a_tool_looks_for(tmp_path: Path) -> None:
    # what an earlier version left goes
    (tmp_path / ".a_mqc.tsv.digest").write_text("")
    written(tmp_path / "a_mqc.tsv")
    assert sorted(os.listdir(tmp_path)) == [".digests", "a_mqc.tsv"]
    (beside,) = (tmp_path / ".digests").iterdir()
    assert "mqc" not in beside.name and not beside.suffix
