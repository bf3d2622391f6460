"""One small truth, which tests of readers write as different producers do."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import io, sparse

from ctcflow.errors import CtcflowError
from ctcflow.formats.read import RawCounts, read_counts

SYMBOLS = (
    *("EPCAM", "KRT8", "KRT18", "KRT19", "PTPRC", "CD3E", "CD4", "CD8A", "MS4A1", "LYZ", "ACTB"),
    *("GAPDH", "MT-CO1", "MT-ND1", "HLA-A", "HBB", "PPBP", "NKG7", "VIM", "CDH1", "ESR1", "ERBB2"),
)
IDS = tuple(f"ENSG{number:011d}" for number in range(1, len(SYMBOLS) + 1))
GENES = pd.DataFrame({"gene_id": IDS, "symbol": SYMBOLS})
CELLS = ("AAACCTGA-1", "AAACGGGT-1", "AAAGATGC-1", "AAATGCCA-1", "AACACGTC-1", "AACCATGG-1")
COUNTS = np.random.default_rng(7).poisson(1.3, (len(CELLS), len(SYMBOLS)))
COUNTS[0, 0] = 4711  # of no other place


def read(path: Path, format: str | None = None) -> RawCounts:
    return read_counts(path, format=format, genes=GENES)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    packed = path.suffix == ".gz"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    return path


def write_list(path: Path, *columns: Sequence[str], header: str = "") -> Path:
    separator = "," if ".csv" in path.name else "\t"
    lines = [header] if header else []
    lines += [separator.join(fields) for fields in zip(*columns, strict=True)]
    return write(path, "".join(f"{line}\n" for line in lines))


def write_mtx(path: Path, counts: np.ndarray, *, field: str = "integer") -> Path:
    """By scipy: genes x cells unless turned before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    io.mmwrite(plain, sparse.coo_matrix(counts), field=field, symmetry="general")
    if plain != path:
        path.write_bytes(gzip.compress(plain.read_bytes()))
        plain.unlink()
    return path


def assert_is_truth(
    raw: RawCounts, *, names: Sequence[str] = SYMBOLS, cells: Sequence[str] = CELLS
) -> None:
    np.testing.assert_array_equal(raw.adata.X.toarray(), COUNTS)
    assert raw.adata.obs_names.tolist() == list(cells)
    assert raw.adata.var_names.tolist() == list(names)


def refused(path: Path, pattern: str, format: str | None = None) -> str:
    with pytest.raises(CtcflowError, match=pattern) as caught:
        read(path, format)
    said = str(caught.value)
    assert str(path.name) in said
    assert "\n" not in said
    assert len(said) < 700
    return said
