"""Decoy panels: a check that the panel p-values are right for the blood cells of a sample."""

from __future__ import annotations

from typing import Final

import numpy as np

from ctcflow.evidence.look import Looked
from ctcflow.records.score import Decoys
from ctcflow.stats.panels import decoys

_DECOYS: Final = 10


def measured(of: Looked) -> list[Decoys]:
    """Share of leukocytes with p at or below each level, over decoys: see `stats.panels.decoys`."""
    names, null = of.sample.genes, of.blood.is_leukocyte
    counts = of.sample.counts
    known = np.isin(names.astype(str), of.shipped.genes["symbol"].to_numpy(str))
    candidates = decoys.candidates_of(
        names,
        technical=of.shipped.technical,
        members=of.panels.columns,
        measured=known | (np.bincount(counts.indices, minlength=names.size) > 0),
    )
    shares = decoys.decoy_shares(
        counts[null],
        lineage=of.blood.lineage[null],
        n_lineages=len(of.types),
        members=of.panels.first,
        candidates=candidates,
        n_decoys=_DECOYS,
        weight=of.settings.weight,
        rng=np.random.default_rng(of.settings.seed),
    )
    return decoys.summary(shares, n_cells=int(null.sum()))
