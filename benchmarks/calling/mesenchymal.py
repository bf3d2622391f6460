"""Tumour cells without epithelial genes: the aneuploid TNBC cells, the panel's genes set to 0.

1:100 in each blood file, at four depths and as they are; copy number and missing blood identity are
all that is left to call them by. False calls are distinct blood cells over all draws.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from benchmarks.calling.draws import (
    PANEL,
    TNBC,
    WITHOUT,
    Claim,
    blood_source,
    classes,
    each,
    interval,
    tumour_source,
)
from benchmarks.calling.methods import members
from benchmarks.samples import BLOOD, over, sample, thinned

AS_THEY_ARE = 10**9
DEPTHS = (AS_THEY_ARE, 4000, 1500, 600, 300)
RATE = 0.01
LEAST = 0.60
PROMISED = (AS_THEY_ARE, 4000, 1500)
"""Depths at which the promise is judged; the others are shown."""
MOST_FALSE = 8
COUNTED = ("CTC", "uncertain")
ALL_DEPTHS = "all depths"
_GIVEN = (True, False)


class Task(NamedTuple):
    """All draws into one blood file at one depth."""

    blood: str
    umis: int
    most_draws: int
    seed: np.random.SeedSequence


def run(task: Task) -> pd.DataFrame:
    """Class of each tumour cell; of blood cells that were called, which and what."""
    rng = np.random.default_rng(task.seed)
    blood, tumour = blood_source(task.blood), tumour_source(TNBC)
    names = blood.var_names.union(tumour.var_names)
    blood_counts, cells = over(blood, names), over(tumour, names).tolil()
    cells[:, np.flatnonzero(names.isin(members(PANEL)))] = 0
    thin = thinned(cells.tocsr(), task.umis, rng)
    order = rng.permutation(thin.shape[0])
    at_once = max(1, round(blood_counts.shape[0] * RATE))
    rows = []
    for start in range(0, order.size, at_once)[: task.most_draws]:
        chosen = order[start : start + at_once]
        adata = sample({"blood": blood_counts, "tumour": thin[chosen]}, names)
        is_blood = (adata.obs["part"] == "blood").to_numpy()
        cell = np.append(np.arange(blood_counts.shape[0]), chosen)
        for used, verdicts in zip(_GIVEN, classes(adata, copy_number=_GIVEN), strict=True):
            named = verdicts["class"].to_numpy(dtype=object)
            shown = ~is_blood | np.isin(named, [*COUNTED, "CTC aggregate"])
            part = np.where(is_blood, "blood", "tumour")[shown]
            rows.append(pd.DataFrame({"part": part, "cell": cell[shown], "class": named[shown]}))
            rows[-1]["copy_number"] = used
    return pd.concat(rows).assign(blood=task.blood, umis=task.umis)


def table(*, processes: int, seed: int, draws: int = AS_THEY_ARE) -> dict[str, pd.DataFrame]:
    """`mesenchymal`: per depth, blood file and use of copy number; `all` over the files."""
    where = [(blood, umis) for umis in DEPTHS for blood in BLOOD]
    seeds = np.random.SeedSequence(seed).spawn(len(where))
    tasks = [Task(*at, draws, child) for at, child in zip(where, seeds, strict=True)]
    cells = pd.concat(each(run, tasks, processes=processes), ignore_index=True)
    cells = pd.concat([cells, cells.assign(umis=0)])
    rows = []
    for (umis, used), group in cells.groupby(["umis", "copy_number"], sort=False):
        files = dict(iter(group.groupby("blood", sort=False))) | {"all": group}
        rows += [_row(umis, used, blood, part) for blood, part in files.items()]
    return {"mesenchymal": pd.DataFrame(rows)}


def _row(umis: int, used: bool, blood: str, cells: pd.DataFrame) -> dict[str, object]:
    tumour = cells[cells["part"] == "tumour"]
    false = cells[cells["part"] == "blood"].drop_duplicates(["blood", "cell"])
    share = float(tumour["class"].isin(COUNTED).mean())
    low, high = interval(share, tumour["cell"].nunique())
    return {
        "umis": {0: ALL_DEPTHS, AS_THEY_ARE: "as they are"}.get(umis, f"{umis} UMI"),
        "judged": umis in PROMISED,
        "copy_number": used,
        "blood": blood,
        "n_tumour": len(tumour),
        "CTC": float((tumour["class"] == "CTC").mean()),
        "uncertain": float((tumour["class"] == "uncertain").mean()),
        "called": share,
        "low": low,
        "high": high,
        "false_cells": len(false),
    }


def claims(found: dict[str, pd.DataFrame]) -> Iterator[Claim]:
    rows = found["mesenchymal"]
    for row in rows[rows["blood"] == "all"].to_dict("records"):
        tail = "" if row["copy_number"] else WITHOUT
        if row["umis"] == ALL_DEPTHS:
            seen = f"{row['false_cells']} distinct PBMC"
            name = f"false calls beside cells without epithelial genes{tail} <= {MOST_FALSE}"
            yield name, seen, bool(row["false_cells"] <= MOST_FALSE)
            continue
        seen = f"{row['called']:.4f} ({row['low']:.4f} to {row['high']:.4f}), CTC {row['CTC']:.4f}"
        # without copy number nothing was promised
        judged = row["judged"] and row["copy_number"]
        reached = bool(row["called"] >= LEAST) if judged else None
        yield f"cells without epithelial genes, {row['umis']}{tail} >= {LEAST}", seen, reached
