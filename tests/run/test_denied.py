"""Permissions, HOME and full disks: one line that says what is so, and nothing that is not."""

from __future__ import annotations

import errno
import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pytest
from tests.denied import ctcflow_denied

from ctcflow.errors import CtcflowError, of_system
from ctcflow.files import bundle, digests, io, sample_files
from ctcflow.formats.h5 import opened
from ctcflow.settings.config import Config, load_samples


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text("samples: config/samples.tsv\n")
    (tmp_path / "config" / "samples.tsv").write_text("sample\tpath\nA\t../data/A.h5\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "A.h5").write_text("x")
    (tmp_path / "results" / "call").mkdir(parents=True)
    (tmp_path / "results" / "call" / "call.h5ad").write_text("x")
    return tmp_path


@contextmanager
def _mode(path: Path, mode: int) -> Iterator[None]:
    before = path.stat().st_mode
    path.chmod(mode)
    try:
        yield
    finally:
        path.chmod(before)


@pytest.mark.parametrize(
    ("name", "mode", "words"),
    [
        ("config/config.yaml", 0, "check ."),
        ("config/config.yaml", 0, "run ."),
        ("config", 0, "check ."),
        ("config", 0, "run ."),
        ("config/samples.tsv", 0, "check ."),
        ("data", 0, "check ."),
        (".", 0o555, "run ."),
        ("results", 0o555, "run ."),
        ("results/call", 0, "explain A AAAC"),
        ("results/call/call.h5ad", 0, "explain A AAAC"),
        (".", 0o555, "init new"),
        ("data", 0, "init new --from data"),
        ("config", 0, "init . --add data"),
        (".", 0o555, "simulate new"),
    ],
)
def test_what_is_denied_is_one_line(run: Path, name: str, mode: int, words: str) -> None:
    with _mode(run / name, mode):
        code, said = ctcflow_denied(run, words.split())
    lines = [line for line in said.splitlines() if not line.startswith(("passed over", "left out"))]
    assert (code, len(lines)) == (2, 1), said
    assert "ermission denied" in said, said
    assert "does not exist" not in said
    assert "there is no" not in said
    assert "delete" not in said


@pytest.mark.parametrize("home", [None, "/proc/nowhere", "/dev/null"])
def test_home_may_be_missing(run_folder: Path, home: str | None) -> None:
    variables = {"HOME": home, "XDG_CACHE_HOME": None}
    code, said = ctcflow_denied(run_folder, ["check", "."], variables)
    assert code == 0, said
    assert "jobs, about" in said


def test_a_missing_tmpdir_is_no_matter(run_folder: Path) -> None:
    code, said = ctcflow_denied(run_folder, ["check", "."], {"TMPDIR": "/nowhere"})
    assert code == 0, said


def test_no_room_to_unpack_is_said_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.arange(4)
    packed = tmp_path / "a.h5.gz"
    packed.write_bytes(gzip.compress((tmp_path / "a.h5").read_bytes()))
    # a device on which every write fails for want of room
    real = Path.open

    def full(path: Path, mode: str = "r", **more: Any) -> Any:
        if mode == "wb":
            return real(Path("/dev/full"), "wb", buffering=0)
        return real(path, mode, **more)

    monkeypatch.setattr(Path, "open", full)
    said = pytest.raises(CtcflowError, match="no room to unpack in .* in the variable TMPDIR")
    with said, opened(packed):
        pass


@pytest.mark.parametrize(
    "number", [errno.EACCES, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ESTALE]
)
def test_what_the_system_refuses_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    path = tmp_path / "a.h5ad"
    anndata.AnnData(np.ones((2, 2), dtype=np.float32)).write_h5ad(path)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(anndata, "read_h5ad", refuse)
    monkeypatch.setattr(h5py, "File", refuse)
    for read in (
        lambda: io.read_h5ad(path),
        lambda: io.read_record(path),
        lambda: sample_files._read_parts(path, "described", None, ()),
    ):
        with pytest.raises(CtcflowError) as said:
            read()
        assert os.strerror(number) in str(said.value)
        assert "delete" not in str(said.value)


@pytest.mark.parametrize("error", [MemoryError(), ImportError("no zstd"), RuntimeError("newer")])
def test_a_good_result_is_not_blamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    path = tmp_path / "a.h5ad"
    with digests.recorded(path):
        anndata.AnnData(np.ones((2, 2), dtype=np.float32)).write_h5ad(path)

    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(anndata, "read_h5ad", refuse)
    with pytest.raises(CtcflowError) as said:
        io.read_h5ad(path)
    assert "delete" not in str(said.value)


def test_a_result_that_differs_is_to_be_deleted(tmp_path: Path) -> None:
    path = tmp_path / "a.h5ad"
    with digests.recorded(path):
        path.write_bytes(b"as written")
    path.write_bytes(b"otherwise")
    with pytest.raises(CtcflowError, match="not what its step wrote: delete it"):
        io.read_h5ad(path)


def test_a_name_that_is_too_long_is_said() -> None:
    sheet = Path("/tmp") / ("x" * 300)
    with pytest.raises(CtcflowError, match="File name too long"):
        load_samples(sheet, Config())
    with pytest.raises(CtcflowError, match="File name too long"):
        bundle.read_manifest(sheet)


def test_a_bug_stays_a_bug() -> None:
    assert of_system(FileNotFoundError(errno.ENOENT, "x")) is None
    assert of_system(OSError("no number")) is None
    assert of_system(ValueError("x")) is None


def test_init_says_which_library_is_denied_and_finds_the_others(run: Path) -> None:
    for name in ("A", "B"):
        (run / "more" / name).mkdir(parents=True)
        (run / "more" / name / "counts.h5ad").write_text("x")
    with _mode(run / "more" / "A", 0o444):
        code, said = ctcflow_denied(run, ["init", "new", "--from", "more"])
    assert code == 0, said
    assert "left out" in said, said
    assert "Permission denied" in said
    assert "\nB: " in said
