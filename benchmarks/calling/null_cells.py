"""Is p what it says? Share of null cells at or below a level, over the level.

* Real blood, each file alone: the four PBMC files and the control of the ECCITE-seq study. The
  shipped null of blood identity is made anew without the file that is judged (and still is only
  what stands in where the file's own leukocytes are too few).
* Simulated null cells, ten million by default: see `null_model`.

Intervals are exact: binomial for real cells, Poisson for simulated ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from benchmarks.calling import identity_null
from benchmarks.calling.draws import PANEL, Claim, called, each, interval, scored
from benchmarks.calling.null_model import simulated
from benchmarks.calling.real_ctcs import ECCITE, ingested
from benchmarks.samples import BLOOD, REAL, TYPES, measured, tables

from ctcflow.contracts import tables_of
from ctcflow.stats.calls.p_values import garwood

LINES = ("p", "p_identity", "p_panel", "p_copy_number")
"""Which p; copy number is judged in candidates only, which are no random cells: shown."""
REAL_LEVELS = (1e-1, 1e-2, 1e-3)
LEVELS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
PROMISED = {"real": (1e-2, 1e-3), "simulated": (1e-4, 1e-5, 1e-6)}
WITHIN = 3.0
FEWEST_EXPECTED = 5.0
"""Cells expected at a level, below which nothing is judged."""
PER_SAMPLE = 20_000
SOURCES = ("pbmc3k", "pbmc4k", "pbmc1k_v2")
_NOT_NEEDED = ("gene_programs",)  # of `score`: no p comes from them


class Task(NamedTuple):
    """One simulated sample."""

    blood: str
    n_cells: int
    copy_number: bool
    seed: np.random.SeedSequence


def table(
    *, processes: int, seed: int, n_cells: int = 10_000_000, copy_number: bool = True
) -> dict[str, pd.DataFrame]:
    """`null_cells`: observed over nominal, real and simulated; `null_classes` of the simulated."""
    paths = [TYPES.parent / name for name in identity_null.BLOOD]
    files = each(identity_null.measure, paths, processes=processes)
    drawn = identity_null.simulated(TYPES)
    jobs = []
    for name in (*BLOOD.values(), ECCITE):
        others = [
            distances for path, distances in zip(paths, files, strict=True) if path != REAL / name
        ]
        jobs.append((name, identity_null.combined(others, drawn)))
    real = pd.concat(each(of_real, jobs, processes=processes), ignore_index=True)
    sizes = [PER_SAMPLE] * (n_cells // PER_SAMPLE) + [n_cells % PER_SAMPLE] * (
        n_cells % PER_SAMPLE > 0
    )
    seeds = np.random.SeedSequence(seed).spawn(len(sizes))
    tasks = [
        Task(SOURCES[i % len(SOURCES)], size, copy_number, child)
        for i, (size, child) in enumerate(zip(sizes, seeds, strict=True))
    ]
    start = time.perf_counter()
    made = each(of_simulated, tasks, processes=processes)
    per_second = n_cells / (time.perf_counter() - start)
    counts = pd.concat([counts for counts, _ in made], ignore_index=True)
    classes = pd.concat([classes for _, classes in made], ignore_index=True)
    shown = [
        _judged(_pooled(real, "source"), exact=interval_of_share),
        _judged(_pooled(counts, "cells"), exact=interval_of_count),
    ]
    by_class = classes.groupby(["cells", "class"], as_index=False)["n"].sum()
    return {
        "null_cells": pd.concat(shown, ignore_index=True),
        "null_classes": by_class.assign(per_second=per_second),
    }


def of_real(job: tuple[str, pd.DataFrame]) -> pd.DataFrame:
    """Counts of one file, with a null of blood identity that it took no part in."""
    name, null = job
    adata, _ = ingested(name)
    instead = {"identity_null": null}
    checked = measured(adata, instead=instead)
    judged = scored(checked, panel=PANEL, shipped=tables("score", instead))
    cells = called(judged, copy_number=True)
    return _counted(cells, REAL_LEVELS).assign(kind="real", source=name, cells="all")


def of_simulated(task: Task) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Counts and classes of one simulated sample, doublets apart."""
    made = simulated(task.blood, task.n_cells, np.random.default_rng(task.seed))
    left_out = _NOT_NEEDED if task.copy_number else (*_NOT_NEEDED, "genes")
    shipped = dict(zip(tables_of("score"), tables("score"), strict=True))
    step_tables = [rows.iloc[:0] if name in left_out else rows for name, rows in shipped.items()]
    cells = called(scored(made.adata, panel=PANEL, shipped=step_tables), copy_number=True)
    groups = {
        "all": np.ones(len(cells), dtype=bool),
        "single cells": ~made.is_doublet,
        "doublets": made.is_doublet,
        "lysate above 2.5 %": np.full(len(cells), made.lysate > 0.025),
    }
    counts = pd.concat(
        _counted(cells[in_group], LEVELS).assign(kind="simulated", source="all", cells=name)
        for name, in_group in groups.items()
    )
    classes = pd.concat(
        cells.loc[in_group, "class"].value_counts().rename("n").reset_index().assign(cells=name)
        for name, in_group in groups.items()
    )
    return counts, classes


def _counted(cells: pd.DataFrame, levels: tuple[float, ...]) -> pd.DataFrame:
    rows = []
    for line in (line for line in LINES if line in cells):
        p = cells[line].dropna().to_numpy(np.float64)
        rows += [(line, level, int((p <= level).sum()), p.size) for level in levels]
    return pd.DataFrame(rows, columns=["line", "level", "observed", "n"])


def _pooled(counts: pd.DataFrame, over: str) -> pd.DataFrame:
    """Sums over samples; over the files too, where there are several."""
    axes = ["kind", "source", "cells", "line", "level"]
    several = counts[over].nunique() > 1 and over == "source"
    both = [counts, counts.assign(source="all")] if several else [counts]
    summed = pd.concat(both).groupby(axes, sort=False, as_index=False)
    return summed[["observed", "n"]].sum()


def interval_of_share(observed: int, n: int) -> tuple[float, float]:
    return interval(observed / max(n, 1), n)


def interval_of_count(observed: int, n: int) -> tuple[float, float]:
    low, high = garwood(observed, confidence=0.95)
    return low / max(n, 1), high / max(n, 1)


def _judged(counts: pd.DataFrame, *, exact: Callable) -> pd.DataFrame:
    limits = [exact(row.observed, row.n) for row in counts.itertuples()]
    expected = counts["level"] * counts["n"]
    return counts.assign(
        expected=expected,
        ratio=counts["observed"] / expected.where(expected > 0),
        low=[low for low, _ in limits] / counts["level"],
        high=[high for _, high in limits] / counts["level"],
    )


def claims(found: dict[str, pd.DataFrame]) -> Iterator[Claim]:
    rows = found["null_cells"]
    whole = (rows["source"] == "all") & (rows["cells"] == "all")
    # the rest is in the table
    for row in rows[(rows["n"] > 0) & (whole | (rows["line"] == "p"))].to_dict("records"):
        pooled = (row["source"], row["cells"]) == ("all", "all")
        promised = pooled and row["line"] == "p" and row["level"] in PROMISED[row["kind"]]
        judged = promised and row["expected"] >= FEWEST_EXPECTED
        aim = f" within {WITHIN:g} times" if promised else ""
        where = row["source"] if row["kind"] == "real" else row["cells"]
        yield (
            f"{row['kind']} null cells, {where}, {row['line']} <= {row['level']:g}{aim}",
            f"{row['ratio']:.2f} times ({row['low']:.2f} to {row['high']:.2f}),"
            f" {row['observed']} of {row['n']}",
            bool(1 / WITHIN <= row["ratio"] <= WITHIN) if judged else None,
        )
    classes = found["null_classes"]
    seen = classes[classes["cells"] == "all"].set_index("class")["n"]
    shown = ", ".join(f"{n} {name}" for name, n in seen.items())
    yield "classes of simulated null cells", shown, None
    yield "simulated null cells per second", f"{classes['per_second'].iloc[0]:.0f}", None
