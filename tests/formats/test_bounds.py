"""Small files that unpack to more than memory: refused in one line, without using memory."""

from __future__ import annotations

import gzip
from pathlib import Path

import h5py
import numpy as np
import pytest

from ctcflow.errors import CtcflowError
from ctcflow.formats import bounds
from ctcflow.formats.read import read_counts

TRIPLETS = b"%%MatrixMarket matrix coordinate integer general\n2 2 100000\n" + b"1 1 0\n" * 100_000
TEXTS = {
    "one line": ("a.csv.gz", b"gene," + b"0," * 300_000),
    "many lines": ("a.tsv.gz", b"gene\tAAAC\tAAAG\n" + b"EPCAM\t0\t0\n" * 50_000),
    "a list of genes": ("a.txt.gz", b"gene\n" + b"EPCAM\n" * 100_000),
    "one cell": ("cells/a.tsv.gz", b"EPCAM\t1\n" * 100_000),
    "matrix": ("m/matrix.mtx.gz", TRIPLETS),
    "barcodes": ("m/barcodes.tsv.gz", b"AAAC-1\n" * 100_000),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_text_that_unfolds_too_far_is_refused(tmp_path, monkeypatch, kind):
    name, content = TEXTS[kind]
    path = tmp_path / name
    (tmp_path / "m").mkdir()
    (tmp_path / "cells").mkdir()
    (tmp_path / "cells" / "b.tsv").write_text("EPCAM\t1\n")
    for other in ("matrix.mtx", "barcodes.tsv", "features.tsv"):
        (tmp_path / "m" / f"{other}.gz").write_bytes(gzip.compress(b"a\tEPCAM\nb\tKRT8\n"))
    path.write_bytes(gzip.compress(content, 9))
    given = path if path.parent == tmp_path else path.parent
    # so far as to fail without the limit would take as much memory as the limit is there to save
    assert len(content) / path.stat().st_size > bounds._MOST_TEXT
    monkeypatch.setattr(bounds, "_FREE", 1000)
    with pytest.raises(CtcflowError, match="unfolds to more than 200 times") as caught:
        read_counts(given, format=None)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_that_a_file_may_unfold_to_is_read(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(bytes(bounds._FREE + 1000)))
    with bounds.opened(path) as file:
        assert sum(len(part) for part in iter(lambda: file.read(1 << 20), b"")) > bounds._FREE
    path.write_bytes(gzip.compress(bytes(2 * bounds._FREE)))
    with bounds.opened(path) as file, pytest.raises(CtcflowError, match="unfolds"):
        file.read()


@pytest.mark.parametrize("name", ["a.h5", "a.h5ad", "a.h5mu"])
@pytest.mark.parametrize("dense", [True, False])
def test_arrays_of_which_nothing_is_stored_are_refused(tmp_path, name, dense):
    path = tmp_path / name
    shape = (10**7, 20_000) if dense else (10**12,)
    with h5py.File(path, "w") as file:
        group = file.create_group("mod/rna" if name == "a.h5mu" else "matrix")
        group.create_group("features")
        group.create_dataset("X", shape, dtype=np.float32, chunks=True, compression="gzip")
    assert path.stat().st_size < 100_000
    with pytest.raises(CtcflowError, match=r"array `.*X` unfolds to more than 1100 times"):
        read_counts(path, format={"a.h5": "10x_h5"}.get(name, name[2:]))


def test_compressed_counts_of_mostly_zeros_are_read(tmp_path):
    path = tmp_path / "a.h5ad"
    with h5py.File(path, "w") as file:
        stored = np.zeros((2000, 20_000), dtype=np.float32)
        file.create_dataset("X", data=stored, chunks=(100, 20_000), compression="gzip")
    with h5py.File(path) as file:
        assert file["X"].nbytes > bounds._FREE
        assert file["X"].nbytes / file["X"].id.get_storage_size() > 100
        bounds.check_arrays(path, file)


def test_the_path_is_that_of_the_user(tmp_path):
    path: Path = tmp_path / "plain.csv"
    path.write_text("a")
    with bounds.opened(path) as file:
        assert file.read() == b"a"
