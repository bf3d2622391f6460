"""Lines of evidence of each cell: blood identity, tumour panels, the tissue it looks like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from ctcflow.stats import panel
from ctcflow.stats.leukocytes import SUSPECT_P, Leukocytes, leukocytes
from ctcflow.stats.normal_tissue import Tissue, normal_tissue
from ctcflow.stats.profiles import AMBIENT_SHARE, profiles
from ctcflow.stats.sample_copy_number import Roles, roles

Floats = npt.NDArray[np.float64]

_UNMEASURED_SHARE: Final = 0.2
"""What ambient RNA may explain beside a tumour cell where `qc` could not measure it: tissue, or too
few leukocytes. Chosen at the cells of one triple-negative breast cancer, and not held out."""


class Shipped(NamedTuple):
    """Facts about blood that a sample is compared with."""

    reference: pd.DataFrame
    """Normal cells: `symbol`, then counts per million of each profile."""
    types: pd.DataFrame
    """`profile`, `type`, `group`."""
    leak: pd.DataFrame
    """`symbol`, `max_pct_blood`."""
    identity_null: pd.DataFrame
    """`group`, `depth`, `centre`, `spread`."""
    handling: frozenset[str]
    """Genes that tell how cells were handled."""


class Panels(NamedTuple):
    """What the panels say of n cells, all looked at together."""

    p: Floats
    """(n,) probability that a leukocyte of this lineage and depth shows so much of any panel: the
    smallest of all panels, after the price of looking at several (`panel.price`)."""
    panel: npt.NDArray[np.intp]
    """(n,) the panel with the smallest p, an index into their names."""
    seen: npt.NDArray[np.bool_]
    """(n, p) genes of that panel that are seen."""
    columns: npt.NDArray[np.intp]
    """(p,) columns of the genes of all panels."""
    first: npt.NDArray[np.intp]
    """Columns of the genes of the first panel."""


class Lines(NamedTuple):
    """Lines of evidence and what they were made from."""

    blood: Leukocytes
    types: tuple[str, ...]
    """Names of the lineages in `blood`."""
    panels: Panels
    tissue: Tissue
    """Of the candidates, in their order."""
    ambient: Floats
    """(G,) share of a cell's counts that ambient RNA of each gene may be."""
    roles: Roles
    """Who is a candidate for further questions, and who a reference."""


def lines_of_evidence(
    counts: sp.csr_matrix,
    *,
    genes: npt.NDArray[np.object_],
    panels: Mapping[str, frozenset[str]],
    shipped: Shipped,
    soup: Floats | None,
    ambient_share: float,
    fewest: int,
    weight: float,
) -> Lines:
    """Judge all cells of a sample; identity and panels use disjoint genes.

    Parameters
    ----------
    counts
        (n, G) raw counts, in an order of the cells that does not depend on the file.
    genes
        (G,) symbols.
    panels
        Genes of each tumour panel that is looked at.
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
    members = frozenset().union(*panels.values())
    reference = profiles(
        genes,
        reference=shipped.reference,
        types=shipped.types,
        left_out=members | shipped.handling,
        ambient=soup,
        ambient_share=ambient_share,
    )
    columns = np.flatnonzero(pd.Index(genes).isin(list(members)))
    prior = panel.prior_rates(genes[columns], shipped.leak)
    umis = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    first = pd.Index(genes[columns]).isin(list(next(iter(panels.values()))))
    surprise, _ = panel.surprise(counts[:, columns[first]], umis=umis, prior=prior[first])
    blood = leukocytes(
        counts,
        reference=reference,
        suspect=surprise <= SUSPECT_P,
        shipped_null=shipped.identity_null,
        fewest=fewest,
    )
    if soup is not None:
        prior = prior + ambient_share * soup[columns]
    found = panel.by_lineage(
        counts.tocsc()[:, columns].toarray(),
        umis=umis,
        lineage=blood.lineage,
        is_null=blood.is_leukocyte & blood.own_null,
        n_lineages=len(reference.types),
        prior=prior,
        weight=weight,
        panels=[pd.Index(genes[columns]).isin(list(mine)) for mine in panels.values()],
    )
    of_panels = Panels(found.p, found.panel, found.seen, columns, columns[first])
    chosen = roles(
        reference.types,
        lineage=blood.lineage,
        is_leukocyte=blood.is_leukocyte,
        p_identity=blood.p,
        p_panel=of_panels.p,
    )
    every = profiles(
        genes,
        reference=shipped.reference,
        types=shipped.types,
        left_out=shipped.handling,
        ambient=soup,
        ambient_share=ambient_share,
    )
    tissue = normal_tissue(
        counts[np.flatnonzero(chosen.candidates)],
        reference=every,
        shipped_null=shipped.identity_null,
        # the first: tissue that stroma comes from leaves RNA of its own in it, of other panels too
        panel_genes=pd.Index(genes[every.columns]).isin(list(next(iter(panels.values())))),
    )
    ambient = _ambient(counts, soup, ambient_share)
    return Lines(blood, reference.types, of_panels, tissue, ambient, chosen)


def _ambient(counts: sp.csr_matrix, soup: Floats | None, share: float) -> Floats:
    """Share of a cell's counts that ambient RNA of each gene may be."""
    if soup is None:
        profile, most = np.asarray(counts.sum(axis=0), dtype=np.float64).ravel(), _UNMEASURED_SHARE
    else:
        profile, most = soup, max(share, AMBIENT_SHARE)
    return np.asarray(most * profile / max(float(profile.sum()), 1e-12))
