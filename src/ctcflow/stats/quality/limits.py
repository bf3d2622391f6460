"""Quality limits for each coarse lineage, measured on its own cells.

A limit for all cells together would follow the most frequent lineage. It would remove neutrophils
and platelets, which have few genes, as debris, and tumour cells, which are large and rich in
mitochondrial RNA, as doublets or dying cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]

_FEWEST = 20  # fewest cells of a lineage on which its limits are measured
_MAD = 1.4826  # makes the median absolute deviation of a normal its standard deviation
_PSEUDO = 0.5  # counts added to either side of the odds of a mitochondrial count


class Rules(NamedTuple):
    """The rules for limits; every value comes from the parameters."""

    umis: tuple[float, float] | None
    """Smallest and largest lower limit on counts (counts per cell); None for read counts, which
    depend on sequencing depth more than on the cell."""
    genes: tuple[float, float]
    """Smallest and largest lower limit on genes (genes per cell)."""
    pct_mt: tuple[float, float]
    """Smallest and largest limit on the mitochondrial share (percent of counts)."""
    lower_mads: float
    mt_mads: float
    damage_mads: float
    upper_mads: float


class Limits(NamedTuple):
    """Limits of one lineage (counts and genes per cell, percent); NaN for no limit."""

    cells: int
    adaptive: bool
    """True if measured on the lineage's own cells; False if there were too few of them."""
    min_umis: float
    min_genes: float
    max_pct_mt: float
    damaged_umis: float
    damaged_pct_mt: float
    high_umis: float
    high_genes: float


def limits(
    umis: Floats,
    genes: Floats,
    pct_mt: Floats,
    *,
    measured: Sequence[Bools],
    rules: Sequence[Rules],
) -> list[Limits]:
    """Measure the limits of each lineage.

    Parameters
    ----------
    umis, genes
        (n,) counts and detected genes per cell.
    pct_mt
        (n,) percent of counts that is mitochondrial; NaN throughout where not measured.
    measured
        Per lineage, (n,) cells that its limits are measured on.
    rules
        Floors, ceilings and factors of each lineage.

    Returns
    -------
    Counts and genes: median times or over exp(MADs of the logarithm), kept within floor and
    ceiling. Mitochondrial share: median plus MADs, kept within floor and ceiling. A damaged cell
    has lost its cytoplasm, so it has fewer than half its lineage's counts and, on the scale of log
    odds, an outlying mitochondrial share. Where a lineage has fewer than 20 cells: the floors on
    counts and genes, the ceiling on the mitochondrial share, and nothing else.
    """
    return [
        _own(umis, genes, pct_mt, cells, rule) for cells, rule in zip(measured, rules, strict=True)
    ]


def _own(umis: Floats, genes: Floats, pct_mt: Floats, cells: Bools, rules: Rules) -> Limits:
    floor = rules.umis[0] if rules.umis else 0.0
    above_floors = cells & (umis >= floor) & (genes >= rules.genes[0])
    n, has_mt = int(above_floors.sum()), not bool(np.isnan(pct_mt).all())
    if n < _FEWEST:
        ceiling = rules.pct_mt[1] if has_mt else np.nan
        rest = (np.nan,) * 4
        return Limits(n, False, floor, rules.genes[0], ceiling, *rest)
    count, spread = _log_moments(umis[above_floors])
    gene, gene_spread = _log_moments(genes[above_floors])
    mitochondrial = (
        _mitochondrial(umis[above_floors], pct_mt[above_floors], rules) if has_mt else (np.nan,) * 2
    )
    return Limits(
        n,
        True,
        float(np.clip(_whole(count - rules.lower_mads * spread), *rules.umis))
        if rules.umis
        else 0.0,
        float(np.clip(_whole(gene - rules.lower_mads * gene_spread), *rules.genes)),
        mitochondrial[0],
        float(np.exp(count) / 2.0) if has_mt and rules.umis else np.nan,
        mitochondrial[1] if rules.umis else np.nan,
        float(np.exp(count + rules.upper_mads * spread)) if rules.umis else np.nan,
        float(np.exp(gene + rules.upper_mads * gene_spread)),
    )


def _whole(logarithm: float) -> float:
    """Limit rounded down, so that a lineage of equal cells is not below its own limit."""
    return float(np.floor(np.exp(logarithm) * (1.0 + 1e-9)))


def _mitochondrial(umis: Floats, pct_mt: Floats, rules: Rules) -> tuple[float, float]:
    """Limit on the share, and the lower one on that of cells with few counts."""
    median, mad = _moments(pct_mt)
    limit = float(np.clip(median + rules.mt_mads * mad, *rules.pct_mt))
    odds, odds_mad = _moments(_log_odds(umis, pct_mt))
    outlying = 100.0 / (1.0 + np.exp(-(odds + rules.damage_mads * odds_mad)))
    return limit, float(min(outlying, limit))


def reasons(
    umis: Floats, genes: Floats, pct_mt: Floats, *, lineage: Ints, limits: Sequence[Limits]
) -> dict[str, Bools]:
    """Which cells break which limit of their lineage, by the reason given in the ledger.

    A droplet without any count breaks the limit on counts even if the limit is zero.
    """
    own_limits = {
        name: np.array([getattr(row, name) for row in limits])[lineage] for name in _COMPARED
    }
    with np.errstate(invalid="ignore"):
        return {
            "few counts": (umis < own_limits["min_umis"]) | (umis == 0),
            "few genes": genes < own_limits["min_genes"],
            "high mitochondrial share": pct_mt > own_limits["max_pct_mt"],
            "damaged": (umis < own_limits["damaged_umis"])
            & (pct_mt > own_limits["damaged_pct_mt"]),
        }


def remarks(
    umis: Floats, genes: Floats, *, lineage: Ints, limits: Sequence[Limits]
) -> dict[str, Bools]:
    """Which cells are unusually large for their lineage: reported, but never set aside for it."""
    own_limits = {
        name: np.array([getattr(row, name) for row in limits])[lineage] for name in _COMPARED
    }
    with np.errstate(invalid="ignore"):
        return {
            "many counts": umis > own_limits["high_umis"],
            "many genes": genes > own_limits["high_genes"],
        }


_COMPARED = Limits._fields[2:]


def _moments(values: Floats) -> tuple[float, float]:
    median = float(np.median(values))
    return median, _MAD * float(np.median(np.abs(values - median)))


def _log_moments(values: Floats) -> tuple[float, float]:
    return _moments(np.log(np.maximum(values, 1.0)))


def _log_odds(umis: Floats, pct_mt: Floats) -> Floats:
    mitochondrial = umis * pct_mt / 100.0
    return np.asarray(np.log((mitochondrial + _PSEUDO) / (umis - mitochondrial + _PSEUDO)))
