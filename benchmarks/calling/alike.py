"""Are the p of cells that are judged together honest? Groups of leukocytes in healthy blood.

Groups are chosen from the counts that they are judged by, so that their p may be too small. Three
choices, from what `score` never does to what it does: all leukocytes, the twentieth of them with
the smallest p of their own, and those that `score` asks (p at or below 0.01). Each as the files
are, and thinned to 600 counts. p of identity of groups that were chosen by it is far too small,
which is why `call` lets a group weaken that line of a cell only; p of the panel has to hold.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from benchmarks.calling.draws import Claim, blood_source, each
from benchmarks.samples import BLOOD, measured, over, sample, tables, thinned

from ctcflow import keys
from ctcflow.contracts import tables_of
from ctcflow.evidence.look import Looked, Sample, Settings, Shipped, look
from ctcflow.settings.sample_params import ScoreParams
from ctcflow.stats.calls.p_values import clopper_pearson
from ctcflow.stats.counts.content import content_order
from ctcflow.stats.thresholds import MISSING_P

Bools = npt.NDArray[np.bool_]
DEPTHS = (10_000, 600)
LEVELS = (1e-2, 1e-3, 1e-4)
CHOSEN = ("all leukocytes", "smallest twentieth", "asked by score")
MOST_TIMES = 3.0
"""Times the claimed share, of groups that were not chosen by this p."""


class Task(NamedTuple):
    """One blood file at one depth."""

    blood: str
    umis: int
    seed: np.random.SeedSequence


def looked_at(task: Task) -> Looked:
    """Blood identity, panels and normal tissue of a blood file, its cells as `qc` kept them."""
    blood = blood_source(task.blood)
    cells = thinned(over(blood, blood.var_names), task.umis, np.random.default_rng(task.seed))
    checked = measured(sample({"blood": cells}, blood.var_names))
    kept = checked[checked.obs["keep"].to_numpy(dtype=bool)]
    names = kept.var_names.to_numpy(dtype=object)
    kept = kept[content_order(kept.X.tocsr(), names=names)]
    table_of = dict(zip(tables_of("score"), tables("score"), strict=True))
    panels = table_of["panels"][table_of["panels"]["direction"] == 1].groupby("set", sort=False)[
        "gene"
    ]
    share = json.loads(str(kept.uns[keys.QC.key]))["ambient"]["share"]
    params = ScoreParams()
    return look(
        Sample(
            kept.X.tocsr(),
            genes=kept.var_names.to_numpy(dtype=object),
            soup=None if share is None else kept.var[keys.AMBIENT_PROFILE.key].to_numpy(np.float64),
            ambient_share=share or 0.0,
            are_molecules=True,
        ),
        panels={str(name): frozenset(genes) for name, genes in panels},
        shipped=Shipped(
            table_of["normal_profiles"],
            table_of["normal_types"],
            table_of["background"],
            table_of["identity_null"],
            table_of["technical"],
            table_of["genes"],
            table_of["rates"],
            table_of["cell_types"],
        ),
        settings=Settings(
            fewest=params.min_leukocytes,
            weight=params.prior_umis,
            fewest_of_lineage=params.min_reference,
            seed=0,
            n_threads=1,
        ),
    )


def chosen(lines: Looked, which: str) -> Bools:
    """Cells that are asked."""
    p = lines.blood.p
    if which == CHOSEN[0]:
        return lines.blood.is_leukocyte
    if which == CHOSEN[1]:
        return np.asarray(lines.blood.is_leukocyte & (p <= np.quantile(p, 0.05)))
    return np.asarray(lines.roles.candidates & (p <= MISSING_P))


def run(task: Task) -> pd.DataFrame:
    """One row per choice: groups, and how many of them reach each level."""
    lines = looked_at(task)
    rows = []
    for which in CHOSEN:
        asked = chosen(lines, which)
        groups = lines.judge.together(
            lines.sample.counts.astype(np.float64), asked=asked, n_threads=1
        )
        row = {"blood": task.blood, "umis": task.umis, "chosen": which, "cells": int(asked.sum())}
        row |= {
            "groups": groups.rows.size,
            "looks like blood": int((groups.tissue.over_blood < 0).sum()),
        }
        for name, p in (("identity", groups.p_identity), ("panel", groups.panels.p)):
            row |= {f"{name} {level:g}": int((p <= level).sum()) for level in LEVELS}
        rows.append(row)
    return pd.DataFrame(rows)


def table(*, processes: int, seed: int) -> dict[str, pd.DataFrame]:
    """`alike`: per blood file, depth and choice."""
    where = list(product(BLOOD, DEPTHS))
    seeds = np.random.SeedSequence(seed).spawn(len(where))
    tasks = [Task(*at, child) for at, child in zip(where, seeds, strict=True)]
    return {"alike": pd.concat(each(run, tasks, processes=processes), ignore_index=True)}


def claims(found: dict[str, pd.DataFrame]) -> Iterator[Claim]:
    """All files together, per choice."""
    for which, rows in found["alike"].groupby("chosen", sort=False):
        n = int(rows["groups"].sum())
        for name in ("identity", "panel"):
            for level in LEVELS:
                k = int(rows[f"{name} {level:g}"].sum())
                low, high = clopper_pearson(k, n, confidence=0.95) if n else (0.0, 1.0)
                share = k / n if n else 0.0
                sentence = (
                    f"{share / level:.2f} times the level: {k} of {n} ({low:.4f} to {high:.4f})"
                )
                held = None
                if name == "panel" or which == CHOSEN[0]:
                    held = bool(share <= MOST_TIMES * level)
                yield f"groups of {which}, p of {name} at {level:g}", sentence, held
