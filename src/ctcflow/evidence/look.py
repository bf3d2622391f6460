"""What the lines of evidence share: leukocytes, panels, normal tissue, and the candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from ctcflow.stats.copy_number.sample_copy_number import Roles, roles
from ctcflow.stats.counts.gene_sets import handling
from ctcflow.stats.identity.alike import alike
from ctcflow.stats.identity.leukocytes import Leukocytes, Null, judged, leukocytes
from ctcflow.stats.identity.normal_tissue import Tissue, normal_tissue, plainly_like
from ctcflow.stats.identity.profiles import AMBIENT_SHARE, Profiles, profiles
from ctcflow.stats.panels import panel
from ctcflow.stats.thresholds import MISSING_P, SHOWN_P

Floats = npt.NDArray[np.float64]

_GROUPS_AT_ONCE: Final = 500
"""Groups whose summed counts are in memory at a time."""
_UNMEASURED_SHARE: Final = 0.2
"""Largest share of a cell's counts that may be ambient RNA, used where `qc` could not measure it (a
tissue sample, or too few leukocytes). Chosen on the cells of one triple-negative breast cancer, not
validated on held-out data."""


class Shipped(NamedTuple):
    """Reference tables that a sample is compared with: the shipped ones, or the user's own."""

    reference: pd.DataFrame
    """Normal cells: `symbol`, then counts per million of each profile."""
    types: pd.DataFrame
    """`profile`, `type`, `group`."""
    background: pd.DataFrame
    """`symbol`, `max_pct_blood`."""
    identity_null: pd.DataFrame
    """`group`, `depth`, `centre`, `spread`."""
    technical: pd.DataFrame
    """`set`, and `gene` or `pattern`."""
    genes: pd.DataFrame
    """`symbol`, `chromosome`, `arm`, `start`."""
    rates: pd.DataFrame
    """`symbol`, then counts per million in each of 12 normal types."""
    cell_types: pd.DataFrame
    """Marker sets: `set`, `gene`, `direction`."""


class Settings(NamedTuple):
    """Parameters of `score` that the lines use."""

    fewest: int
    """Fewest leukocytes for which the sample's own null is used (cells)."""
    weight: float
    """Weight of the shipped panel rates as a prior, in counts (UMIs) of the sample."""
    fewest_of_lineage: int
    """Fewest leukocytes of a lineage that serve as a reference for copy number (cells)."""
    seed: int
    """Seed for thinning leukocytes and for drawing decoys."""
    n_threads: int
    """Threads of the search for cells that are alike; does not change results."""


class Sample(NamedTuple):
    """The cells of one sample, in an order that does not depend on the file."""

    counts: sp.csr_matrix
    """(n, G) raw counts on the scale of molecules."""
    genes: npt.NDArray[np.object_]
    """(G,) symbols."""
    soup: Floats | None
    """(G,) share of each gene in the ambient RNA; None where it was not measured."""
    ambient_share: float
    """Share of the counts that is ambient; 0 where it was not measured."""
    are_molecules: bool
    """False for reads that were scaled to look like molecules."""
    beside: Mapping[str, pd.DataFrame] = {}
    """Modalities other than RNA: tables of obsm by name, each with n rows."""


class Panels(NamedTuple):
    """Result of the tumour panels for n cells, corrected for the number of panels."""

    p: Floats
    """(n,) probability that a leukocyte of this lineage and depth expresses so much of any panel:
    the smallest p of all panels, corrected for looking at several of them (`panel.price`)."""
    panel: npt.NDArray[np.intp]
    """(n,) index of the panel with the smallest p."""
    seen: npt.NDArray[np.bool_]
    """(n, p) genes of that panel that are seen."""
    columns: npt.NDArray[np.intp]
    """(p,) columns of the genes of all panels."""
    first: npt.NDArray[np.intp]
    """Columns of the genes of the first panel."""


class Together(NamedTuple):
    """Cells judged in groups: each with the cells that it cannot be told from (`alike`)."""

    rows: npt.NDArray[np.intp]
    """(g,) row indices of these cells."""
    members: sp.csr_matrix
    """(g, n) 1 for the cells in the group of each, the cell itself included."""
    umis: Floats
    """(g,) total counts of the group."""
    plainly: npt.NDArray[np.intp]
    """(g,) normal tissue that the group plainly resembles: see `normal_tissue.plainly_like`."""
    p_identity: Floats
    """(g,) as `Leukocytes.p`, for the summed counts of the group as if they were one cell."""
    panels: Panels
    """Result of the panels for the same summed counts."""
    tissue: Tissue
    """Comparison with normal tissue for the same summed counts."""


class Looked(NamedTuple):
    """A sample, prepared for the lines of evidence."""

    sample: Sample
    shipped: Shipped
    settings: Settings
    panel_genes: Mapping[str, frozenset[str]]
    """Genes of each tumour panel that is looked at."""
    blood: Leukocytes
    types: tuple[str, ...]
    """Names of the lineages in `blood`."""
    panels: Panels
    tissue: Tissue
    """Comparison of the candidates with normal tissue, in their order."""
    plainly: npt.NDArray[np.intp]
    """Normal tissue that each candidate plainly resembles: see `normal_tissue.plainly_like`."""
    ambient: Floats
    """(G,) largest share of a cell's counts that ambient RNA of each gene may explain."""
    roles: Roles
    """Which cells are candidates (judged by every line), and which serve as reference."""
    together: Together
    judge: Judge
    """Judges other cells, or groups of cells, in the same way."""

    @property
    def n(self) -> int:
        """Number of cells."""
        return int(self.sample.counts.shape[0])

    @property
    def members(self) -> frozenset[str]:
        """Genes of all panels."""
        return frozenset().union(*self.panel_genes.values())


def look(
    sample: Sample,
    *,
    panels: Mapping[str, frozenset[str]],
    shipped: Shipped,
    settings: Settings,
) -> Looked:
    """Judge all cells of a sample by blood identity, panels and normal tissue.

    Identity and panels use disjoint sets of genes.

    Parameters
    ----------
    sample
        The cells.
    panels
        Genes of each tumour panel that is looked at.
    shipped
        Tables that they are compared with.
    settings
        Parameters.
    """
    counts = sample.counts.astype(np.float64).tocsr()
    reference, blood, panels_here, of_panels = _in_blood(sample, counts, panels, shipped, settings)
    chosen = roles(
        reference.types,
        lineage=blood.lineage,
        is_leukocyte=blood.is_leukocyte,
        p_identity=blood.p,
        p_panel=of_panels.p,
    )
    every = _profiles(sample, shipped, left_out=handling(shipped.technical))
    looks = _Looks(every, shipped.identity_null, panels_here.first_of(every.columns))
    judge = Judge(reference, blood.null, panels_here, looks)
    of_candidates = counts[np.flatnonzero(chosen.candidates)]
    asked = chosen.candidates & (blood.p <= MISSING_P)
    return Looked(
        sample,
        shipped,
        settings,
        panels,
        blood,
        reference.types,
        of_panels,
        looks.at(of_candidates),
        plainly_like(of_candidates, reference=reference),
        _ambient(counts, sample.soup, sample.ambient_share),
        chosen,
        judge.together(counts, asked=asked, n_threads=settings.n_threads),
        judge,
    )


def _in_blood(
    sample: Sample,
    counts: sp.csr_matrix,
    panels: Mapping[str, frozenset[str]],
    shipped: Shipped,
    settings: Settings,
) -> tuple[Profiles, Leukocytes, _Panels, Panels]:
    """Reference profiles without panel genes, the leukocytes, and the panels against these."""
    genes, members = sample.genes, frozenset().union(*panels.values())
    reference = _profiles(sample, shipped, left_out=members | handling(shipped.technical))
    umis = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    columns = np.flatnonzero(pd.Index(genes).isin(list(members)))
    prior = panel.prior_rates(genes[columns], shipped.background)
    shown = counts.tocsc()[:, columns]
    first = pd.Index(genes[columns]).isin(list(next(iter(panels.values()))))
    blood = leukocytes(
        counts,
        reference=reference,
        suspect=_suspect(shown.tocsr()[:, first], umis=umis, prior=prior[first]),
        shipped_null=shipped.identity_null,
        fewest=settings.fewest,
    )
    if sample.soup is not None:
        prior = prior + sample.ambient_share * sample.soup[columns]
    dense = shown.toarray()
    rates = _rates(dense, umis, blood, reference, prior=prior, weight=settings.weight)
    panels_here = _Panels(genes, list(panels.values()), columns, rates)
    return reference, blood, panels_here, panels_here.at(dense, umis, blood.lineage)


def _suspect(shown: sp.csr_matrix, *, umis: Floats, prior: Floats) -> npt.NDArray[np.bool_]:
    """Possible tumour cells, found before lineages are known: they are left out of the null."""
    return panel.surprise(shown, umis=umis, prior=prior)[0] <= SHOWN_P


def _rates(
    shown: Floats,
    umis: Floats,
    blood: Leukocytes,
    reference: Profiles,
    *,
    prior: Floats,
    weight: float,
) -> Floats:
    """Background expression of the panel genes in the leukocytes of each lineage."""
    null = blood.is_leukocyte & blood.own_null
    return panel.background_rates(
        shown[null],
        depth=umis[null],
        lineage=blood.lineage[null],
        n_lineages=len(reference.types),
        prior=prior,
        weight=weight,
    )


def _profiles(sample: Sample, shipped: Shipped, *, left_out: frozenset[str]) -> Profiles:
    return profiles(
        sample.genes,
        reference=shipped.reference,
        types=shipped.types,
        left_out=left_out,
        ambient=sample.soup,
        ambient_share=sample.ambient_share,
    )


class _Looks(NamedTuple):
    """Compares cells with normal tissue, and stroma with the first panel."""

    reference: Profiles
    null: pd.DataFrame
    genes: npt.NDArray[np.bool_]

    def at(self, counts: sp.csr_matrix) -> Tissue:
        return normal_tissue(
            counts, reference=self.reference, shipped_null=self.null, panel_genes=self.genes
        )


class _Panels(NamedTuple):
    """The panels, and the background expression of their genes in the sample's blood."""

    genes: npt.NDArray[np.object_]
    panels: Sequence[frozenset[str]]
    columns: npt.NDArray[np.intp]
    rates: Floats

    def first_of(self, columns: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
        """Genes of the first panel.

        Only these are used for stroma: it picks up ambient RNA of its tissue, with genes of other
        panels.
        """
        return np.asarray(pd.Index(self.genes[columns]).isin(list(self.panels[0])))

    def at(self, counts: Floats, umis: Floats, lineage: npt.NDArray[np.intp]) -> Panels:
        names = pd.Index(self.genes[self.columns])
        chosen = [names.isin(list(panel_genes)) for panel_genes in self.panels]
        tested = panel.by_lineage(
            counts, umis=umis, lineage=lineage, rates=self.rates, panels=chosen
        )
        first = self.columns[chosen[0]]
        return Panels(tested.p, tested.panel, tested.seen, self.columns, first)


class Judge(NamedTuple):
    """Judges counts of a sample, whether of one cell or summed over several."""

    reference: Profiles
    """Reference profiles for the blood identity, without the panel genes."""
    null: Null
    panels: _Panels
    looks: _Looks

    def together(
        self, counts: sp.csr_matrix, *, asked: npt.NDArray[np.bool_], n_threads: int
    ) -> Together:
        """Judge cells by the summed counts of all cells that they cannot be told from.

        Parameters
        ----------
        counts
            (n, G) raw counts.
        asked
            (n,) True for the cells that are compared with each other.
        n_threads
            Threads of the search; does not change results.
        """
        rows = np.flatnonzero(asked)
        pairs = alike(counts[rows], reference=self.looks.reference, n_threads=n_threads).tocoo()
        shape = (rows.size, counts.shape[0])
        members = sp.csr_matrix((pairs.data, (pairs.row, rows[pairs.col])), shape=shape)
        several = np.flatnonzero(np.diff(members.indptr) > 1)
        members = members[several].tocsr()
        starts = range(0, max(several.size, 1), _GROUPS_AT_ONCE)
        blocks = [slice(first, first + _GROUPS_AT_ONCE) for first in starts]
        parts = [self._of(rows[several][block], members[block], counts) for block in blocks]
        panels = [part.panels for part in parts]
        return Together(
            rows[several],
            members,
            np.concatenate([part.umis for part in parts]),
            np.concatenate([part.plainly for part in parts]),
            np.concatenate([part.p_identity for part in parts]),
            panels[0]._replace(
                p=np.concatenate([panels_of_part.p for panels_of_part in panels]),
                panel=np.concatenate([panels_of_part.panel for panels_of_part in panels]),
                seen=np.concatenate([panels_of_part.seen for panels_of_part in panels]),
            ),
            Tissue(*map(np.concatenate, zip(*(part.tissue for part in parts), strict=True))),
        )

    def _of(
        self, rows: npt.NDArray[np.intp], members: sp.csr_matrix, counts: sp.csr_matrix
    ) -> Together:
        pooled = (members @ counts).tocsr()
        lineage, p = judged(pooled, reference=self.reference, null=self.null)
        umis = np.asarray(pooled.sum(axis=1), dtype=np.float64).ravel()
        seen = self.panels.at(pooled[:, self.panels.columns].toarray(), umis, lineage)
        plainly = plainly_like(pooled, reference=self.reference)
        return Together(rows, members, umis, plainly, p, seen, self.looks.at(pooled))


def _ambient(counts: sp.csr_matrix, soup: Floats | None, share: float) -> Floats:
    """Largest share of a cell's counts that ambient RNA of each gene may explain."""
    if soup is None:
        profile, most = np.asarray(counts.sum(axis=0), dtype=np.float64).ravel(), _UNMEASURED_SHARE
    else:
        profile, most = soup, max(share, AMBIENT_SHARE)
    return np.asarray(most * profile / max(float(profile.sum()), 1e-12))
