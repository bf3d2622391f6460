"""Cells whose matrix lacks genes of a reference: what is not there is not seen, and not zero."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

Matrix = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_RIDGE: Final = 0.05


def seen_share(loadings: Matrix, *, seen: Flags) -> float:
    """Share of what the components are made of that some of the genes hold.

    Parameters
    ----------
    loadings : (G, d)
        Orthonormal columns.
    seen : (G,)
        Genes that are there.

    Returns
    -------
    Sum of the squared loadings of these genes over that of all, 0 to 1; 1 without components.
    """
    total = float((loadings**2).sum())
    return float((loadings[seen] ** 2).sum()) / total if total > 0 else 1.0


def points_of_seen(values: sparse.csr_matrix, *, means: Matrix, loadings: Matrix) -> Matrix:
    """Coordinates that cells would have if all genes were seen, from those that are.

    With orthonormal loadings of which the rows L are seen, a = (x - m) L is what these genes alone
    give. What the others would add, (I - L'L) f, follows from the coordinates f themselves, for
    which the seen genes give (L'L + ridge)^-1 a: least squares, held back in a direction of which
    hardly a gene is seen. Taking what lacks for zero would move every cell of the sample away from
    those of its kind.

    Parameters
    ----------
    values : (n, g)
        Log-normalised values of the seen genes.
    means : (g,)
        Of the reference.
    loadings : (g, d)
        Of the seen genes.

    Returns
    -------
    (n, d)
    """
    alone = values.astype(np.float64) @ loadings - means @ loadings
    gram = loadings.T @ loadings
    identity = np.eye(gram.shape[0])
    rest = np.linalg.solve(gram + _RIDGE * identity, identity - gram)
    # one thread for the small product: its sums reach a result
    return np.asarray(alone + np.einsum("nd,de->ne", alone, rest))


def scaled_loadings(loadings: Matrix, *, seen: Flags, fewest: float) -> tuple[Matrix, Flags]:
    """Parts of the genes in marker scores, as large in sum as if no gene lacked.

    Parameters
    ----------
    loadings : (m, T)
        Part of each gene in the score of each type; positive for expected genes.
    seen : (m,)
        Genes that are there.
    fewest
        Share of the expected genes of a type from which on it can be scored (fraction).

    Returns
    -------
    scaled : (m, T)
        Zero for genes that lack.
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
