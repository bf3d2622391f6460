"""Tumours and normal cells of many tissues in real blood, one kind at a time.

30 cells of a kind in 950 leukocytes, as they are (thinned to 10,000 counts) and at 600 counts. No
tumour is in the reference of normal cells. A normal kind is judged by a reference without its
tissue, as a tissue is that the reference never saw; of breast there is none to leave out. The null
of stroma (`identity_null.tsv`) is the shipped one all the same. Tumours of no epithelium are judged
with the panel of their cancer too, since the first of all panels is of no use to them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from benchmarks.calling import identity_null, normal_profiles
from benchmarks.calling.draws import Claim, called, each, everyone, interval, scored
from benchmarks.samples import (
    BLOOD,
    REAL,
    REPOSITORY,
    TYPES,
    measured,
    over,
    sample,
    tables,
    thinned,
)

from ctcflow.evidence.classes import ANEUPLOID, CLASSES, DIPLOID, NOT_SEEN
from ctcflow.files import io
from ctcflow.files.tables import SHIPPED
from ctcflow.settings.sample_params import IngestParams
from ctcflow.steps.ingest import ingest

ALL_PANELS = "auto"
OWN_DEPTH = 10_000
DEPTHS = (OWN_DEPTH, 600)
BLOODS = {
    "pbmc1k_v2": REAL / BLOOD["pbmc1k_v2"],
    "CITE-seq": TYPES / "blood_PBMC_Hao2021_or_Kotliarov_SPECK_1000.h5ad",
}
CALLED = ("CTC", "CTC aggregate")
SAID = (ANEUPLOID, DIPLOID, NOT_SEEN)
LEAST_CARCINOMA = {OWN_DEPTH: 0.98, 600: 0.92}
LEAST_WITH_PANEL, LEAST_WITHOUT = 0.90, 0.98
MOST_BLOOD = 0.01
MOST_ANEUPLOID = 0.02
MOST_FALSE = 1.0
"""False calls per 10,000 blood cells."""
LEFT_OUT = {"skin": ("Skin_HCA",), "pancreas": ("Pancreas_Baron", "Pancreas_HCA"), "breast": ()}
"""Studies that the reference goes without when it judges a tissue."""
NOTHING = "nothing"


class Kind(NamedTuple):
    """Cells of one file whose label holds a word, and what was promised of them."""

    file: str
    word: str
    panel: str = ""
    """Of the own cancer, for tumours of no epithelium."""
    tissue: str = ""
    """Of normal cells."""
    most: float | None = None
    """Largest share of normal cells that may be called; None: nothing was promised."""


_CIM = "lines_CIMseq_A375_HCT116_HOS_smartseq2"
_LUNG = "lung_5lines_sc_mixology_celseq2_p1p2"
_SKIN = "skin_healthy_GSE128531_3donors"
_PANCREAS = "pancreas_normal_Baron_human_175_inDrop"
_BREAST = "breast_normal_Komen_GTEx_260_SCdeconR"
KINDS = {
    "A375 melanoma": Kind(_CIM, "A375", "melanoma"),
    "HCT116 colorectal": Kind(_CIM, "HCT116"),
    "HOS osteosarcoma": Kind(_CIM, "HOS", "sarcoma"),
    "NGP neuroblastoma": Kind("neuroblastoma_NGP_C1", "vehicle", "neuroendocrine"),
    "MLS liposarcoma": Kind("sarcoma_MLS_myxoid_liposarcoma_line", "MLS", "sarcoma"),
    **{f"{line} lung": Kind(_LUNG, line) for line in ("A549", "H838", "H1975", "H2228", "HCC827")},
    "keratinocyte basal": Kind(_SKIN, "keratinocyte basal", tissue="skin", most=0.10),
    "keratinocyte suprabasal": Kind(_SKIN, "suprabasal", tissue="skin", most=0.10),
    "skin fibroblast": Kind(_SKIN, "fibroblast", tissue="skin", most=0.02),
    "skin endothelial": Kind(_SKIN, "endothelial", tissue="skin", most=0.02),
    "skin pericyte": Kind(_SKIN, "pericyte", tissue="skin", most=0.02),
    "sweat gland": Kind(_SKIN, "sweat", tissue="skin"),
    "Schwann": Kind(_SKIN, "Schwann", tissue="skin", most=0.02),
    "mast": Kind(_SKIN, "mast", tissue="skin", most=0.001),
    "alpha": Kind(_PANCREAS, "alpha", tissue="pancreas"),
    "beta": Kind(_PANCREAS, "beta", tissue="pancreas"),
    "delta": Kind(_PANCREAS, "delta", tissue="pancreas"),
    "stellate": Kind(_PANCREAS, "stellate", tissue="pancreas", most=0.02),
    "macrophage": Kind(_PANCREAS, "macrophage", tissue="pancreas", most=0.001),
    "breast epithelium": Kind(_BREAST, "Epithelial cells (Komen", tissue="breast"),
    "breast endothelial": Kind(_BREAST, "Endothelial cells (Komen", tissue="breast", most=0.02),
    "breast fibroblast": Kind(_BREAST, "Fibroblast (Komen", tissue="breast", most=0.02),
    "breast pericyte": Kind(_BREAST, "Pericytes (Komen", tissue="breast", most=0.02),
    "adipocyte": Kind(_BREAST, "Adipocyte (GTEx", tissue="breast", most=0.02),
}


class Task(NamedTuple):
    """One draw."""

    kind: str
    umis: int
    blood: str
    n_cells: int
    n_blood: int
    seed: np.random.SeedSequence


@lru_cache
def cells_of(file: str) -> ad.AnnData:
    """A file of `types/` with symbols; obs `label`."""
    cells = ad.read_h5ad(TYPES / f"{file}.h5ad")
    cells.obs_names_make_unique()
    if cells.var_names[0].startswith("ENSG"):
        genes = io.read_table(REPOSITORY / "resources" / SHIPPED["genes"])
        labels = cells.obs["label"].astype(str)
        cells = ingest(cells, genes, params=IngestParams())
        cells.obs["label"] = labels.reindex(cells.obs_names).to_numpy(dtype=object)
    cells.X = sp.csr_matrix(cells.X).astype(np.int64)
    return cells[:, ~cells.var_names.duplicated()].copy()


@lru_cache
def blood_of(name: str) -> ad.AnnData:
    blood = ad.read_h5ad(BLOODS[name])
    blood.X = sp.csr_matrix(blood.X).astype(np.int64)
    return blood[:, ~blood.var_names.duplicated()].copy()


@lru_cache
def reference_without(studies: tuple[str, ...]) -> dict[str, pd.DataFrame]:
    """The tables of normal cells without some studies; nothing where none is left out.

    Raises
    ------
    KeyError
        No profile is of such a study: nothing would be left out.
    """
    if not studies:
        return {}
    rates, kinds = identity_null.author_profiles(TYPES)
    unknown = sorted(set(studies) - set(kinds["tissue"]))
    if unknown:
        raise KeyError(f"no profile of {', '.join(unknown)}")
    profiles, types = normal_profiles.condensed(rates, kinds, studies)[:2]
    return {"normal_profiles": profiles, "normal_types": types}


def run(task: Task) -> pd.DataFrame:
    """One row per droplet and panel: `part`, `cell`, what `call` says of it."""
    kind, rng = KINDS[task.kind], np.random.default_rng(task.seed)
    source, blood = cells_of(kind.file), blood_of(task.blood)
    of_kind = np.flatnonzero(source.obs["label"].astype(str).str.contains(kind.word, regex=False))
    of_kind = rng.permutation(of_kind)[: task.n_cells]
    beside = rng.permutation(blood.n_obs)[: task.n_blood]
    names = blood.var_names.union(source.var_names)
    cells = thinned(over(source[of_kind], names), task.umis, rng)
    left_out = LEFT_OUT.get(kind.tissue, ())
    instead = reference_without(left_out)
    adata = sample({"blood": over(blood[beside], names), "kind": cells}, names)
    checked = measured(adata, instead=instead)
    rows = []
    for panel in (ALL_PANELS, kind.panel) if kind.panel else (ALL_PANELS,):
        judged = scored(checked, panel=panel, shipped=tables("score", instead))
        verdicts = everyone(called(judged, copy_number=True), checked)
        part = verdicts.index.str.rsplit("_", n=1).str[0]
        cell = np.concatenate([blood.obs_names[beside], source.obs_names[of_kind]])
        rows.append(verdicts.assign(part=part, cell=cell, panel=panel))
    where = {"kind": task.kind, "umis": task.umis, "blood_file": task.blood}
    return pd.concat(rows).assign(**where, left_out=", ".join(left_out) or NOTHING)


def table(*, processes: int, seed: int) -> dict[str, pd.DataFrame]:
    """`tissues`; `tissues_cells`: what was said of each cell, and of blood that was called."""
    where = list(product(KINDS, DEPTHS, BLOODS))
    seeds = np.random.SeedSequence(seed).spawn(len(where))
    tasks = [Task(*at, 30, 950, child) for at, child in zip(where, seeds, strict=True)]
    tables_of_tasks = each(run, tasks, processes=processes)
    by = ["kind", "umis", "blood_file", "panel", "left_out"]
    rows = [
        dict(zip(by, key, strict=True)) | summary(cells)
        for verdicts in tables_of_tasks
        for key, cells in verdicts.groupby(by, sort=False)
    ]
    shown = [
        "class",
        "reason",
        "malignancy",
        "lineage",
        "other_type",
        "total_counts",
        "tumour_panel",
    ]
    shown += ["p_identity", "p_panel", "n_panel_genes", "panel_genes", "p_copy_number", "p_stroma"]
    told = [
        verdicts[(verdicts["part"] == "kind") | verdicts["class"].isin(CALLED)]
        for verdicts in tables_of_tasks
    ]
    cells = pd.concat(told)[[*by, "part", "cell", *shown]]
    return {"tissues": pd.DataFrame(rows), "tissues_cells": cells}


def summary(cells: pd.DataFrame) -> dict[str, object]:
    """Classes of the cells of a kind, and of the blood beside them how many are called."""
    of_kind, blood = cells[cells["part"] == "kind"], cells[cells["part"] == "blood"]
    named, n = of_kind["class"], len(of_kind)
    is_called = named.isin(CALLED)
    share = float(is_called.mean())
    low, high = interval(share, n)
    malignancy = of_kind.loc[is_called, "malignancy"]
    return {
        "n": n,
        **{name: int((named == name).sum()) for name in (*CLASSES, "set aside")},
        "called": share,
        "low": low,
        "high": high,
        **{name: int((malignancy == name).sum()) for name in SAID},
        "n_blood": len(blood),
        "false_calls": int(blood["class"].isin(CALLED).sum()),
    }


def claims(found: dict[str, pd.DataFrame]) -> Iterator[Claim]:
    """Both blood files together; each is in the table."""
    rows = found["tissues"]
    for name, kind in KINDS.items():
        for umis in DEPTHS:
            of_kind = rows[(rows["kind"] == name) & (rows["umis"] == umis)]
            where = f"{name}, " + ("own depth" if umis == OWN_DEPTH else f"{umis} UMI")
            for panel, told in of_kind.groupby("panel", sort=False):
                if kind.tissue:
                    yield _of_normal(told, where, kind.most)
                else:
                    yield from _of_tumour(told, f"{where}, panel {panel}", kind, umis)
        if kind.tissue and kind.most is None:
            yield _of_aneuploid(rows[rows["kind"] == name], name)
    yield _of_blood(rows, found["tissues_cells"])


def _of_tumour(rows: pd.DataFrame, where: str, kind: Kind, umis: int) -> Iterator[Claim]:
    counted: tuple[str, ...]
    counted, what = CALLED, "CTC or aggregate"
    least: float | None = LEAST_CARCINOMA[umis]
    if kind.panel and (rows["panel"] == ALL_PANELS).all():
        counted, what, least = (*CALLED, "uncertain"), "CTC, aggregate or uncertain", LEAST_WITHOUT
    elif kind.panel:
        least = LEAST_WITH_PANEL if umis == OWN_DEPTH else None
    share, seen = _share(rows, counted)
    aim = "" if least is None else f" >= {least}"
    reached = None if least is None else bool(share >= least)
    yield f"{what}: {where}{aim}", f"{seen}: {_all(rows)}", reached
    share, seen = _share(rows, ("blood",))
    yield f"blood: {where} <= {MOST_BLOOD}", seen, bool(share <= MOST_BLOOD)


def _of_normal(rows: pd.DataFrame, where: str, most: float | None) -> Claim:
    share, seen = _share(rows, CALLED)
    aim = "" if most is None else f" <= {most}"
    reached = None if most is None else bool(share <= most)
    without = rows["left_out"].iloc[0]
    judge = "whole reference" if without == NOTHING else f"reference without {without}"
    return f"called CTC or aggregate: {where}, {judge}{aim}", f"{seen}: {_all(rows)}", reached


def _of_aneuploid(rows: pd.DataFrame, name: str) -> Claim:
    share, seen = _share(rows, (ANEUPLOID,))
    return (
        f"called aneuploid: {name}, both depths <= {MOST_ANEUPLOID}",
        seen,
        bool(share <= MOST_ANEUPLOID),
    )


def _of_blood(rows: pd.DataFrame, cells: pd.DataFrame) -> Claim:
    false, n_blood = int(rows["false_calls"].sum()), int(rows["n_blood"].sum())
    low, high = (1e4 * limit for limit in interval(false / n_blood, n_blood))
    distinct = cells[cells["part"] == "blood"][["blood_file", "cell"]].drop_duplicates().shape[0]
    rate = 1e4 * false / n_blood
    seen = (
        f"{rate:.2f} ({low:.2f} to {high:.2f}), {false} of {n_blood} in all draws,"
        f" {distinct} distinct cells"
    )
    return f"false calls per 10,000 blood cells <= {MOST_FALSE:g}", seen, bool(rate <= MOST_FALSE)


def _share(rows: pd.DataFrame, columns: tuple[str, ...]) -> tuple[float, str]:
    n = int(rows["n"].sum())
    share = float(rows[list(columns)].to_numpy().sum() / n)
    low, high = interval(share, n)
    return share, f"{share:.4f} ({low:.4f} to {high:.4f}) of {n}"


def _all(rows: pd.DataFrame) -> str:
    """Cells of each class, and of the calls, what copy number says."""
    total = rows[[*CLASSES, "set aside", *SAID]].sum()
    shown = [f"{total[name]} {name}" for name in (*CLASSES, "set aside") if total[name]]
    malignancies = [f"{total[name]} {name}" for name in SAID if total[name]]
    return ", ".join(shown) + (f" (calls: {', '.join(malignancies)})" if malignancies else "")
