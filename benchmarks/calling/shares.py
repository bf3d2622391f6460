"""Recall against the share of a sample that is tumour, from 1 % to a sample without any blood.

Lung cancer lines (Drop-seq) and the aneuploid cells of the triple-negative breast cancer, each
thinned to three depths, in real blood; no cancer type is known, so that all panels are looked at.
Then samples of 40 to 5,000 cells, 10 % of them tumour cells. Small samples are drawn several times,
each tumour cell once before any comes again; the 5,000 hold some cells more than once, thinned anew
each time, and intervals are as of distinct cells.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import anndata as ad
import numpy as np
import numpy.typing as npt
import pandas as pd
from benchmarks.calling.draws import (
    TNBC,
    Claim,
    blood_source,
    classes,
    each,
    tumour_source,
)
from benchmarks.samples import over, sample, thinned

from ctcflow.stats.calls.p_values import clopper_pearson

PANEL = "auto"
"""Without a cancer type: all panels."""
TUMOURS = ("lung cancer lines, Drop-seq", TNBC)
DEPTHS = (1500, 600, 300)
SMALL, LARGE = "pbmc1k_v2", "pbmc3k and pbmc4k"
SHARES = {0.01: 10, 0.11: 1, 0.5: 1, 0.9: 1, 1.0: 1}
"""Share of tumour cells: draws of some 1,000 cells, fewer where the tumour cells do not reach."""
SIZES = {40: 15, 120: 5, 1000: 1, 5000: 1}
"""Cells of a sample of which 10 % are tumour cells: draws."""
SHARE_OF_SIZES = 0.1
CALLED = ("CTC", "CTC aggregate")
LEAST = {1500: 0.98, 600: 0.95}
LEAST_WITH_UNCERTAIN = {1500: 0.99, 600: 0.99, 300: 0.97}
WITHIN = 0.03
MOST_FALSE = 1.0
"""False calls per 10,000 blood cells."""


class Task(NamedTuple):
    """Draws of one kind of sample."""

    tumour: str
    umis: int
    blood: str
    n_tumour: int
    n_blood: int
    draws: int
    seed: np.random.SeedSequence


@lru_cache
def blood_of(name: str) -> ad.AnnData:
    """One blood file, or two of them over the genes that both have."""
    if name != LARGE:
        return blood_source(name)
    files = {file: blood_source(file) for file in ("pbmc3k", "pbmc4k")}
    return ad.concat(files, join="inner", index_unique="_")


def chosen_cells(n: int, wanted: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """So many cells of n in random order; none a second time before all came."""
    rounds = -(-wanted // n)
    return np.concatenate([rng.permutation(n) for _ in range(rounds)])[:wanted]


def run(task: Task) -> pd.DataFrame:
    """`part`, `cell`, `class`, `reason`: of all draws, one row per droplet."""
    rng = np.random.default_rng(task.seed)
    tumour, blood = tumour_source(task.tumour), blood_of(task.blood)
    names = blood.var_names.union(tumour.var_names)
    blood_counts, cells = over(blood, names), over(tumour, names)
    order = chosen_cells(tumour.n_obs, task.n_tumour * task.draws, rng)
    rows = []
    for draw, chosen in enumerate(np.split(order, task.draws)):
        beside = rng.permutation(blood_counts.shape[0])[: task.n_blood]
        drawn = thinned(cells[chosen], task.umis, rng)
        adata = sample({"blood": blood_counts[beside], "tumour": drawn}, names)
        (verdicts,) = classes(adata, panel=PANEL)
        part = verdicts.index.str.rsplit("_", n=1).str[0]
        cell = np.concatenate([beside, chosen])
        rows.append(verdicts[["class", "reason"]].assign(part=part, cell=cell, draw=draw))
    return pd.concat(rows, ignore_index=True)


def tasks(seed: int) -> list[Task]:
    """All kinds of samples."""
    made = []
    for tumour, umis in product(TUMOURS, DEPTHS):
        most = tumour_source(tumour).n_obs
        for share, draws in SHARES.items():
            n = min(round(1000 * share), most)
            made.append((tumour, umis, SMALL, n, round(n * (1 - share) / share), draws))
        for size, draws in SIZES.items():
            n = round(size * SHARE_OF_SIZES)
            made.append((tumour, umis, LARGE if size > 1000 else SMALL, n, size - n, draws))
    seeds = np.random.SeedSequence(seed).spawn(len(made))
    return [Task(*at, child) for at, child in zip(made, seeds, strict=True)]


def table(*, processes: int, seed: int) -> dict[str, pd.DataFrame]:
    """`shares`: per tumour, depth, share and size; `shares_false`: blood cells that were called."""
    all_tasks = tasks(seed)
    verdicts = each(run, all_tasks, processes=processes)
    rows = [_row(task, cells) for task, cells in zip(all_tasks, verdicts, strict=True)]
    false = pd.concat(
        cells[(cells["part"] == "blood") & cells["class"].isin(CALLED)].assign(
            tumour=task.tumour, umis=task.umis, blood=task.blood, size=task.n_tumour + task.n_blood
        )
        for task, cells in zip(all_tasks, verdicts, strict=True)
    )
    return {"shares": pd.DataFrame(rows), "shares_false": false}


def _row(task: Task, cells: pd.DataFrame) -> dict[str, object]:
    is_tumour = cells["part"] == "tumour"
    tumour, blood = cells[is_tumour], cells[~is_tumour]
    named = tumour["class"]
    recall, distinct = float(named.isin(CALLED).mean()), int(tumour["cell"].nunique())
    low, high = clopper_pearson(recall * distinct, distinct, confidence=0.95)
    return {
        "tumour": task.tumour,
        "umis": task.umis,
        "share": round(task.n_tumour / (task.n_tumour + task.n_blood), 2),
        "size": task.n_tumour + task.n_blood,
        "blood": task.blood,
        "draws": task.draws,
        "n_tumour": len(tumour),
        "distinct_tumour": distinct,
        "called": recall,
        "low": low,
        "high": high,
        "with_uncertain": float(named.isin([*CALLED, "uncertain"]).mean()),
        **{name: int((named == name).sum()) for name in (*CALLED, "uncertain")},
        "non-blood other": int((named == "non-blood other").sum()),
        "as_blood": int((named == "blood").sum()),
        "set aside": int((named == "set aside").sum()),
        "n_blood": len(blood),
        "false_calls": int(blood["class"].isin(CALLED).sum()),
    }


def claims(found: dict[str, pd.DataFrame]) -> Iterator[Claim]:
    """The worst kind of sample of each tumour and depth; all others are in the table."""
    rows = found["shares"]
    for (tumour, umis), samples in rows.groupby(["tumour", "umis"], sort=False):
        where = f"{tumour}, {umis} UMI"
        yield _the_same_at_each_share(samples, where)
        for column, promised, name in (
            ("called", LEAST, "CTC or aggregate"),
            ("with_uncertain", LEAST_WITH_UNCERTAIN, "CTC, aggregate or uncertain"),
        ):
            least = promised.get(umis)
            worst = samples.loc[samples[column].idxmin()]
            seen = f"{worst[column]:.4f} of {worst['n_tumour']}, {_sample(worst)}"
            reached = None if least is None else bool(worst[column] >= least)
            yield f"{name}, {where}" + (f" >= {least}" if least else ""), seen, reached
    false, n_blood = int(rows["false_calls"].sum()), int(rows["n_blood"].sum())
    rate = 1e4 * false / n_blood
    low, high = clopper_pearson(false, n_blood, confidence=0.95)
    cells = found["shares_false"][["blood", "cell"]].drop_duplicates().shape[0]
    seen = (
        f"{rate:.2f} ({1e4 * low:.2f} to {1e4 * high:.2f}), {false} of {n_blood} in all draws,"
        f" {cells} distinct cells"
    )
    yield f"false calls per 10,000 blood cells <= {MOST_FALSE:g}", seen, bool(rate <= MOST_FALSE)


def _the_same_at_each_share(samples: pd.DataFrame, where: str) -> Claim:
    """Samples of the smallest share, and how far the others are from them."""
    first = samples[samples["share"] == min(SHARES)].iloc[0]
    others = samples[samples["share"] != min(SHARES)]
    difference = others["called"] - first["called"]
    worst = others.loc[difference.abs().idxmax()]
    seen = (
        f"{first['called']:.4f} ({first['low']:.4f} to {first['high']:.4f}) of"
        f" {first['n_tumour']} at {min(SHARES):.0%}; furthest {worst['called']:.4f}"
        f" ({worst['low']:.4f} to {worst['high']:.4f}), {_sample(worst)}"
    )
    points = f"within {100 * WITHIN:g} points of {min(SHARES):.0%}"
    name = f"CTC or aggregate, {where}: each share {points}"
    return name, seen, bool(difference.abs().max() <= WITHIN)


def _sample(row: pd.Series) -> str:
    return f"{row['share']:.0%} of {row['size']} cells"
