"""Recall of real tumour cells in real blood, from spiked in to called, and false calls.

Each aneuploid cell of one triple-negative breast cancer once per blood file and depth, 1:100,
thinned without replacement to the exact depth, pan-epithelial panel; with the p of copy number
and without it, since the labels of these cells come from copy number themselves. Thresholds were
developed on these cells (one patient) and on these PBMC: this is no held-out figure for them.

The paired test is the exact one of McNemar per blood file; over all files the same on distinct
cells: of those that one method finds in more files than the other, is the share one half.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from benchmarks.calling.draws import (
    PANEL,
    POINTS,
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
from scipy.stats import binomtest

DEPTHS = (4000, 1500, 600, 300, 150)
STRICT, WIDE = "CTC", "CTC, aggregate, uncertain"
LEAST = {
    STRICT: {4000: 0.99, 1500: 0.99, 600: 0.97, 300: 0.90},
    WIDE: {4000: 0.99, 1500: 0.99, 600: 0.99, 300: 0.98, 150: 0.95},
}
"""Operating point: counts per tumour cell, and the recall that is promised."""
MOST_FALSE = {STRICT: 1, WIDE: 8}
"""Of all distinct blood cells, over all draws at all depths."""
MOST_FDR = 0.05
BETTER_AT = (600, 300)
CEILING = 0.98
_ALL = "all"
_WHOLE = 10**9


def table(*, processes: int, seed: int) -> dict[str, pd.DataFrame]:
    """`recall`: per blood and depth, over the blood files, and over all; `recall_paired`."""
    where = [(blood, depth) for depth in DEPTHS for blood in BLOOD]
    seeds = np.random.SeedSequence(seed).spawn(len(where))
    tasks = [
        Task(TNBC, blood, depth, 0.01, 0.0, (PANEL,), _WHOLE, child)
        for (blood, depth), child in zip(where, seeds, strict=True)
    ]
    found = together(each(run, tasks, processes=processes))
    shown = [
        summary(found, ["tumour", "blood", "umis"]),
        summary(found, ["tumour", "umis"]).assign(blood=_ALL),
        summary(found, ["tumour"]).assign(blood=_ALL, umis=0),
    ]
    whole = pd.concat(shown, ignore_index=True)
    first = ["tumour", "blood", "umis"]
    whole = whole[first + [name for name in whole if name not in first]]
    return {"recall": whole, "recall_paired": paired(found.tumour)}


def paired(tumour_cells: pd.DataFrame) -> pd.DataFrame:
    """Ours against each baseline on the same tumour cells, per depth."""
    rows = []
    for umis, hits in tumour_cells.groupby("umis", sort=False):
        wide = hits.pivot_table(
            index=["blood", "cell"], columns="method", values="found", aggfunc="first"
        ).astype(int)
        for ours in (*POINTS, *(point + WITHOUT for point in POINTS)):
            for baseline in BASELINES:
                difference = wide[ours] - wide[baseline]
                named = {"umis": umis, "ours": ours, "baseline": baseline}
                files = dict(iter(difference.groupby(level="blood", sort=False)))
                for blood, lead in (files | {_ALL: difference.groupby(level="cell").sum()}).items():
                    more, fewer = int((lead > 0).sum()), int((lead < 0).sum())
                    p = binomtest(more, more + fewer).pvalue if more + fewer else 1.0
                    counts = {"only_ours": more, "only_baseline": fewer, "n": lead.size, "p": p}
                    rows.append({**named, "blood": blood, **counts})
    return pd.DataFrame(rows)


def claims(found: dict[str, pd.DataFrame]) -> Iterator[Claim]:
    shown, tests = found["recall"], found["recall_paired"]
    for tail in ("", WITHOUT):
        for point, least in LEAST.items():
            rows = shown[shown["method"] == point + tail]
            for umis, wanted in least.items():
                yield from _recall_claims(rows[rows["umis"] == umis], f"{point}{tail}", wanted)
            over_all = rows[rows["umis"] == 0].iloc[0]
            false, most = int(over_all["false_cells"]), MOST_FALSE[point]
            yield (
                f"false calls of {point}{tail} <= {most}",
                f"{false} of {over_all['n_blood']} distinct PBMC ({over_all['per_10000']:.2f}"
                f" per 10,000, {over_all['per_10000_low']:.2f}"
                f" to {over_all['per_10000_high']:.2f})",
                false <= most,
            )
        for point in ("CTC, aggregate", WIDE):
            yield _fdr_claim(shown[(shown["method"] == point + tail) & (shown["umis"] == 0)], point)
    cells = int(
        shown.loc[(shown["method"] == STRICT) & (shown["umis"] == 0), "p_copy_number"].sum()
    )
    yield "cells with a p of copy number, all draws", str(cells), None
    for umis in DEPTHS:
        for point in LEAST:
            yield from _paired_claims(shown[shown["umis"] == umis], tests, point)


def _recall_claims(rows: pd.DataFrame, point: str, wanted: float) -> Iterator[Claim]:
    umis = int(rows["umis"].iloc[0])
    pooled = rows[rows["blood"] == _ALL].iloc[0]
    files = rows[rows["blood"] != _ALL]
    worst = files.loc[files["recall"].idxmin()]
    for name, row in (("all files together", pooled), (f"worst file, {worst['blood']}", worst)):
        seen = f"{row['recall']:.4f} ({row['low']:.4f} to {row['high']:.4f}), {name}"
        yield f"recall of {point}, {umis} UMI >= {wanted}", seen, bool(row["recall"] >= wanted)


def _fdr_claim(rows: pd.DataFrame, point: str) -> Claim:
    row = rows.iloc[0]
    seen = (
        f"{row['fdr']:.4f} ({row['fdr_low']:.4f} to {row['fdr_high']:.4f}), {row['false_calls']}"
        f" of {row['false_calls'] + row['true_calls']} calls in {row['draws']} draws"
    )
    return f"realised FDR of {row['method']} <= {MOST_FDR}", seen, bool(row["fdr"] <= MOST_FDR)


def _paired_claims(shown: pd.DataFrame, tests: pd.DataFrame, point: str) -> Iterator[Claim]:
    """Against the best baseline of all, and of those that make no more false calls than we may."""
    pooled = shown[shown["blood"] == _ALL].set_index("method")
    rivals = pooled.loc[list(BASELINES)]
    for name, allowed in (
        ("the best baseline", rivals),
        (
            f"the best baseline with up to {MOST_FALSE[point]} false calls",
            rivals[rivals["false_cells"] <= MOST_FALSE[point]],
        ),
    ):
        if len(allowed):
            best = str(allowed["recall"].idxmax())
            yield _paired_claim(pooled, tests, point, best=best, name=name)


def _paired_claim(
    pooled: pd.DataFrame, tests: pd.DataFrame, point: str, *, best: str, name: str
) -> Claim:
    umis = int(pooled["umis"].iloc[0])
    chosen = (tests["umis"] == umis) & (tests["ours"] == point) & (tests["baseline"] == best)
    test = tests[chosen & (tests["blood"] == _ALL)].iloc[0]
    ours, baseline = pooled.loc[point], pooled.loc[best]
    seen = (
        f"{ours['recall']:.4f}, {ours['false_cells']} false cells; {best} {baseline['recall']:.4f},"
        f" {baseline['false_cells']}; {test['only_ours']} against {test['only_baseline']} cells,"
        f" p = {test['p']:.2g}"
    )
    if umis in BETTER_AT:
        better = test["only_ours"] > test["only_baseline"] and test["p"] < 0.05
        return f"{point} better than {name}, {umis} UMI", seen, bool(better)
    worse = test["only_ours"] < test["only_baseline"] and test["p"] < 0.05
    ceiling = min(ours["recall"], baseline["recall"]) >= CEILING
    reached = bool(not worse) if ceiling else None
    return f"{point} not inferior to {name}, {umis} UMI", seen, reached
