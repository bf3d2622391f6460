"""Linear batch correction: one shift per batch, adjusted for the lineage of each cell."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ctcflow.stats.embedding.harmony import mean_shift

Matrix = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
Table = npt.NDArray[np.int64]


def connected_sets(shared: npt.NDArray[np.bool_]) -> Codes:
    """Number the connected sets of rows: for instance, batches that can be compared.

    Two rows are in one set if they share a column, directly or through other rows.

    Parameters
    ----------
    shared : (n_rows, n_columns)
        Whether the row has the column; for instance, whether the batch has cells of the lineage.

    Returns
    -------
    (n_rows,)
        Set of each row; a row without any column is a set of its own.
    """
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    rows = shared.shape[0]
    edges = sparse.csr_matrix(shared)
    both = sparse.block_array([[None, edges], [edges.T, None]], format="csr")
    return np.asarray(connected_components(both, directed=False)[1][:rows], dtype=np.intp)


def not_comparable(table: Table, *, fewest: int) -> list[str]:
    """Say why a batch cannot be compared with any other, for each batch.

    Parameters
    ----------
    table : (n_batches, n_lineages)
        Number of leukocytes.
    fewest
        Fewest leukocytes for which a batch counts as having the lineage (cells).

    Returns
    -------
    list of str
        One reason per batch; empty where it can be compared.
    """
    shared = table >= fewest
    sets = connected_sets(shared)
    sizes = np.bincount(sets, minlength=1)
    enough = f" with at least {fewest} leukocytes in each" if fewest > 1 else ""
    reasons = []
    for row, name in enumerate(sets):
        why = "" if sizes[name] > 1 else f"no lineage is shared with another batch{enough}"
        if not shared[row].any():
            why = f"fewer than {fewest} leukocytes of each lineage"
        if not table[row].any():
            why = "no leukocytes"
        reasons.append(why)
    return reasons


def batch_effects(
    points: Matrix, *, lineages: Codes, batches: Codes, n_lineages: int, n_batches: int
) -> Matrix:
    """Effect of each batch on the points, by least squares on lineage + batch.

    The model of limma's removeBatchEffect with the lineages as design (Ritchie 2015,
    doi:10.1093/nar/gkv007). Differences between batches are the same as with limma, but the zero
    point differs: within a connected set of batches (see `connected_sets`) the effects sum to zero
    weighted by cells, so that removing them does not move the mean of a set; limma's sum to zero
    unweighted. Sets are not compared with each other, because between them batch and lineage are
    confounded: a batch that shares no lineage has the effect 0.

    Parameters
    ----------
    points : (n, d)
        Finite.
    lineages, batches : (n,)
        Codes of each cell.
    n_lineages, n_batches
        Number of codes.

    Returns
    -------
    (n_batches, d)
        Effects to subtract from the points; 0 for a batch without cells.
    """
    from threadpoolctl import threadpool_limits

    table = cell_table(batches, lineages, shape=(n_batches, n_lineages))
    in_batch, in_lineage = table.sum(axis=1), table.sum(axis=0)
    of_batch = np.nan_to_num(mean_shift(points, groups=batches, n_groups=n_batches))
    of_lineage = np.nan_to_num(mean_shift(points, groups=lineages, n_groups=n_lineages))
    share = table / np.maximum(in_lineage, 1)
    with threadpool_limits(limits=1, user_api="blas"):
        # The normal equations without the lineages are singular within each set of batches;
        matrix = np.diag(in_batch.astype(np.float64)) - share @ table.T
        # there the sum-to-zero constraint replaces the missing equation.
        for members in _members(connected_sets(table > 0)):
            sizes = np.where(members, in_batch, 0).astype(np.float64)
            matrix += np.outer(sizes, sizes) / max(sizes.sum(), 1.0)
        matrix[np.diag_indices(n_batches)] += in_batch == 0
        return np.linalg.solve(matrix, in_batch[:, None] * of_batch - table @ of_lineage)


def cell_table(rows: Codes, columns: Codes, *, shape: tuple[int, int]) -> Table:
    """Count each pair of codes.

    Parameters
    ----------
    rows, columns : (n,)
        Codes from 0.
    shape
        Number of codes of each.

    Returns
    -------
    (n_rows, n_columns)
    """
    flat = np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1])
    return flat.reshape(shape).astype(np.int64)


def _members(sets: Codes) -> list[npt.NDArray[np.bool_]]:
    return [sets == number for number in np.unique(sets)]
