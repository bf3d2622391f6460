"""Checks whether a matrix holds raw counts, and sums of its columns."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

LARGEST_EXACT: Final = 2.0**53
"""Integers above this are not exact in float64 (counts)."""

_BLOCK: Final = 4_000_000
_ROWS: Final = 2000
_ROWS_IN_CACHE: Final = 128
_LARGEST_LOG: Final = 20.0
_MAX_CELLS: Final = 500
_EQUAL_SUMS: Final = 0.01
_WHOLE_STEP: Final = 0.02
_MAX_STEPS: Final = 40.0
_READS: Final = 4.0
_FEWEST_CELLS: Final = 10
_FEWEST_JUDGED: Final = 3
_FEWEST_GENES: Final = 50
_MOST_EXAMINED: Final = 1000
_SPREAD: Final = 0.05
_SPREAD_OF_MANY: Final = 0.15
_MANY_CELLS: Final = 50
_SPREAD_OF_FEW: Final = 0.001
_FEWEST_TOTALS: Final = 3
_FEWEST_BINARY: Final = 500
_SCALED: Final = 0.01
_TRANSCRIPTOME: Final = 5000
_MOST_DETECTED: Final = 0.95
_NO_CELL: Final = 0.9
_NEXT_CELL: Final = 1.5
_LARGER: Final = 10.0
_FEWEST_SEEN: Final = 1000
_DEEP: Final = 1000.0
_LARGEST_ROUNDED_LOG: Final = 12
_SMALL_MAXIMA: Final = 0.9
_FEW_ONES: Final = 0.5
_SEED: Final = 0
_MOST_OF_A_GENE: Final = 1e8
"""Largest count of one gene in one cell: a cell has a million molecules of mRNA, and a library of a
cell some ten million reads."""
_TIMES_A_CELL: Final = 100.0
_TIMES_THE_REST: Final = 10.0
"""A value is no count if it is this many times all counts of a usual cell, and with others like it
this many times the rest of its own cell. In 23 public files of droplets, nuclei, spots and plates
no value of a gene exceeds a usual cell, and none of a deep cell is three times the rest."""


def first_not_whole(values: npt.NDArray[np.number]) -> int:
    """Find the first value that is not a whole number.

    Parameters
    ----------
    values : (n,)
        Finite values.

    Returns
    -------
    int
        Position of the first value that is not whole or exceeds `LARGEST_EXACT`; -1 for none.
    """
    if values.dtype.kind in "iub":
        return -1
    # In blocks: comparing 500 million values at once would double the memory.
    for start in range(0, values.size, _BLOCK):
        block = values[start : start + _BLOCK]
        bad = (block != np.rint(block)) | (np.abs(block) > LARGEST_EXACT)
        if bad.any():
            return start + int(bad.argmax())
    return -1


def normalised_sums(matrix: sparse.csr_matrix) -> float:
    """Tell whether all cells have the same total, as CPM, TPM and scaled counts have.

    Parameters
    ----------
    matrix : (n_cells, n_genes)
        Non-negative, finite.

    Returns
    -------
    float
        The common total; NaN where totals differ by more than 1 % or fewer than three cells have
        counts.
    """
    return _common(np.asarray(matrix.sum(axis=1, dtype=np.float64)).ravel())


def looks_log_normalised(matrix: sparse.csr_matrix) -> bool:
    """Tell whether values look like log(1 + scaled counts), to base e, 2 or 10.

    After undoing the logarithm, either all cells have the same total, or the values within each
    cell are integer multiples of its smallest value, as for counts divided by a size factor. Only
    the first 500 cells with values are examined.

    Parameters
    ----------
    matrix : (n_cells, n_genes)
        Non-negative, finite.

    Returns
    -------
    bool
        False where all values are whole numbers or one is 20 or more.
    """
    if matrix.nnz == 0 or matrix.data.max() >= _LARGEST_LOG or first_not_whole(matrix.data) < 0:
        return False
    rows = np.flatnonzero(np.diff(matrix.indptr))[:_MAX_CELLS]
    cells = [matrix.data[matrix.indptr[r] : matrix.indptr[r + 1]].astype(np.float64) for r in rows]
    cells = [c[c > 0] for c in cells if (c > 0).any()]
    for log_base in (1.0, np.log(2.0), np.log(10.0)):
        undone = [np.expm1(c * log_base) for c in cells]
        if not np.isnan(_common(np.array([u.sum() for u in undone]))):
            return True
        if _whole_multiples(undone):
            return True
    return False


def _common(totals: npt.NDArray[np.float64]) -> float:
    totals = totals[totals > 0]
    if totals.size < 3 or np.ptp(totals) > _EQUAL_SUMS * totals.mean():
        return float("nan")
    return float(totals.mean())


def _whole_multiples(cells: list[npt.NDArray[np.float64]]) -> bool:
    """Tell whether 95 % of small ratios to the smallest value of the cell are whole numbers."""
    ratios = np.concatenate([c[c > c.min()] / c.min() for c in cells])
    # Ratios near one, and large ratios, look like integers by chance or by rounding to float32.
    ratios = ratios[(ratios > 1.0 + _WHOLE_STEP) & (ratios < _MAX_STEPS)]
    if ratios.size < 20:
        return False
    near = np.abs(ratios - np.rint(ratios)) < _WHOLE_STEP
    return bool(near.mean() > 0.95)


def whole_but_no_counts(matrix: sparse.csr_matrix) -> str:
    """Tell whole numbers that are no counts: rounded CPM, TPM or logarithms, yes and no.

    In every cell some gene has one count: in 12 public files no cell with 50 genes lacks it, and a
    cell that does was scaled, also where the cells beside it were not. No cell has nearly all
    genes of a transcriptome: one that does has a constant added, or is a mean.

    Totals vary from cell to cell: rounding moves those of scaled counts, whose coefficient of
    variation was at most .14 in 24 trials, and at least .33 in 12 public files. Libraries of a few
    picked cells may have been brought to one depth: under 50 cells it has to be under .05.

    In a cell, more genes have one count than two, and a gene of a cell of 1,000 counts has more
    than a dozen. In 24 public files of droplets, plates, nuclei and spots, at most 4 % of the cells
    have fewer ones than twos, and at most 10 % of those with 1,000 counts have no gene above 12.

    Parameters
    ----------
    matrix : (n_cells, n_genes)
        Whole numbers, not negative.

    Returns
    -------
    str
        What it looks like, in words; empty where these may be counts. Judged are up to 1,000 cells,
        evenly spaced, with 50 detected genes or more; totals, maxima and twos only where there are
        10 such cells.
    """
    cells = np.flatnonzero(matrix.getnnz(axis=1) >= _FEWEST_GENES)
    if not cells.size:
        return ""
    examined = np.unique(np.linspace(0, cells.size - 1, _MOST_EXAMINED).astype(np.intp))
    some = sparse.csr_matrix(matrix[cells[examined]], dtype=np.float64)
    some.eliminate_zeros()
    if not some.getnnz(axis=1).all():
        return ""
    totals = np.asarray(some.sum(axis=1)).ravel()
    smallest, maxima = (f.reduceat(some.data, some.indptr[:-1]) for f in (np.minimum, np.maximum))
    ones, twos = (np.add.reduceat(some.data == n, some.indptr[:-1], dtype=int) for n in (1, 2))
    largest = float(matrix.data.max())
    few = totals.size < _FEWEST_CELLS
    if largest == 1 and some.getnnz(axis=1).max() >= (_FEWEST_BINARY if few else 0):
        return "only 0 and 1: whether a gene was seen, not how often"
    share = float(some.getnnz(axis=1).max()) / matrix.shape[1]
    if matrix.shape[1] >= _TRANSCRIPTOME and share > _MOST_DETECTED:
        return (
            f"values above zero in {share:.1%} of {matrix.shape[1]} genes of a cell, as where a"
            " constant was added or values were filled in"
        )
    spread = _SPREAD_OF_FEW if few else _SPREAD if totals.size < _MANY_CELLS else _SPREAD_OF_MANY
    if totals.size >= _FEWEST_TOTALS and totals.std() <= spread * totals.mean():
        return f"values normalised or downsampled to about {totals.mean():.6g} per cell"
    scaled = smallest > 1
    if scaled.sum() > _SCALED * scaled.size:
        return (
            f"scaled and rounded values (the smallest of {scaled.sum()} of {scaled.size} cells is"
            f" {np.median(smallest[scaled]):.4g}, and counts begin at 1)"
        )
    if few:
        return ""
    deep = totals >= _DEEP
    small = np.mean(maxima[deep] <= _LARGEST_ROUNDED_LOG) if deep.sum() >= _FEWEST_CELLS else 0.0
    if small >= _SMALL_MAXIMA:
        return f"rounded logarithms or roots (no gene of a cell exceeds {_LARGEST_ROUNDED_LOG})"
    if (rare := np.mean(ones < twos)) > _FEW_ONES:
        return f"rounded logarithms or scaled values (1 is rarer than 2 in {rare:.0%} of the cells)"
    return ""


def same_rows(matrix: sparse.csr_matrix, *, fewest: int = _FEWEST_GENES) -> tuple[int, int] | None:
    """Find two rows with the same values.

    Parameters
    ----------
    matrix : (n, m)
        Whole numbers, canonical.
    fewest
        Rows with fewer values above zero are not compared.

    Returns
    -------
    The first row that is equal to one above it, and that one; None for none.
    """
    rows = np.flatnonzero(matrix.getnnz(axis=1) >= max(fewest, 1))
    _, first_with, which = np.unique(
        _fingerprints(matrix)[rows], return_index=True, return_inverse=True
    )
    first = rows[first_with][which]
    for row, above in zip(rows[rows != first], first[rows != first], strict=True):
        if (matrix[row] != matrix[above]).nnz == 0:
            return int(row), int(above)
    return None


def _fingerprints(matrix: sparse.csr_matrix) -> npt.NDArray[np.uint64]:
    """A number for each row: equal for equal rows, and hardly ever for others."""
    weights = np.random.default_rng(_SEED).integers(1, 2**63, size=matrix.shape[1], dtype=np.uint64)
    found = np.zeros(matrix.shape[0], dtype=np.uint64)
    filled = np.flatnonzero(np.diff(matrix.indptr))
    for start in range(0, filled.size, _ROWS):
        rows = filled[start : start + _ROWS]
        first, last = int(matrix.indptr[rows[0]]), int(matrix.indptr[rows[-1] + 1])
        # sums beyond 64 bits are cut, as they may be
        products = matrix.data[first:last].astype(np.uint64) * weights[matrix.indices[first:last]]
        found[rows] = np.add.reduceat(products, matrix.indptr[rows] - first)
    return found


def no_cell(matrix: sparse.csr_matrix) -> tuple[int, str]:
    """Find a row that is no cell: lengths of genes, or the sum of all cells.

    Parameters
    ----------
    matrix : (n_cells, n_genes)
        Whole numbers, not negative.

    Returns
    -------
    row, why
        -1 and an empty text for none. Fewer than 3 rows or 50 genes are not judged.
    """
    n_cells, n_columns = matrix.shape
    if n_cells < 3 or n_columns < _FEWEST_GENES or matrix.nnz == 0:
        return -1, ""
    n_genes = matrix.getnnz(axis=1)
    order = np.argsort(-n_genes, kind="stable")
    first, second = int(order[0]), int(order[1])
    n_seen = int(np.count_nonzero(np.bincount(matrix.indices, minlength=n_columns)))
    alone = n_genes[first] >= _NEXT_CELL * n_genes[second]
    lengths = n_genes[first] >= _NO_CELL * n_columns and _median(matrix, first) >= (
        _LARGER * _median(matrix, second)
    )
    # of many cells, no one has every gene that any of the others has
    of_all = n_genes[first] == n_seen >= _FEWEST_SEEN and n_cells > _FEWEST_CELLS
    if alone and (lengths or of_all):
        seen = "" if lengths else " that are seen at all"
        n_of = n_columns if lengths else n_seen
        return first, (
            f"it has {n_genes[first]} of {n_of} genes{seen}, and the next has {n_genes[second]}"
        )
    totals = _totals(matrix)
    largest = int(totals.argmax())
    if totals[largest] * 2 == totals.sum():
        twice = 2 * matrix[largest].toarray().ravel()
        if np.array_equal(twice, np.asarray(matrix.sum(axis=0)).ravel()):
            return largest, "it is the sum of all the others"
    return -1, ""


def not_a_count(matrix: sparse.csr_matrix) -> int:
    """Find a value that no cell can have, such as a damaged number.

    Parameters
    ----------
    matrix : (n_cells, n_genes)
        Whole numbers, not negative.

    Returns
    -------
    Position in the data of the largest such value; -1 for none: above 100 million; or, where at
    least 3 cells have 50 genes, far above all counts of the middle one of these cells and above the
    rest of its own cell.
    """
    if matrix.nnz == 0:
        return -1
    largest = float(matrix.data.max())
    if largest > _MOST_OF_A_GENE:
        return int(matrix.data.argmax())
    cells = np.flatnonzero(np.diff(matrix.indptr) >= _FEWEST_GENES)
    if cells.size < _FEWEST_JUDGED:
        return -1
    totals = _totals(matrix)
    least = _TIMES_A_CELL * float(np.median(totals[cells]))
    far = np.flatnonzero(matrix.data > least) if largest > least else cells[:0]
    rows = np.searchsorted(matrix.indptr, far, side="right") - 1
    beyond = np.bincount(rows, matrix.data[far], minlength=totals.size)
    far = far[(beyond > _TIMES_THE_REST * (totals - beyond))[rows]]
    return int(far[matrix.data[far].argmax()]) if far.size else -1


def _totals(matrix: sparse.csr_matrix) -> npt.NDArray[np.float64]:
    """Sum of each row; scipy multiplies with ones and copies the values for it."""
    totals = np.zeros(matrix.shape[0])
    filled = np.flatnonzero(np.diff(matrix.indptr))
    if filled.size:
        starts = matrix.indptr[filled]
        totals[filled] = np.add.reduceat(matrix.data, starts, dtype=np.float64)
    return totals


def _median(matrix: sparse.csr_matrix, row: int) -> float:
    """Of the values that are not zero."""
    return float(np.median(matrix[row].data))


def share_of_columns(matrix: sparse.csr_matrix) -> npt.NDArray[np.float64]:
    """Share of all counts in each column; zero where there are none.

    Parameters
    ----------
    matrix : (n_cells, n_genes)

    Returns
    -------
    (n_genes,)
    """
    totals = np.zeros(matrix.shape[1])
    # in blocks: the sum is taken over a copy of the values as float64
    for start in range(0, matrix.shape[0], _ROWS):
        part = matrix[start : start + _ROWS]
        totals += np.bincount(part.indices, part.data, minlength=matrix.shape[1])
    return np.asarray(totals / max(totals.sum(), 1.0))


def own_droplets(cells: sparse.csr_matrix, droplets: sparse.csr_matrix) -> float:
    """Share of cells that resemble the droplet of their barcode more than that of another cell.

    Parameters
    ----------
    cells, droplets : (n, G)
        Counts of the same barcodes and genes in two files.

    Returns
    -------
    float
        Near 1 for two files of one library, whatever was corrected in one of them; near 0.5 for two
        libraries. Similarity is the cosine; ties count half; NaN for fewer than two cells.
    """
    if cells.shape[0] < 2:
        return float("nan")
    lengths = [np.sqrt(np.asarray(m.multiply(m).sum(axis=1))).ravel() for m in (cells, droplets)]
    scale = np.maximum(lengths[0], 1e-300)
    own = np.asarray(cells.multiply(droplets).sum(axis=1)).ravel()
    own = own / scale / np.maximum(lengths[1], 1e-300)
    n, better = cells.shape[0], np.zeros(cells.shape[0])
    others = [step for step in (1, 2, 3) if step < n]
    for step in others:
        at = np.roll(np.arange(n), -step)
        other = np.asarray(cells.multiply(droplets[at]).sum(axis=1)).ravel()
        other = other / scale / np.maximum(lengths[1][at], 1e-300)
        better += np.where(own > other, 1.0, np.where(own == other, 0.5, 0.0))
    return float(better.mean() / len(others))


def sum_columns(
    matrix: sparse.csr_matrix, *, groups: npt.NDArray[np.intp], n_groups: int
) -> sparse.csr_matrix:
    """Add up the columns of each group.

    Parameters
    ----------
    matrix : (n_cells, n_columns)
        Whole numbers.
    groups : (n_columns,)
        Group of each column, 0 to `n_groups` - 1.
    n_groups
        Number of groups.

    Returns
    -------
    (n_cells, n_groups) CSR
        Canonical: indices sorted, no duplicates, no explicit zeros; int32, or int64 where a sum
        needs it.
    """
    alone = n_groups == groups.size and np.bincount(groups).max(initial=0) <= 1
    if alone and matrix.has_canonical_format:
        return _with_columns_at(matrix, groups.astype(matrix.indices.dtype))
    wide = sparse.csr_matrix(
        (matrix.data.astype(np.int64), groups[matrix.indices], matrix.indptr.copy()),
        shape=(matrix.shape[0], n_groups),
    )
    wide.sum_duplicates()
    wide.eliminate_zeros()
    return wide.astype(_whole_type(wide.data))


def _whole_type(values: npt.NDArray[np.number]) -> type[np.signedinteger]:
    limit = np.iinfo(np.int32).max
    # as Python's integers: float32 has no value between the limit and the one above it
    fits = values.size == 0 or -limit <= int(values.min()) <= int(values.max()) <= limit
    return np.int32 if fits else np.int64


def _with_columns_at(
    matrix: sparse.csr_matrix, places: npt.NDArray[np.signedinteger]
) -> sparse.csr_matrix:
    """Move each column to its place in `places`, a permutation; as whole numbers."""
    kind = _whole_type(matrix.data)
    data, indices = np.empty(matrix.nnz, dtype=kind), np.empty_like(matrix.indices)
    # Transposed twice, which sorts by counting; few rows at a time fit into the processor's cache,
    # and are sorted five times as fast as all rows together.
    for start in range(0, matrix.shape[0], _ROWS_IN_CACHE):
        starts = matrix.indptr[start : start + _ROWS_IN_CACHE + 1]
        first, last = int(starts[0]), int(starts[-1])
        values, moved = matrix.data[first:last], places[matrix.indices[first:last]]
        shape = (starts.size - 1, matrix.shape[1])
        part = sparse.csr_matrix((values, moved, starts - first), shape=shape).tocsc().tocsr()
        data[first:last], indices[first:last] = part.data, part.indices
    moved_matrix = sparse.csr_matrix((data, indices, matrix.indptr.copy()), shape=matrix.shape)
    moved_matrix.has_canonical_format = True
    if np.count_nonzero(data) < data.size:
        moved_matrix.eliminate_zeros()
    return moved_matrix


def looks_like_reads(matrix: sparse.csr_matrix) -> bool:
    """Tell read counts from counts of molecules.

    One molecule has one UMI but many reads, so reads give larger values. The median of the detected
    values is 1 in droplet data, 2 in deep UMI data (23,000 to 35,000 counts per cell) and 6 to 8 in
    Smart-seq libraries.
    """
    values = matrix.data[matrix.data > 0]
    return values.size > 0 and float(np.median(values)) >= _READS
