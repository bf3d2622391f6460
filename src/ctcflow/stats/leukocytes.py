"""Which cells are leukocytes, and how little of every other cell is blood.

One answer for all steps: `qc` asks for all droplets, `score` for those that were kept.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from ctcflow.stats import identity as ident
from ctcflow.stats import tail
from ctcflow.stats.profiles import GROUPS, Profiles

Floats = npt.NDArray[np.float64]

_BLOOD_LIKE = -0.25  # nats per count in favour of blood: what a null cell has at least
_NULL_Z = 3.0  # null cells lie within this many spreads of their group
_MOST_NULL = 2000  # leukocytes that are thinned for the null: more change nothing but time
_SMALLEST_SCALE = 0.3  # spreads; healthy blood of five data sets gave 0.36 to 0.44


class Leukocytes(NamedTuple):
    """Fit of each cell to blood, and the null that it is judged by."""

    lineage: npt.NDArray[np.intp]
    """(n,) index of the best blood type in `Profiles.types`."""
    is_leukocyte: npt.NDArray[np.bool_]
    """(n,) null cells: blood identity as expected at their depth."""
    p: Floats
    """(n,) probability that a leukocyte of this lineage and depth lacks so much blood identity."""
    n_blood_like: int
    """Cells that the null could be measured on."""
    own_null: bool
    """The null was measured on the sample's own leukocytes."""


def leukocytes(
    counts: sp.csr_matrix, *, reference: Profiles, shipped_null: pd.DataFrame, fewest: int
) -> Leukocytes:
    """Fit cells to reference profiles and judge what is missing against leukocytes of that depth.

    Parameters
    ----------
    counts
        (n, G) raw counts. Thinning draws random numbers cell by cell, in the order of the rows:
        put them in an order that does not depend on the file.
    reference
        Types over the genes of the sample.
    shipped_null
        `group`, `depth`, `centre`, `spread`: what leukocytes look like where the sample's own are
        too few.
    fewest
        Blood-like cells from which the sample's own null is used.
    """
    shared = counts[:, reference.columns].astype(np.float64).tocsr()
    fit = ident.identity(shared, log_rates=reference.log_rates, is_blood=reference.is_blood)
    blood_like = fit.distance < _BLOOD_LIKE
    own_null = int(blood_like.sum()) >= fewest
    grid = prior = _shipped_grid(shipped_null)
    if own_null:
        own = ident.null_grid(
            shared[np.flatnonzero(blood_like)[:_MOST_NULL]],
            log_rates=reference.log_rates,
            is_blood=reference.is_blood,
            group=reference.group,
            rng=np.random.default_rng(0),
        )
        grid = ident.shrunk_grid(own, prior=prior)
    z = ident.standardised(fit, grid=grid, group=reference.group)
    leukocyte = blood_like & (z < _NULL_Z)
    own_null = own_null and bool(leukocyte.any())
    if own_null:
        null = tail.fit_exponential_tail(
            z[leukocyte], fraction=0.1, trimmed=0.005, smallest_scale=_SMALLEST_SCALE
        )
        p = tail.exponential_tail_p(z, null)
    else:
        p = tail.normal_body_exponential_tail_p(z, scale=_SMALLEST_SCALE)
    return Leukocytes(fit.blood, leukocyte, p, int(blood_like.sum()), own_null)


def _shipped_grid(table: pd.DataFrame) -> ident.NullGrid:
    shape = (len(GROUPS), ident.DEPTHS.size)
    ordered = table.set_index(["group", "depth"]).loc[
        [(group, int(depth)) for group in GROUPS for depth in ident.DEPTHS]
    ]
    return ident.NullGrid(
        ordered["centre"].to_numpy(np.float64).reshape(shape),
        ordered["spread"].to_numpy(np.float64).reshape(shape),
    )
