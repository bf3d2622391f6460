"""What a matrix must hold to be taken for raw counts; everything else is refused in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from ctcflow.errors import CtcflowError
from ctcflow.formats import values
from ctcflow.settings.sample_params import IngestParams
from ctcflow.stats.counts import checks as counts

if TYPE_CHECKING:
    from anndata import AnnData

Names = npt.NDArray[np.object_]

_FEWEST_CELLS: Final = 5
"""Cells with counts from which on two rows of a gene with the same counts are no chance."""


def as_csr(adata: AnnData) -> sparse.csr_matrix:
    """The matrix as CSR without repeated entries; a copy where something is changed."""
    if adata.X is None:
        raise CtcflowError("the matrix has no values (X is empty): give a file with raw counts")
    x = values.as_csr(adata.X)
    if x.dtype.kind == "b":
        x = x.astype(np.int32)
    if x.has_canonical_format:
        return x
    if what := values.beyond(x.data):
        raise CtcflowError(f"X holds {what}: give raw counts")
    return values.summed(x)


def refuse_bad_values(x: sparse.csr_matrix, barcodes: Names, names: Names) -> None:
    """Refuse values that no count has: text, missing, negative or beyond all counts."""
    if x.dtype.kind not in "iuf":
        raise CtcflowError(f"X holds {x.dtype} values: give raw counts as numbers")
    if x.dtype.kind == "f" and not np.isfinite(x.data).all():
        bad = ~np.isfinite(x.data)
        raise CtcflowError(
            f"X holds {int(bad.sum())} values that are NaN or infinite (first in"
            f" {_where(x, int(bad.argmax()), barcodes, names)}): give raw counts, 0 where nothing"
            " was counted"
        )
    if what := values.beyond(x.data):
        raise CtcflowError(f"X holds {what}: give raw counts")
    if x.nnz and x.data.min() < 0:
        at = int(x.data.argmin())
        raise CtcflowError(
            f"X holds {int((x.data < 0).sum())} negative values (lowest {x.data[at]:.4g} in"
            f" {_where(x, at, barcodes, names)}): looks scaled or batch-corrected, give raw counts"
        )


def _where(x: sparse.csr_matrix, position: int, barcodes: Names, names: Names) -> str:
    row = int(np.searchsorted(x.indptr, position, side="right")) - 1
    return f"cell `{barcodes[row]}`, gene `{names[x.indices[position]]}`"


def whole(
    x: sparse.csr_matrix, barcodes: Names, names: Names, params: IngestParams
) -> tuple[sparse.csr_matrix, int]:
    """Refuse or round values that are not integers; return the number of rounded values."""
    first = counts.first_not_whole(x.data)
    if first < 0:
        return x, 0
    seen = f"e.g. {x.data[first]:.4g} in {_where(x, first, barcodes, names)}"
    if counts.looks_log_normalised(x):
        raise CtcflowError(
            f"X looks log-normalised, give raw counts ({seen}, largest {x.data.max():.4g}): in an"
            ' h5ad put them in X or layers["counts"]'
        )
    total = counts.normalised_sums(x)
    if not np.isnan(total):
        raise CtcflowError(
            f"X looks normalised to {total:.6g} per cell (CPM or TPM), give raw counts ({seen})"
        )
    if params.counts == "integer":
        raise CtcflowError(
            f"X holds values that are not whole numbers ({seen}): give raw counts, or if these are"
            " expected counts (RSEM) set ingest.counts to expected"
        )
    whole = x.copy()
    whole.data = np.rint(x.data)
    return whole, int((whole.data != x.data).sum())


def refuse_disguised(x: sparse.csr_matrix, barcodes: Names, names: Names) -> None:
    """Refuse whole numbers that are no counts, a cell that is given twice, a cell that is none."""
    what = counts.whole_but_no_counts(x)
    if what:
        raise CtcflowError(f"X holds {what}: give raw counts")
    at = counts.not_a_count(x)
    if at >= 0:
        raise CtcflowError(
            f"X holds {x.data[at]:.4g} in {_where(x, at, barcodes, names)}: no cell has so many of"
            " one gene, so the file is damaged or was changed: write it again from the raw counts"
        )
    pair = counts.same_rows(x)
    if pair is not None:
        raise CtcflowError(
            f"cells `{barcodes[pair[1]]}` and `{barcodes[pair[0]]}` hold the same counts: give"
            " every cell once"
        )
    row, why = counts.no_cell(x)
    if row >= 0:
        raise CtcflowError(
            f"`{barcodes[row]}` stands among the cells and is none ({why}): remove it"
        )


def refuse_written_twice(x: sparse.csr_matrix, found: Names, groups: npt.NDArray[np.intp]) -> None:
    """Refuse rows of one gene that hold the same counts: summed, they would count twice."""
    repeated = np.flatnonzero(pd.Series(groups).duplicated(keep=False))
    if not repeated.size:
        return
    columns = sparse.csr_matrix(x.tocsc()[:, repeated].T)
    # a column more that tells genes apart, so that only rows of one gene are compared
    gene = sparse.csr_matrix(groups[repeated].astype(np.int64)[:, None] + 1)
    pair = counts.same_rows(sparse.hstack([columns, gene]).tocsr(), fewest=_FEWEST_CELLS + 1)
    if pair is not None:
        first, second = (found[repeated[at]] for at in sorted(pair))
        raise CtcflowError(
            f"genes `{first}` and `{second}` hold the same counts and are one gene: give every gene"
            " once"
        )


def refuse_all_zero(x: sparse.csr_matrix, n_found: int) -> None:
    """Refuse a matrix of cells without a single count."""
    if x.shape[0] and x.nnz == 0:
        raise CtcflowError(
            f"all values are zero ({x.shape[0]} cells x {n_found} genes): give raw counts, or a"
            " file with 0 cells if nothing was found"
        )
