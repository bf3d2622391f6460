"""Exact principal components from sums that are accumulated over samples."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]

_BLOCK: Final = 2048
_SMALLEST: Final = 1e-12


class Sums(NamedTuple):
    """Sums over a set of cells: number of cells, sum per gene, cross-products of genes."""

    n_cells: int
    total: Vector
    products: Matrix


class Components(NamedTuple):
    """Principal components: means (n_genes,), loadings (n_genes, k), variances (k,)."""

    mean: Vector
    loadings: Matrix
    variance: Vector
    total_variance: float


def no_sums(n_genes: int) -> Sums:
    """The sums of no cells: all zero."""
    return Sums(0, np.zeros(n_genes), np.zeros((n_genes, n_genes)))


def add_cells(sums: Sums, matrix: sparse.csr_matrix, *, n_threads: int) -> Sums:
    """Add cells to the sums, in float64, in blocks of fixed size.

    Each block is one BLAS call on one thread, and blocks are added in order: the sums do not depend
    on the number of threads.

    Parameters
    ----------
    sums
        Sums so far; its arrays are changed in place.
    matrix : (n_cells, n_genes)
        Log-normalised values.
    n_threads
        Blocks that are processed at the same time.
    """
    from threadpoolctl import threadpool_limits

    def products(start: int) -> tuple[Vector, Matrix]:
        block = matrix[start : start + _BLOCK].toarray().astype(np.float64)
        return block.sum(axis=0), block.T @ block

    starts = range(0, matrix.shape[0], _BLOCK)
    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(n_threads) as pool:
        for first in range(0, len(starts), n_threads):
            # keep at most as many products in memory as there are threads
            for total, product in pool.map(products, starts[first : first + n_threads]):
                sums.total.__iadd__(total)
                sums.products.__iadd__(product)
    return sums._replace(n_cells=sums.n_cells + matrix.shape[0])


def principal_components(sums: Sums, *, n_components: int) -> Components:
    """Eigenvectors of the covariance; the largest loading of each is positive.

    Parameters
    ----------
    sums
        Sums over all cells.
    n_components
        Number of components wanted.

    Returns
    -------
    Components
        As many as wanted, or fewer: at most one less than cells, at most one per gene, and none
        without variance.
    """
    from scipy.linalg import eigh
    from threadpoolctl import threadpool_limits

    n_genes = sums.total.size
    mean = sums.total / max(sums.n_cells, 1)
    wanted = max(min(n_components, sums.n_cells - 1, n_genes), 0)
    if wanted == 0:
        return Components(mean, np.zeros((n_genes, 0)), np.zeros(0), 0.0)
    with threadpool_limits(limits=1, user_api="blas"):
        covariance = (sums.products - sums.n_cells * np.outer(mean, mean)) / (sums.n_cells - 1)
        values, vectors = eigh(covariance, subset_by_index=[n_genes - wanted, n_genes - 1])
    values, vectors = values[::-1], vectors[:, ::-1]
    real = values > _SMALLEST * max(float(values[0]), np.finfo(np.float64).tiny)
    values, vectors = values[real], vectors[:, real]
    largest = np.abs(vectors).argmax(axis=0)
    signs = np.sign(vectors[largest, np.arange(values.size)])
    return Components(mean, vectors * signs, values, float(np.trace(covariance)))


def project(matrix: sparse.csr_matrix, components: Components) -> npt.NDArray[np.float32]:
    """Coordinates of cells along the components.

    Parameters
    ----------
    matrix : (n_cells, n_genes)
        Log-normalised values.

    Returns
    -------
    (n_cells, k) float32
    """
    shift = components.mean @ components.loadings
    values = matrix.astype(np.float64) @ components.loadings - shift
    return np.asarray(values, dtype=np.float32)
