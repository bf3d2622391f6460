"""Values of a matrix, whatever number type its file has: one type for all, and one bound."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ctcflow.errors import CtcflowError

LARGEST_EXACT: Final = 2**53
"""Whole numbers above this are not exact in float64 (counts)."""


def native(values: Any) -> Any:
    """Values of an array or sparse matrix in a type that scipy can calculate with.

    Bytes in another order than the machine's are turned; halves and quadruples become single and
    double precision.

    Raises
    ------
    CtcflowError
        They are no real numbers.
    """
    kind = values.dtype
    if kind.kind not in "biuf":
        raise CtcflowError(f"the matrix holds {kind} values: give raw counts as numbers")
    if kind.kind == "f" and kind.itemsize not in (4, 8):
        return values.astype(np.float32 if kind.itemsize == 2 else np.float64)
    return values if kind.isnative else values.astype(kind.newbyteorder("="))


def as_csr(values: Any) -> sparse.csr_matrix:
    """Make a CSR matrix of an array or a sparse matrix: see `native`."""
    return sparse.csr_matrix(native(values if sparse.issparse(values) else np.asarray(values)))


def beyond(values: npt.NDArray[np.number]) -> str:
    """The largest value in words where it is beyond all counts, else an empty text.

    Call it before values are added up or change their type: both cut large numbers.
    """
    largest = values.max() if values.size else 0
    return f"values up to {largest:.4g}" if largest > LARGEST_EXACT else ""


def are_counts(values: npt.NDArray[np.number]) -> bool:
    """Whether all values are whole, not negative, and small enough to be exact."""
    if values.dtype.kind not in "biuf":
        return False
    # a type with more than a sign and 53 bits must not be compared after a conversion
    if values.size and (values.min() < 0 or values.max() > LARGEST_EXACT):
        return False
    return values.dtype.kind != "f" or bool((values == np.rint(values)).all())


def summed(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """Add up entries that are there more than once, in a type that holds their sums; a copy.

    Parameters
    ----------
    matrix
        Values within `LARGEST_EXACT` (`beyond`).
    """
    whole = matrix.astype(np.float64 if matrix.dtype.kind == "f" else np.int64, copy=True)
    whole.sum_duplicates()
    return whole
