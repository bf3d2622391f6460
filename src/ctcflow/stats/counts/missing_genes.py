"""Map cells whose matrix lacks genes of the reference: missing genes are unknown, not zero."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

Matrix = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_RIDGE: Final = 0.05


def seen_share(loadings: Matrix, *, seen: Flags) -> float:
    """Share of the principal components that is covered by the measured genes.

    Parameters
    ----------
    loadings : (G, d)
        Orthonormal columns.
    seen : (G,)
        Genes that were measured.

    Returns
    -------
    Sum of the squared loadings of these genes over that of all, 0 to 1; 1 without components.
    """
    total = float((loadings**2).sum())
    return float((loadings[seen] ** 2).sum()) / total if total > 0 else 1.0


def points_of_seen(values: sparse.csr_matrix, *, means: Matrix, loadings: Matrix) -> Matrix:
    """Estimate the coordinates that cells would have if all genes had been measured.

    Let L be the rows of the orthonormal loadings for the measured genes. These genes alone give
    a = (x - m) L. The missing genes would add (I - L'L) f, where f are the full coordinates;
    solving for f gives (L'L + ridge)^-1 a. This is least squares with a ridge, which shrinks
    directions of which hardly any gene was measured. Setting missing genes to zero would instead
    move every cell of the sample away from cells of its type.

    Parameters
    ----------
    values : (n, g)
        Log-normalised values of the measured genes.
    means : (g,)
        Their means in the reference.
    loadings : (g, d)
        Their loadings.

    Returns
    -------
    (n, d)
    """
    alone = values.astype(np.float64) @ loadings - means @ loadings
    gram = loadings.T @ loadings
    identity = np.eye(gram.shape[0])
    rest = np.linalg.solve(gram + _RIDGE * identity, identity - gram)
    # one thread for the small product: its rounding must not depend on the number of threads
    return np.asarray(alone + np.einsum("nd,de->ne", alone, rest))


def scaled_loadings(loadings: Matrix, *, seen: Flags, fewest: float) -> tuple[Matrix, Flags]:
    """Weights of genes in marker scores, rescaled to the same sum as if no gene were missing.

    Parameters
    ----------
    loadings : (m, T)
        Weight of each gene in the score of each type; positive for expected genes.
    seen : (m,)
        Genes that were measured.
    fewest
        Smallest share of a type's expected genes for which it can be scored (fraction).

    Returns
    -------
    scaled : (m, T)
        Zero for missing genes.
    usable : (T,)
        Types that can be scored.
    """
    scaled = np.where(seen[:, None], loadings, 0.0)
    usable = np.ones(loadings.shape[1], dtype=np.bool_)
    for sign in (1.0, -1.0):
        of_sign = loadings * sign > 0
        all_genes, here = of_sign.sum(axis=0), (of_sign & seen[:, None]).sum(axis=0)
        if sign > 0:
            usable = here >= fewest * all_genes
        scaled = np.where(of_sign, scaled * (all_genes / np.maximum(here, 1)), scaled)
    return scaled, usable
