"""Find the normal cell type outside blood that fits a cell best, and test whether it may be one.

A blood tube contains normal cells other than leukocytes: endothelium, stroma and skin from the path
of the needle. A cell without blood identity is compared with all profiles of normal cells, by all
genes, including those of the tumour panels.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from ctcflow.stats.calls import p_values
from ctcflow.stats.identity import likelihood as ident
from ctcflow.stats.identity.profiles import GROUPS, NORMAL_GROUPS, Profiles
from ctcflow.stats.panels import panel

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Objects = npt.NDArray[np.object_]

STROMA: Final = "stroma"
_RNA_OF_ITS_TISSUE: Final = 8e-6
"""Share of a stroma cell's counts that RNA from a nearby epithelium may give to any panel gene."""
_PLAIN: Final = 0.1
"""Log-likelihood ratio per count (nats) of one group of tissue over any other, from which a cell
plainly resembles it. Most normal cells reach it, even if their tissue is not in the reference, but
hardly any tumour cell, because tumour cells resemble several tissues. Chosen on the tumours and
tissues of `make bench-calling`, not validated on held-out data."""
_TAIL_SCALE: Final = 0.4  # in spreads; as for leukocytes of a sample without a null of its own


class Tissue(NamedTuple):
    """Comparison of n cells with normal tissue."""

    nearest: Objects
    """(n,) type of the best profile outside blood; empty for cells without a count."""
    p_stroma: Floats
    """(n,) probability that a cell of stroma or endothelium resembles its own type so little."""
    p_stroma_panel: Floats
    """(n,) probability that a stroma cell of the nearest type expresses so much of a panel."""
    margin: Floats
    """(n, len(NORMAL_GROUPS)) log-likelihood ratio per count of each group over the best other
    group outside blood."""
    over_blood: Floats
    """(n,) log-likelihood ratio per count of the best profile outside blood over the best of
    blood."""
    depth: Floats
    """(n,) counts in the genes of the reference."""


def beyond_stroma(likelihood: Floats, *, depth: Floats, types: Profiles) -> Floats:
    """Log-likelihood ratio per count of the best tissue other than stroma over the best stroma.

    Parameters
    ----------
    likelihood
        (n, k) from `likelihood.log_likelihood`.
    depth
        (n,) counts in the reference genes.
    types
        k types.
    """
    return -margins(likelihood, depth=depth, types=types)[:, NORMAL_GROUPS.index(STROMA)]


def margins(likelihood: Floats, *, depth: Floats, types: Profiles) -> Floats:
    """Log-likelihood ratio per count of each of `NORMAL_GROUPS` over the best other one.

    Parameters
    ----------
    likelihood, depth, types
        As for `beyond_stroma`.

    Returns
    -------
    (n, len(NORMAL_GROUPS))
    """
    groups = range(len(GROUPS), len(GROUPS) + len(NORMAL_GROUPS))
    best = np.column_stack(
        [likelihood[:, types.group == group].max(axis=1, initial=-np.inf) for group in groups]
    )
    margin = np.empty_like(best)
    for column in range(best.shape[1]):
        rival = np.delete(best, column, axis=1).max(axis=1)
        margin[:, column] = best[:, column] - rival
    return margin / np.maximum(depth, 1.0)[:, None]


def normal_tissue(
    counts: sp.csr_matrix,
    *,
    reference: Profiles,
    shipped_null: pd.DataFrame,
    panel_genes: Bools,
) -> Tissue:
    """Compare cells with the profiles of all normal cell types.

    Parameters
    ----------
    counts
        (n, G) raw counts.
    reference
        Profiles over the genes of the sample, including panel genes.
    shipped_null
        `group`, `depth`, `centre`, `spread`: null of `beyond_stroma` in the group `stroma`.
    panel_genes
        (g,) which genes of the reference are in the panel that stroma is judged by.
    """
    null = shipped_null[shipped_null["group"] == STROMA].set_index("depth").loc[ident.DEPTHS]
    centre, spread = null["centre"].to_numpy(np.float64), null["spread"].to_numpy(np.float64)
    shared = counts[:, reference.columns].astype(np.float64).tocsr()
    depth = ident.total(shared)
    likelihood = ident.log_likelihood(shared, log_rates=reference.log_rates, barred=None)
    margin = margins(likelihood, depth=depth, types=reference)
    other = np.flatnonzero(~reference.is_blood)
    names = np.array(reference.types, dtype=object)
    nearest = names[other[likelihood[:, other].argmax(axis=1)]]
    nearest[depth == 0] = ""
    over_blood = likelihood[:, other].max(axis=1) - likelihood[:, reference.is_blood].max(axis=1)
    return Tissue(
        nearest,
        _identity_p(
            -margin[:, NORMAL_GROUPS.index(STROMA)], depth=depth, centre=centre, spread=spread
        ),
        _panel_p(
            shared, likelihood, depth=depth, reference=reference, genes=np.flatnonzero(panel_genes)
        ),
        margin,
        over_blood / np.maximum(depth, 1.0),
        depth,
    )


def plainly_like(counts: sp.csr_matrix, *, reference: Profiles) -> npt.NDArray[np.intp]:
    """Find the normal tissue that each cell plainly resembles.

    Parameters
    ----------
    counts
        (n, G) raw counts.
    reference
        k profiles over the genes of the sample.

    Returns
    -------
    (n,) the best profile outside blood; -1 if its group is not clearly better than all others.
    """
    shared = counts[:, reference.columns].astype(np.float64).tocsr()
    depth = ident.total(shared)
    likelihood = ident.log_likelihood(shared, log_rates=reference.log_rates, barred=None)
    other = np.flatnonzero(~reference.is_blood)
    ahead = margins(likelihood, depth=depth, types=reference).max(axis=1)
    best = other[likelihood[:, other].argmax(axis=1)]
    return np.where((ahead >= _PLAIN) & (depth > 0), best, -1)


def against_blood(reference: Profiles, profiles: npt.NDArray[np.intp], *, n_genes: int) -> Floats:
    """Share of counts of each gene in each profile over its geometric mean in the blood profiles.

    Parameters
    ----------
    reference
        Profiles of normal cells.
    profiles
        (k,) indices of the profiles.
    n_genes
        Genes of the sample, G.

    Returns
    -------
    (k, G)
        1 for genes that the reference does not have.
    """
    ratio = np.ones((profiles.size, n_genes))
    blood = reference.log_rates[:, reference.is_blood].mean(axis=1)
    ratio[:, reference.columns] = np.exp(reference.log_rates[:, profiles] - blood[:, None]).T
    return ratio


def _identity_p(distance: Floats, *, depth: Floats, centre: Floats, spread: Floats) -> Floats:
    log_depth = np.log(np.clip(depth, ident.DEPTHS[0], ident.DEPTHS[-1]))
    at = np.interp(log_depth, np.log(ident.DEPTHS), centre)
    wide = np.exp(np.interp(log_depth, np.log(ident.DEPTHS), np.log(spread)))
    z = (distance - at) / wide
    z[depth == 0] = 0.0
    return p_values.normal_body_exponential_tail_p(z, scale=_TAIL_SCALE)


def _panel_p(
    shared: sp.csr_matrix,
    likelihood: Floats,
    *,
    depth: Floats,
    reference: Profiles,
    genes: npt.NDArray[np.intp],
) -> Floats:
    """P that a stroma cell of the nearest type expresses so much of a panel."""
    stroma = np.flatnonzero(reference.group == len(GROUPS) + NORMAL_GROUPS.index(STROMA))
    if stroma.size == 0 or genes.size == 0:
        return np.ones(depth.size)
    types = np.array(reference.types, dtype=object)[stroma]
    rates = np.exp(reference.log_rates[np.ix_(genes, stroma)])
    # median over the profiles of a type: some contain ambient RNA of nearby epithelium
    usual = {name: np.median(rates[:, types == name], axis=1) for name in dict.fromkeys(types)}
    rates = np.column_stack([usual[name] for name in types]) + _RNA_OF_ITS_TISSUE
    seen = shared.tocsc()[:, genes].toarray() > 0
    expected = depth[:, None] * rates.T[likelihood[:, stroma].argmax(axis=1)]
    return panel.panel_p(seen, expected=expected, weight=panel.weights(rates.mean(axis=1)))
