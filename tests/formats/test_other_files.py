"""HDF5 of which a part is in another file is refused wherever HDF5 is opened."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import anndata
import h5py
import numpy as np
import pytest
from scipy import sparse

from ctcflow.errors import CtcflowError
from ctcflow.files import io, sample_files
from ctcflow.formats.detect import locate
from ctcflow.formats.genes import gene_names
from ctcflow.formats.h5 import read_obs
from ctcflow.formats.read import read_counts
from ctcflow.formats.size import check_head
from ctcflow.untrusted import refuse_other_files

N = 6


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    """Counts, and a file of somebody else beside them."""
    adata = anndata.AnnData(sparse.csr_matrix(np.ones((N, N), dtype=np.int32)))
    adata.var_names = ["ACTB", "EPCAM", "PTPRC", "CD3D", "KRT8", "GAPDH"]
    adata.uns["ctcflow"] = "{}"
    adata.write_h5ad(tmp_path / "counts.h5ad")
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["x"] = np.arange(N * N, dtype=np.int32)
        file["names"] = np.array([b"secret"] * N)
        file["group/data"] = np.arange(N)
    (tmp_path / "secret.bin").write_bytes(bytes(range(256)))
    return tmp_path / "counts.h5ad"


def _external_data(file: h5py.File, secret: Path) -> None:
    del file["X/data"]
    file["X/data"] = h5py.ExternalLink(str(secret), "/x")


def _external_names(file: h5py.File, secret: Path) -> None:
    del file["obs/_index"]
    file["obs/_index"] = h5py.ExternalLink(str(secret), "/names")


def _external_group(file: h5py.File, secret: Path) -> None:
    file["uns/more"] = h5py.ExternalLink(str(secret), "/group")


def _through_a_soft_link(file: h5py.File, secret: Path) -> None:
    del file["X/data"]
    file["uns/way"] = h5py.ExternalLink(str(secret), "/")
    file["X/data"] = h5py.SoftLink("/uns/way/x")


def _to_nothing(file: h5py.File, secret: Path) -> None:
    file["uns/more"] = h5py.ExternalLink("/nowhere.h5", "/x")


def _relative(file: h5py.File, secret: Path) -> None:
    file["uns/more"] = h5py.ExternalLink("secret.h5", "/x")


def _stored_outside(file: h5py.File, secret: Path) -> None:
    del file["X/data"]
    place = [(str(secret.with_suffix(".bin")), 0, 4 * N * N)]
    file.create_dataset("X/data", (N * N,), dtype=np.int32, external=place)


def _virtual(file: h5py.File, secret: Path) -> None:
    del file["X/data"]
    layout = h5py.VirtualLayout((N * N,), np.int32)
    layout[:] = h5py.VirtualSource(str(secret), "x", (N * N,))
    file.create_virtual_dataset("X/data", layout)


def _virtual_in_part(file: h5py.File, secret: Path) -> None:
    layout = h5py.VirtualLayout((N, 2), np.int32)
    layout[:, 0] = h5py.VirtualSource(".", "X/data", (N * N,))[:N]
    layout[:, 1] = h5py.VirtualSource(str(secret), "x", (N * N,))[:N]
    file.create_virtual_dataset("uns/v", layout)


ATTACKS = (
    *(_external_data, _external_names, _external_group, _through_a_soft_link, _to_nothing),
    *(_relative, _stored_outside, _virtual, _virtual_in_part),
)
READERS: dict[str, Callable[[Path], object]] = {
    "counts": lambda path: read_counts(path, format=None),
    "head": lambda path: check_head(locate(path, format=None)),
    "genes": lambda path: gene_names(locate(path, format=None)),
    "obs": read_obs,
    "result": io.read_h5ad,
    "record": io.read_record,
    "layer": lambda path: sample_files._read_parts(path, "described", None, ()),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("attack", ATTACKS)
def test_no_other_file_is_read(counts: Path, attack: Callable, reader: str) -> None:
    with h5py.File(counts, "r+") as file:
        attack(file, counts.with_name("secret.h5"))
    with pytest.raises(CtcflowError, match="is in another file, which is not read"):
        READERS[reader](counts)


@pytest.mark.parametrize("ending", ["h5", "loom", "h5mu"])
def test_nor_by_another_format(counts: Path, ending: str) -> None:
    path = counts.with_name(f"other.{ending}")
    shutil.copy(counts, path)
    with h5py.File(path, "r+") as file:
        file["matrix/data"] = h5py.ExternalLink(str(counts.with_name("secret.h5")), "/x")
    with pytest.raises(CtcflowError, match="is in another file"):
        read_counts(path, format=None)


def test_links_within_the_file_are_followed(counts: Path) -> None:
    with h5py.File(counts, "r+") as file:
        file["kept/data"] = file["X/data"]
        del file["X/data"]
        file["X/data"] = h5py.SoftLink("/kept/data")
        file["kept/again"] = file["X"]
        file["kept/circle"] = h5py.SoftLink("/kept")
        file["kept/dangling"] = h5py.SoftLink("/nowhere")
        references = np.array([file["X"].ref], dtype=h5py.ref_dtype)
        file.create_dataset("kept/references", data=references)
        layout = h5py.VirtualLayout((3,), np.int32)
        layout[:] = h5py.VirtualSource(".", "kept/data", (N * N,))[:3]
        file.create_virtual_dataset("kept/own", layout)
    assert read_counts(counts, format=None).adata.X.sum() == N * N


def test_nothing_of_a_large_file_is_read_for_it(counts: Path) -> None:
    with h5py.File(counts, "r+") as file:
        file.create_dataset("big", (10**9,), dtype="i1", chunks=True)
    before = os.times().user
    with h5py.File(counts) as file:
        refuse_other_files(counts, file)
    assert os.times().user - before < 1
