"""The two lines of evidence of each cell: missing blood identity, and a tumour panel."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from ctcflow.stats import panel
from ctcflow.stats.leukocytes import SUSPECT_P, Leukocytes, leukocytes
from ctcflow.stats.profiles import AMBIENT_SHARE, profiles
from ctcflow.stats.sample_copy_number import Roles, roles

Floats = npt.NDArray[np.float64]

_UNMEASURED_SHARE: Final = 0.2
"""What ambient RNA may explain beside a tumour cell where `qc` could not measure it: tissue, or too
few leukocytes. Chosen at the cells of one triple-negative breast cancer, and not held out."""


class Shipped(NamedTuple):
    """Facts about blood that a sample is compared with."""

    rates: pd.DataFrame
    """Atlas: `symbol`, then counts per million in each normal type."""
    leak: pd.DataFrame
    """`symbol`, `max_pct_blood`."""
    identity_null: pd.DataFrame
    """`group`, `depth`, `centre`, `spread`."""
    cell_types: pd.DataFrame
    """Marker sets: `set`, `gene`, `direction`."""
    handling: frozenset[str]
    """Genes that tell how cells were handled."""


class Lines(NamedTuple):
    """Lines of evidence and what they were made from."""

    blood: Leukocytes
    types: tuple[str, ...]
    """Names of the lineages in `blood`."""
    p_panel: Floats
    """(n,) probability that a leukocyte of this lineage and depth shows so much of the panel."""
    seen: npt.NDArray[np.bool_]
    """(n, p) panel genes seen."""
    columns: npt.NDArray[np.intp]
    """(p,) columns of the panel genes."""
    ambient: Floats
    """(G,) share of a cell's counts that ambient RNA of each gene may be."""
    roles: Roles
    """Who is a candidate for further questions, and who a reference."""


def lines_of_evidence(
    counts: sp.csr_matrix,
    *,
    genes: npt.NDArray[np.object_],
    members: frozenset[str],
    shipped: Shipped,
    soup: Floats | None,
    ambient_share: float,
    fewest: int,
    weight: float,
) -> Lines:
    """Judge all cells of a sample; the lines use disjoint genes.

    Parameters
    ----------
    counts
        (n, G) raw counts, in an order of the cells that does not depend on the file.
    genes
        (G,) symbols.
    members
        Genes of the tumour panel.
    soup
        (G,) share of each gene in the ambient RNA; None where it was not measured.
    ambient_share
        Share of the counts that is ambient; 0 where it was not measured.
    fewest
        Leukocytes from which the sample's own null is used.
    weight
        Counts that the shipped panel rates are worth against the sample's own.
    """
    counts = counts.astype(np.float64).tocsr()
    profile = np.asarray(counts.sum(axis=0), dtype=np.float64).ravel() if soup is None else soup
    share = max(ambient_share, AMBIENT_SHARE)
    reference = profiles(
        genes,
        rates=shipped.rates,
        markers=shipped.cell_types,
        left_out=members | shipped.handling,
        ambient=profile,
        ambient_share=share,
    )
    columns = np.flatnonzero(pd.Index(genes).isin(list(members)))
    prior = panel.prior_rates(genes[columns], shipped.leak)
    umis = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    surprise, _ = panel.surprise(counts[:, columns], umis=umis, prior=prior)
    blood = leukocytes(
        counts,
        reference=reference,
        suspect=surprise <= SUSPECT_P,
        shipped_null=shipped.identity_null,
        fewest=fewest,
    )
    if soup is not None:
        prior = prior + ambient_share * soup[columns]
    p_panel, seen = panel.by_lineage(
        counts.tocsc()[:, columns].toarray(),
        umis=umis,
        lineage=blood.lineage,
        is_null=blood.is_leukocyte & blood.own_null,
        n_lineages=len(reference.types),
        prior=prior,
        weight=weight,
    )
    found = roles(
        reference.types,
        lineage=blood.lineage,
        is_leukocyte=blood.is_leukocyte,
        p_identity=blood.p,
        p_panel=p_panel,
    )
    most = share if soup is not None else _UNMEASURED_SHARE
    ambient = most * profile / max(float(profile.sum()), 1e-12)
    return Lines(blood, reference.types, p_panel, seen, columns, ambient, found)
