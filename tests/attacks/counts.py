"""Matrices whose values, types and layouts are not those of counts."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
from scipy import sparse
from tests.attacks.rows import Attack, one_line_or

from ctcflow.files import io
from ctcflow.files.shipped import shipped
from ctcflow.files.tables import SHIPPED
from ctcflow.settings.sample_params import IngestParams
from ctcflow.steps.ingest import ingest

N_CELLS, N_GENES = 12, 300
_VALUES: dict[str, Any] = {
    "minus one": -1,
    "a half": 0.5,
    "not a number": float("nan"),
    "infinite": float("inf"),
    "minus infinite": float("-inf"),
    "127": 127,
    "128": 128,
    "255": 255,
    "256": 256,
    "2^15": 2**15,
    "2^16 - 1": 2**16 - 1,
    "2^24 + 1": 2**24 + 1,
    "2^31 - 1": 2**31 - 1,
    "2^31": 2**31,
    "2^32 - 1": 2**32 - 1,
    "2^53 + 1": 2**53 + 1,
    "2^63 - 1": 2**63 - 1,
    "2^63": 2**63,
    "2^64 - 1": 2**64 - 1,
    "1e300": 1e300,
}
_TYPES = (
    *("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"),
    *("float16", "float32", "float64", "longdouble", ">i4", ">f8", "<u2"),
)
_LAYOUTS = {
    "csr": sparse.csr_matrix,
    "csc": sparse.csc_matrix,
    "coo": lambda x: sparse.csr_matrix(sparse.coo_matrix(x)),
    "dense": lambda x: x,
    "dense by columns": np.asfortranarray,
    "indices not in order": lambda x: _shuffled(sparse.csr_matrix(x)),
    "values in two parts": lambda x: _in_two_parts(sparse.csr_matrix(x)),
    "zeros that are stored": lambda x: _with_zeros(sparse.csr_matrix(x)),
    "array instead of matrix": sparse.csr_array,
}


def rows() -> Iterator[Attack]:
    """All rows of these areas."""
    for kind in _TYPES:
        for what, value in _VALUES.items():
            if _holds(kind, value):
                yield Attack("values", f"{what} as {kind}", _with_value(kind, value))
        has_sparse = _scipy_has(np.dtype(kind))
        for layout in _LAYOUTS if has_sparse else ("dense", "dense by columns"):
            yield Attack("layouts", f"{layout} of {kind}", _in_layout(kind, layout))
    for kind in ("complex64", "bool", "object", "U5", "S5", "datetime64[s]"):
        yield Attack("values", f"matrix of {kind}", _of_type(kind))


@cache
def _genes() -> pd.DataFrame:
    return io.read_table(shipped("resources") / SHIPPED["genes"])


@cache
def _counts() -> np.ndarray:
    rng = np.random.default_rng(0)
    rates = rng.lognormal(-1, 1.5, N_GENES) * rng.lognormal(0, 0.4, N_CELLS)[:, None]
    return np.minimum(rng.poisson(rates), 100)


def _holds(kind: str, value: Any) -> bool:
    """Whether a type has exactly this value."""
    with np.errstate(all="ignore"):
        try:
            return bool(np.array([value]).astype(kind).tolist()[0] == value) or value != value
        except (OverflowError, ValueError):
            return False


def _scipy_has(kind: np.dtype) -> bool:
    """Whether there is a sparse matrix of this type."""
    return kind.isnative and kind.char not in "eg"


def _given(x: Any) -> anndata.AnnData:
    adata = anndata.AnnData(X=x)
    adata.obs_names = pd.Index([f"CELL{k:03}-1" for k in range(N_CELLS)], dtype=object)
    table = _genes()
    symbols = table["symbol"][~table["symbol"].duplicated(keep=False)].tolist()
    adata.var_names = pd.Index(symbols[:N_GENES], dtype=object)
    return adata


def _check(x: Any, truth: list[list[int]]) -> None:
    """Check that counts are taken as they are, or refused."""
    taken = one_line_or(lambda: ingest(_given(x), _genes(), params=IngestParams()))
    if taken is not None:
        order = [f"CELL{k:03}-1" for k in range(N_CELLS)]
        names = _given(x).var_names
        found = taken[order][:, names].X.toarray().tolist()
        assert found == truth


def _with_value(kind: str, value: Any):
    def act(_: Path) -> None:
        truth = _counts().tolist()
        truth[4][7] = value
        if kind.startswith("float") or kind in ("longdouble", ">f8"):
            x = np.array(truth, dtype=np.longdouble).astype(kind)
        else:
            x = np.array(truth, dtype=object).astype(kind) if value == value else None
        if x is None:
            return
        _check(sparse.csr_matrix(x) if _scipy_has(x.dtype) else x, truth)

    return act


def _in_layout(kind: str, layout: str):
    def act(_: Path) -> None:
        x = _counts().astype(kind)
        _check(_LAYOUTS[layout](x), _counts().tolist())

    return act


def _of_type(kind: str):
    def act(_: Path) -> None:
        with np.errstate(all="ignore"):
            x = _counts().astype(kind)
        truth = (_counts() > 0).astype(int) if kind == "bool" else _counts()
        _check(x, truth.tolist())

    return act


def _shuffled(x: sparse.csr_matrix) -> sparse.csr_matrix:
    rng = np.random.default_rng(1)
    for start, end in zip(x.indptr[:-1], x.indptr[1:], strict=True):
        order = start + rng.permutation(end - start)
        x.indices[start:end], x.data[start:end] = x.indices[order], x.data[order]
    x.has_sorted_indices = False
    return x


def _in_two_parts(x: sparse.csr_matrix) -> sparse.csr_matrix:
    """Each count of two or more as two entries of one place."""
    coo = x.tocoo()
    first = (coo.data // 2).astype(x.dtype)
    row, column = np.concatenate([coo.row, coo.row]), np.concatenate([coo.col, coo.col])
    data = np.concatenate([first, coo.data - first]).astype(x.dtype)
    order = np.argsort(row, kind="stable")
    ends = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=x.shape[0]))])
    return sparse.csr_matrix((data[order], column[order], ends), shape=x.shape)


def _with_zeros(x: sparse.csr_matrix) -> sparse.csr_matrix:
    dense = x.toarray()
    everywhere = np.tile(np.arange(x.shape[1]), x.shape[0])
    ends = np.arange(x.shape[0] + 1) * x.shape[1]
    return sparse.csr_matrix((dense.ravel(), everywhere, ends), shape=x.shape)
