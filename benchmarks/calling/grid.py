"""Tumour source x blood x depth x rate x ambient RNA x panel, with five baselines on each draw.

`ambient` 0.05 means that 5 % of the counts of every droplet are replaced by draws from the pooled
profile of the tumour cells. Panels: pan-epithelial, and that of the tumour's own cancer. A limited
number of draws per cell of the grid; tumour and blood of different platforms are marked
`confounded` and are in no claim.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import pandas as pd
from benchmarks.calling.draws import (
    CONFOUNDED,
    PANEL,
    TNBC,
    WITHOUT,
    Claim,
    Task,
    each,
    run,
    summary,
    together,
)
from benchmarks.calling.methods import BASELINES
from benchmarks.samples import BLOOD

DEPTHS = (4000, 1500, 600, 300)
RATES = {0.01: 1, 0.001: 3}
"""Tumour cells per blood cell: draws per cell of the grid."""
AMBIENT = (0.0, 0.05)
OWN_PANEL = {TNBC: "breast"} | dict.fromkeys(CONFOUNDED, "lung")
MOST_FDR = 0.05
CEILING = 0.98
MOST_FALSE_OF_A_RIVAL = 100.0
"""False calls per 10,000 blood cells above which a baseline is not compared: it calls blood."""
_AXES = ["tumour", "blood", "umis", "rate", "ambient"]


def table(*, processes: int, seed: int, draws: dict[float, int] = RATES) -> dict[str, pd.DataFrame]:
    """`grid`: one row per cell of it and method; `grid_pooled`: over the blood files and rates."""
    where = list(product(OWN_PANEL, BLOOD, DEPTHS, draws, AMBIENT))
    seeds = np.random.SeedSequence(seed).spawn(len(where))
    tasks = [
        Task(tumour, blood, umis, rate, share, (PANEL, OWN_PANEL[tumour]), draws[rate], child)
        for (tumour, blood, umis, rate, share), child in zip(where, seeds, strict=True)
    ]
    found = together(each(run, tasks, processes=processes))
    pooled = [
        summary(found, ["tumour", "umis", "ambient"]),
        summary(found, ["tumour", "ambient"]),
        summary(found, ["tumour"]),
    ]
    shown = {"grid": summary(found, _AXES), "grid_pooled": pd.concat(pooled, ignore_index=True)}
    return {
        name: rows.assign(confounded=rows["tumour"].isin(CONFOUNDED))
        for name, rows in shown.items()
    }


def claims(found: dict[str, pd.DataFrame]) -> Iterator[Claim]:
    pooled = found["grid_pooled"]
    headline = pooled[~pooled["confounded"]]
    for method in ("CTC, aggregate", "CTC, aggregate, uncertain"):
        for tail in ("", WITHOUT):
            over_all = headline[headline["ambient"].isna() & (headline["method"] == method + tail)]
            for row in over_all.to_dict("records"):
                seen = (
                    f"{row['fdr']:.4f} ({row['fdr_low']:.4f} to {row['fdr_high']:.4f}),"
                    f" {row['true_calls'] + row['false_calls']} calls in {row['draws']} draws"
                )
                name = f"realised FDR of {row['method']}, {row['panel']}, <= {MOST_FDR}"
                yield name, seen, bool(row["fdr"] <= MOST_FDR)
    by_depth = headline[headline["umis"].notna()]
    for (panel, umis, ambient), rows in by_depth.groupby(["panel", "umis", "ambient"], sort=False):
        yield _against_best(rows.set_index("method"), f"{panel}, {umis:g} UMI, ambient {ambient:g}")
    over_all = pooled[pooled["ambient"].isna() & (pooled["panel"] == PANEL)]
    over_all = over_all[over_all["method"].isin(["CTC", *BASELINES])]
    for method, rows in over_all.groupby("method", sort=False):
        seconds = np.average(rows["seconds_per_draw"], weights=rows["draws"])
        yield f"seconds per draw, {method}", f"{seconds:.2f}", None


def _against_best(rows: pd.DataFrame, where: str) -> Claim:
    """A baseline above the upper limit of ours is better; at the ceiling none may be."""
    ours, rivals = rows.loc["CTC"], rows.loc[list(BASELINES)]
    allowed = rivals[rivals["per_10000"] <= MOST_FALSE_OF_A_RIVAL]
    if allowed.empty:
        return f"CTC and the best baseline, {where}", "every baseline calls blood", None
    best = allowed.sort_values("recall").iloc[-1]
    seen = (
        f"{ours['recall']:.4f} ({ours['low']:.4f} to {ours['high']:.4f}) at"
        f" {ours['per_10000']:.1f} false per 10,000; {best.name} {best['recall']:.4f}"
        f" at {best['per_10000']:.1f}"
    )
    ceiling = min(ours["recall"], best["recall"]) >= CEILING
    reached = bool(best["recall"] <= ours["high"]) if ceiling else None
    return f"CTC and the best baseline, {where}", seen, reached
