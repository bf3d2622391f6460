"""Cells that are not blood and no tumour, simulated from programmes that `score` does not ship.

A cell is housekeeping RNA (per gene the smaller of its shares in blood and in breast cancer, so
that what is special to either is missing), a programme of its type at log-normal levels (30 to 45 %
of its counts; new levels in every draw), gamma noise between cells, and 5 % ambient RNA of the
blood. The programmes (`other_type_programmes.tsv`) were put together by hand from markers that the
named papers describe, keratinocytes with their keratins; no copy number is changed. Depth is
log-normal, median 2,000, 300 to 10,000 counts. 50 cells per draw in pbmc3k and pbmc4k, some 2 %.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp
from benchmarks.calling.draws import (
    PANEL,
    TNBC,
    Claim,
    blood_source,
    classes,
    each,
    interval,
    tumour_source,
)
from benchmarks.calling.methods import members
from benchmarks.samples import REPOSITORY, over, sample

from ctcflow.evidence.classes import CLASSES
from ctcflow.files import io
from ctcflow.files.tables import SHIPPED

Floats = npt.NDArray[np.float64]

PROGRAMMES = Path(__file__).with_name("other_type_programmes.tsv")
BLOOD = ("pbmc3k", "pbmc4k")
PER_DRAW = 50
MOST_CTC = 0.005
MOST_CTC_OF = {"keratinocyte": 0.05}
"""Keratinocytes show the keratins of carcinomas."""
_LEVEL_SD, _NOISE_SHAPE = 1.0, 6.0
_PROGRAMME = (0.30, 0.45)
_AMBIENT = 0.05
_DEPTH, _DEPTH_SD, _DEPTHS = 2000.0, 0.8, (300.0, 10_000.0)


class Task(NamedTuple):
    """One draw."""

    kind: str
    blood: str
    n_cells: int
    seed: np.random.SeedSequence


def housekeeping(names: pd.Index) -> Floats:
    """Share per gene that blood and breast cancer have in common."""
    shares = []
    for adata in (blood_source("pbmc3k"), tumour_source(TNBC)):
        total = np.asarray(over(adata, names).sum(axis=0), dtype=np.float64).ravel()
        shares.append(total / total.sum())
    common = np.minimum(*shares)
    return common / common.sum()


def simulated(
    kind: str, n_cells: int, names: pd.Index, ambient: Floats, rng: np.random.Generator
) -> sp.csr_matrix:
    """Counts of cells of one type."""
    table = io.read_table(PROGRAMMES)
    table = table[table["type"] == kind]
    programme = np.zeros(names.size)
    levels = table["weight"].astype(float) * rng.lognormal(0.0, _LEVEL_SD, len(table))
    programme[names.get_indexer(table["gene"])] = levels
    share = rng.uniform(*_PROGRAMME, n_cells)[:, None]
    expressed = (1 - share) * housekeeping(names) + share * programme / programme.sum()
    expressed *= rng.gamma(_NOISE_SHAPE, 1 / _NOISE_SHAPE, expressed.shape)
    profile = (1 - _AMBIENT) * expressed / expressed.sum(axis=1, keepdims=True) + _AMBIENT * ambient
    depth = np.clip(_DEPTH * rng.lognormal(0.0, _DEPTH_SD, n_cells), *_DEPTHS)
    return sp.csr_matrix(rng.poisson(depth[:, None] * profile).astype(np.int32))


def run(task: Task) -> pd.DataFrame:
    """Class of each simulated cell, and of the blood beside it, with and without copy number."""
    blood = blood_source(task.blood)
    genes = pd.Index(io.read_table(PROGRAMMES)["gene"].unique())
    names = blood.var_names.union(tumour_source(TNBC).var_names).union(genes)
    blood_counts = over(blood, names)
    ambient = np.asarray(blood_counts.sum(axis=0), dtype=np.float64).ravel()
    rng = np.random.default_rng(task.seed)
    cells = simulated(task.kind, task.n_cells, names, ambient / ambient.sum(), rng)
    with_copy_number = (True, False)
    rows = []
    for used, verdicts in zip(
        with_copy_number,
        classes(
            sample({"blood": blood_counts, task.kind: cells}, names), copy_number=with_copy_number
        ),
        strict=True,
    ):
        part = verdicts.index.str.rsplit("_", n=1).str[0]
        counted = verdicts.groupby([part, "class"]).size().rename("cells").reset_index()
        counted = counted.set_axis(["cells_are", "class", "cells"], axis=1)
        rows.append(counted.assign(drawn=task.kind, sample=task.blood, copy_number=used))
    return pd.concat(rows)


def table(*, processes: int, seed: int, n_cells: int = 2000) -> dict[str, pd.DataFrame]:
    """`other_types`: classes per type, in each blood and together; `other_types_programmes`."""
    kinds = list(io.read_table(PROGRAMMES)["type"].unique())
    per_kind = range(0, n_cells, PER_DRAW)
    where = [(kind, start) for kind in kinds for start in per_kind]
    seeds = np.random.SeedSequence(seed).spawn(len(where))
    tasks = [
        Task(kind, BLOOD[start // PER_DRAW % 2], min(PER_DRAW, n_cells - start), child)
        for (kind, start), child in zip(where, seeds, strict=True)
    ]
    cells = pd.concat(each(run, tasks, processes=processes))
    cells = pd.concat([cells, cells.assign(sample="all")])
    axes = ["drawn", "cells_are", "sample", "copy_number"]
    wide = cells.pivot_table(
        index=axes, columns="class", values="cells", aggfunc="sum", fill_value=0
    ).reset_index()
    return {"other_types": wide, "other_types_programmes": marked()}


def marked() -> pd.DataFrame:
    """The programmes, and which shipped sets have a gene of them."""
    programmes = io.read_table(PROGRAMMES)
    shipped = io.read_table(REPOSITORY / "resources" / SHIPPED["cell_types"])
    shipped = shipped.loc[shipped["direction"].astype(int) == 1, ["gene", "set"]]
    panel = pd.DataFrame({"gene": members(PANEL), "set": PANEL})
    sets = pd.concat([shipped, panel]).groupby("gene")["set"].agg(";".join)
    return programmes.assign(shipped=sets.reindex(programmes["gene"]).fillna("").to_numpy())


def claims(found: dict[str, pd.DataFrame]) -> Iterator[Claim]:
    for kind, genes in found["other_types_programmes"].groupby("type", sort=False):
        new = int((genes["shipped"] == "").sum())
        name = f"{kind}: programme genes that no shipped set has"
        yield name, f"{new} of {len(genes)}", new > len(genes) / 2
    wide = found["other_types"]
    names = [name for name in (*CLASSES, "set aside") if name in wide]
    of_type = wide[(wide["cells_are"] == wide["drawn"]) & (wide["sample"] == "all")]
    for row in of_type.to_dict("records"):
        n = sum(row[name] for name in names)
        ctc = row.get("CTC", 0) / n
        low, high = interval(ctc, n)
        rest = ", ".join(f"{row[name] / n:.3f} {name}" for name in names if name != "CTC")
        most = MOST_CTC_OF.get(row["drawn"], MOST_CTC)
        tail = "" if row["copy_number"] else " without copy number"
        seen = f"{ctc:.4f} ({low:.4f} to {high:.4f}) of {n}; {rest}"
        yield f"{row['drawn']}s called CTC{tail} < {most}", seen, bool(ctc < most)
