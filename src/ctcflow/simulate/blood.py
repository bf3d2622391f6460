"""Simulate one blood sample: which cells are in which droplet, their RNA content and counts."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from ctcflow.simulate.cells import Parts, draw
from ctcflow.simulate.profiles import BLOOD, KINDS, NAMES, PHENOTYPES

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_PARTNERS: Final = {
    "neutrophil": 0.4,
    "CD14 monocyte": 0.2,
    "FCGR3A monocyte": 0.05,
    "platelet": 0.2,
    "CD4 T memory": 0.08,
    "CD8 T": 0.07,
}
"""Cells that tumour cells form aggregates with: mostly neutrophils
(doi:10.1038/s41586-019-0915-y)."""
_FRAGILE: Final = {"neutrophil": 1.5, "platelet": 1.5, "erythrocyte": 10.0, "tumour": 1.5}
"""Factor by which a lineage contributes more to the ambient RNA than its share of the RNA."""
_NONE: Final = -1


class Rates(NamedTuple):
    """Expected numbers and rates of one library."""

    n_droplets: int
    n_empty: int
    ctc: float
    aggregate: float
    doublet: float
    ambient: float
    median_umis: float
    dispersion: float


class Biology(NamedTuple):
    """Expression and composition of a donor with batch effects; rows as in `profiles.NAMES`."""

    nuclear: Floats
    """Shares without mitochondrial genes, kinds x genes."""
    mitochondrial: Floats
    """Shares among mitochondrial genes, shape (genes,)."""
    blood: Floats
    """Shares of `profiles.BLOOD`, sum 1."""
    phenotypes: Floats
    """Shares of `profiles.PHENOTYPES`, sum 1."""


class Droplets(NamedTuple):
    """Counts of one library, and the truth about its cells."""

    counts: sparse.csr_matrix
    """int32, droplets with cells x genes."""
    truth: pd.DataFrame
    """One row per droplet with cells, in the order of `counts`."""
    empty: sparse.csr_matrix
    """int32, droplets without cells x genes."""


def draw_sample(biology: Biology, rates: Rates, rng: np.random.Generator) -> Droplets:
    """Draw the cells, their RNA, the ambient RNA and the counts of one library.

    Parameters
    ----------
    biology
        Profiles and shares of the kinds of cells.
    rates
        Numbers and rates of the library.
    rng
        Source of randomness, of this sample only.
    """
    first, second, kind = _contents(biology, rates, rng)
    cells = np.concatenate([first, second[second != _NONE]])
    droplet = np.concatenate([np.arange(first.size), np.flatnonzero(second != _NONE)])
    umis = _depths(cells, rates.median_umis, rng)
    mt = _mitochondrial_shares(cells, rng)
    n_kinds = len(NAMES)
    profiles = np.vstack([biology.nuclear, biology.mitochondrial])
    parts = Parts(
        np.concatenate([droplet, droplet]),
        np.concatenate([cells, np.full(cells.size, n_kinds)]),
        np.concatenate([umis * (1.0 - mt), umis * mt]),
    )
    own_rna = draw(parts, profiles, first.size, rates.dispersion, rng)
    soup = _soup(cells, umis, mt, biology)
    spill = rates.ambient * rates.median_umis * np.exp(0.3 * rng.standard_normal(first.size))
    ambient = _draw_ambient(spill, soup, rng)
    drift = max(rates.ambient * rates.median_umis, 10.0)
    leftover = drift * np.exp(0.6 * rng.standard_normal(rates.n_empty))
    empty = _draw_ambient(leftover, soup, rng)
    empty = empty[np.diff(empty.indptr) > 0]
    counts = (own_rna.counts + ambient).tocsr()
    counts.sort_indices()
    of_tumour = np.isin(cells, [NAMES.index(name) for name in PHENOTYPES])
    tumour_umis = np.bincount(
        parts.droplet, own_rna.part_umis * np.tile(of_tumour, 2), minlength=first.size
    )
    truth = _truth(first, second, kind)
    truth["n_umis"] = np.asarray(counts.sum(axis=1), dtype=np.int64).ravel()
    truth["n_genes"] = np.diff(counts.indptr).astype(np.int64)
    truth["n_umis_tumour"] = tumour_umis.astype(np.int64)
    truth["n_umis_ambient"] = np.asarray(ambient.sum(axis=1), dtype=np.int64).ravel()
    return Droplets(counts.astype(np.int32), truth, empty)


def _contents(
    biology: Biology, rates: Rates, rng: np.random.Generator
) -> tuple[Ints, Ints, npt.NDArray[np.object_]]:
    """Contents of the droplets: one or two cells, and `cell`, `aggregate` or `doublet`."""
    n = rates.n_droplets
    first = _draw_cells(n, biology, rates.ctc, rng)
    second = np.full(n, _NONE)
    kind = np.full(n, "cell", dtype=object)
    # Random loading may add a second, independent cell to a droplet; aggregates are drawn apart.
    other = _draw_cells(n, biology, rates.ctc, rng)
    doublet = rng.random(n) < rates.doublet
    second[doublet] = other[doublet]
    kind[doublet] = "doublet"
    aggregate = rng.random(n) < rates.aggregate
    tumour = _draw_named(PHENOTYPES, biology.phenotypes, n, rng)
    share = np.array(list(_PARTNERS.values()))
    partner = _draw_named(tuple(_PARTNERS), share / share.sum(), n, rng)
    first[aggregate], second[aggregate] = tumour[aggregate], partner[aggregate]
    kind[aggregate] = "aggregate"
    # The tumour cell of a droplet comes first, so that one column names it.
    swap = (second >= len(BLOOD)) & (first < len(BLOOD))
    first[swap], second[swap] = second[swap], first[swap]
    return first, second, kind


def _draw_cells(n: int, biology: Biology, ctc: float, rng: np.random.Generator) -> Ints:
    blood = _draw_named(BLOOD, biology.blood, n, rng)
    tumour = _draw_named(PHENOTYPES, biology.phenotypes, n, rng)
    return np.where(rng.random(n) < ctc, tumour, blood)


def _draw_named(names: tuple[str, ...], share: Floats, n: int, rng: np.random.Generator) -> Ints:
    codes = np.array([NAMES.index(name) for name in names])
    return codes[rng.choice(len(names), n, p=share)]


def _depths(cells: Ints, median: float, rng: np.random.Generator) -> Floats:
    depth = np.array([kind.depth for kind in KINDS.values()])[cells]
    spread = np.array([kind.spread for kind in KINDS.values()])[cells]
    return median * depth * np.exp(spread * rng.standard_normal(cells.size))


def _mitochondrial_shares(cells: Ints, rng: np.random.Generator) -> Floats:
    """Log-normal shares; 90 % of them are in the range of the kind of cell."""
    ranges = np.log([kind.mt for kind in KINDS.values()])[cells]
    middle, half = ranges.mean(axis=1), np.diff(ranges, axis=1).ravel() / 2.0
    return np.minimum(np.exp(middle + half / 1.645 * rng.standard_normal(cells.size)), 0.6)


def _soup(cells: Ints, umis: Floats, mt: Floats, biology: Biology) -> Floats:
    """Ambient profile: RNA released by the cells of this sample, more by fragile ones."""
    spilled = umis * np.array([_FRAGILE.get(kind.lineage, 1.0) for kind in KINDS.values()])[cells]
    weight = np.bincount(cells, spilled * (1.0 - mt), minlength=len(NAMES)).astype(float)
    if weight.sum() == 0:
        weight[: len(BLOOD)] = biology.blood
    # Not a BLAS product: its last bit may depend on the number of threads.
    nuclear = (weight[:, None] * biology.nuclear).sum(axis=0)
    soup = nuclear + (spilled * mt).sum() * biology.mitochondrial
    shares: Floats = soup / soup.sum()
    return shares


def _draw_ambient(umis: Floats, soup: Floats, rng: np.random.Generator) -> sparse.csr_matrix:
    rows = np.arange(umis.size)
    parts = Parts(rows, np.zeros(umis.size, dtype=np.int64), umis)
    return draw(parts, soup[None, :], umis.size, 0.0, rng).counts


def _truth(first: Ints, second: Ints, kind: npt.NDArray[np.object_]) -> pd.DataFrame:
    tumour = first >= len(BLOOD)
    lineage = np.array([k.lineage for k in KINDS.values()] + [""], dtype=object)
    names = np.array([*NAMES, ""], dtype=object)
    types = names.copy()
    types[len(BLOOD) : len(NAMES)] = "CTC"
    return pd.DataFrame(
        {
            "kind": kind,
            "cell_type": types[first],
            "lineage": lineage[first],
            "phenotype": np.where(tumour, names[first], ""),
            "partner": types[second],
            "partner_lineage": lineage[second],
            "is_ctc": tumour,
            "is_aggregate": kind == "aggregate",
            "is_doublet": kind == "doublet",
        }
    )
