"""One real blood file left out of a cohort, mapped onto it, and compared with a full re-run.

pbmc1k_v2, pbmc3k and pbmc4k are the reference (two chemistries and three donors); pbmc1k_v3 is the
new sample, with 40 cells of a triple-negative breast cancer thinned to 2,000 counts in it. Both
runs go through the command line. Labels are compared by the name of the cell type. Two more
are then held out in turn, and compared with the same full run; pbmc3k is published without genes of
few cells. What a file without its rare genes keeps of its types is measured on it and on the new
sample. A file of another study
(GSE126310: another donor with many effector CD8 T cells, no chemistry of the four) is mapped onto
all four and compared with a run of all five: what is to be expected of a sample that the reference
does not resemble.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import anndata as ad
import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp
from benchmarks.samples import BLOOD, over, read, sample, thinned, tumour_cells

from ctcflow import cli
from ctcflow.files import bundle, sample_files
from ctcflow.settings.params import ProjectParams
from ctcflow.stats.counts.moments import log_normalised
from ctcflow.stats.embedding import symphony
from ctcflow.steps.project import project

Claim = tuple[str, str, bool | None]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

NEW = "pbmc1k_v3"
OLD = ("pbmc1k_v2", "pbmc3k", "pbmc4k")
LEAST_SAME, LEAST_AUROC = 0.97, 0.99
IN_TURN = (NEW, "pbmc1k_v2", "pbmc4k")
OTHER_STUDY = "eccite"
OTHER_FILE, OTHER_PREFIX = "cite_eccite_pbmc_control_RNA_ADT_HTO.h5ad", "hg19_"
N_TUMOUR, DEPTH = 40, 2000
SAMPLE_STEPS = ("ingest", "qc", "normalize", "score")


class Runs(NamedTuple):
    """Where the files are."""

    folder: Path
    bundle: Path
    full: Path | None
    """`cohort.h5ad` of the run of all samples."""
    new: str = NEW
    """The sample that the reference does not have."""


def counts(name: str, seed: int) -> ad.AnnData:
    """Counts of a sample; the new one has tumour cells in it (`tumour_0` ...)."""
    if name == OTHER_STUDY:
        other = read(OTHER_FILE)
        return sample({"blood": other.X}, other.var_names.str.removeprefix(OTHER_PREFIX))
    blood = read(BLOOD[name])
    if name != NEW:
        return sample({"blood": blood.X}, blood.var_names)
    tumour = tumour_cells()
    names = blood.var_names.union(tumour.var_names)
    rng = np.random.default_rng(seed)
    thin = thinned(over(tumour, names), DEPTH, rng)
    chosen = rng.permutation(tumour.n_obs)[:N_TUMOUR]
    return sample({"blood": over(blood, names), "tumour": thin[chosen]}, names)


def step(name: str, out: Sequence[str], inputs: Sequence[str], samples: Sequence[str] = ()) -> None:
    argv = [name, "--in", *inputs, "--out", *out, "--threads", "2"]
    row = [pair for pair in inputs if pair.startswith("data=")]
    if row:
        named = Path(row[0]).stem
        meta = {"sample": named, "patient": named, "draw": named, "batch": named}
        argv += ["--row", json.dumps(meta | {"role": "healthy", "extra": {}})]
    if cli.main([*argv, "--samples", *samples] if samples else argv) != 0:
        raise SystemExit(f"step {name} was refused")


def measured(folder: Path, name: str, seed: int) -> None:
    """`ingest` to `score` of one sample."""
    data = folder / "data" / f"{name}.h5ad"
    data.parent.mkdir(parents=True, exist_ok=True)
    counts(name, seed).write_h5ad(data)
    files = {done: f"{folder}/{done}/{name}.h5ad" for done in SAMPLE_STEPS}
    needs = {"ingest": (), "qc": ("ingest",)}
    for done in SAMPLE_STEPS:
        inputs = [f"{need}={files[need]}" for need in needs.get(done, ("ingest", "qc"))]
        inputs += [f"data={data}"] if done == "ingest" else []
        step(done, [f"adata={files[done]}"], inputs)


def cohort(folder: Path, name: str, samples: Sequence[str]) -> Path:
    """`call` to `cluster`; the folder of the run."""
    run = folder / name
    of_all = [f"{done}={folder}/{done}/{{sample}}.h5ad" for done in ("ingest", "qc", "normalize")]
    scored = [f"{done}={folder}/{done}/{{sample}}.h5ad" for done in ("qc", "score")]
    files = {done: f"{done}={run}/{done}.h5ad" for done in ("reduce", "call", "integrate")}
    step("call", [f"adata={run}/call.h5ad"], scored, samples)
    step("reduce", [f"adata={run}/reduce.h5ad"], of_all, samples)
    step("integrate", [f"adata={run}/integrate.h5ad"], [files["reduce"], files["call"]])
    step("cluster", [f"adata={run}/cohort.h5ad"], [*files.values(), *of_all], samples)
    return run


def runs(folder: Path, *, seed: int, old: Sequence[str] = OLD, full: bool = True) -> Runs:
    """Freeze the old samples, and run all of them together if asked."""
    for name in (*old, NEW):
        measured(folder, name, seed)
    frozen = reference(folder, "old", old)
    both = cohort(folder, "all", (*old, NEW)) / "cohort.h5ad" if full else None
    return Runs(folder, frozen, both)


def reference(folder: Path, name: str, samples: Sequence[str]) -> Path:
    """Run a cohort and freeze it."""
    run = cohort(folder, name, samples)
    inputs = [f"cluster={run}/cohort.h5ad", f"call={run}/call.h5ad"]
    step("freeze", [f"folder={run}/freeze"], inputs)
    return run / "freeze" / "reference.zip"


def new_sample(found: Runs, *, lognorm: bool = True) -> ad.AnnData:
    files = {done: found.folder / done / f"{found.new}.h5ad" for done in SAMPLE_STEPS}
    return sample_files.load_sample(files, kept=True, lognorm=lognorm, corrected=True)


def mapped(found: Runs) -> ad.AnnData:
    """The new sample as `project` leaves it."""
    return project(new_sample(found), bundle.read(found.bundle), params=ProjectParams())


def without_genes(found: Runs, left_out: Callable[[ad.AnnData], Bools]) -> tuple[float, float]:
    """Map the new sample without some genes.

    Returns
    -------
    Share of the reference's genes that lack, and of the cells that keep their type.
    """
    cells, frozen = new_sample(found), bundle.read(found.bundle)
    whole = project(cells.copy(), frozen, params=ProjectParams()).obs["cell_type"].astype(str)
    part = project(cells[:, ~left_out(cells)].copy(), frozen, params=ProjectParams())
    record = json.loads(str(part.uns["project"]))
    same = (part.obs["cell_type"].astype(str) == whole).mean()
    return record["missing_genes"] / record["genes"], float(same)


def rare_genes(adata: ad.AnnData) -> Bools:
    """Genes of fewer than ten cells, which many published matrices lack."""
    return np.asarray((adata.X > 0).sum(axis=0)).ravel() < 10


def is_tumour(adata: ad.AnnData) -> Bools:
    return np.asarray(adata.obs_names.str.startswith("tumour"), dtype=np.bool_)


def at_depth(found: Runs, depth: int, seed: int) -> tuple[float, float]:
    """AUROC of all tumour cells against the blood of the new sample, both of this depth."""
    sparse_counts = new_sample(found, lognorm=False)
    blood = sparse_counts[~is_tumour(sparse_counts)]
    rng = np.random.default_rng(seed)
    tumour = thinned(over(tumour_cells(), blood.var_names), depth, rng)
    thin = sp.vstack([thinned(blood.X.tocsr().astype(np.int64), depth, rng), tumour]).tocsr()
    totals = np.asarray(thin.sum(axis=1), dtype=np.float64).ravel()
    names = [*blood.obs_names, *(f"tumour_{k}" for k in range(tumour.shape[0]))]
    obs = blood.obs[["is_leukocyte", "lineage"]].astype(object).reindex(names)
    obs["is_leukocyte"] = (obs["is_leukocyte"] == True).to_numpy(bool)  # noqa: E712
    obs["total_counts"] = totals
    values = log_normalised(thin, size_factors=totals / 10_000).astype(np.float32)
    adata = ad.AnnData(values, obs=obs, var=blood.var[[]], uns={"ctcflow": blood.uns["ctcflow"]})
    result = project(adata, bundle.read(found.bundle), params=ProjectParams())
    score = result.obs["novelty"].to_numpy(np.float64)
    new = is_tumour(result)
    return auroc(score, new), float((score[~new] > 1).mean())


def auroc(score: Floats, positive: Bools) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(positive, score))


def mahalanobis(result: ad.AnnData, reference: bundle.Reference) -> Floats:
    """Kang 2021's distance: per soft cluster of the reference, weighted by membership."""
    frozen = reference.embedding.astype(np.float64)
    points = np.asarray(result.obsm["X_integrated"], dtype=np.float64)
    membership = symphony.memberships(
        np.asarray(result.obsm["X_pca"], dtype=np.float64), cluster_sums=reference.cluster_sums
    )
    weights = symphony.memberships(frozen, cluster_sums=reference.cluster_sums)
    total = np.zeros(points.shape[0])
    for k in range(membership.shape[1]):
        size = weights[:, k].sum()
        centre = weights[:, k] @ frozen / size
        offset = frozen - centre
        inverse = np.linalg.pinv((offset * weights[:, [k]]).T @ offset / size)
        away = points - centre
        total += membership[:, k] * np.sqrt(np.einsum("ij,jk,ik->i", away, inverse, away).clip(0))
    return total


def shift_left(found: Runs, seed: int) -> float:
    """Share that is left of a shift of all cells of the new sample (Euclidean, leukocytes)."""
    reference = bundle.read(found.bundle)
    result = mapped(found)
    points = np.asarray(result.obsm["X_pca"], dtype=np.float64)
    leukocytes = result.obs["is_leukocyte"].to_numpy(bool)
    shift = np.random.default_rng(seed).normal(0, 1, points.shape[1])
    shift *= 3 / np.linalg.norm(shift)
    terms = {"cluster_sizes": reference.cluster_sizes, "cluster_sums": reference.cluster_sums}
    both = [symphony.mapped(p, fitted=leukocytes, **terms) for p in (points, points + shift)]
    left = np.linalg.norm((both[1] - both[0])[leukocytes], axis=1).mean()
    return float(left / np.linalg.norm(shift))


def of_full_run(found: Runs) -> pd.Series:
    """Cell type in the run of all samples of each cell of the new one, by barcode."""
    full = ad.read_h5ad(found.full).obs
    return full[full["sample"] == found.new].set_index("barcode")["cell_type"].astype(str)


def in_turn(found: Runs, seed: int) -> pd.DataFrame:
    """Share of blood cells with the type of the full run, for each sample held out."""
    rows = []
    measured(found.folder, OTHER_STUDY, seed)
    for new in (*IN_TURN, OTHER_STUDY):
        runs_of_new = found._replace(new=new)
        if new != NEW:
            others = [name for name in (*OLD, NEW) if name != new]
            runs_of_new = runs_of_new._replace(
                bundle=reference(found.folder, f"without_{new}", others)
            )
        if new == OTHER_STUDY:
            run = cohort(found.folder, "with_other", (*OLD, NEW, OTHER_STUDY))
            runs_of_new = runs_of_new._replace(full=run / "cohort.h5ad")
        result = mapped(runs_of_new)
        types = of_full_run(runs_of_new).reindex(result.obs_names)
        same = (result.obs["cell_type"].astype(str) == types)[~is_tumour(result)]
        rows.append((new, len(same), same.mean()))
    return pd.DataFrame(rows, columns=["held_out", "cells", "same_type"])


def table(found: Runs, *, seed: int) -> dict[str, pd.DataFrame]:
    """Make `projection_cells` (a row per cell), `_in_turn`, `_depths` and `_rare_genes`."""
    result = mapped(found)
    reference = bundle.read(found.bundle)
    cells = result.obs[["cell_type", "cell_type_confidence", "novelty", "total_counts"]].copy()
    cells["tumour"] = is_tumour(result)
    cells["mahalanobis"] = mahalanobis(result, reference)
    cells["cell_type_of_full_run"] = of_full_run(found).reindex(cells.index)
    depths = [(depth, *at_depth(found, depth, seed)) for depth in (500, 1000, 2000, 4000)]
    columns = ["umis", "auroc", "blood_novel"]
    cells["shift_left"] = shift_left(found, seed)
    return {
        "projection_cells": cells.reset_index(names="barcode"),
        "projection_in_turn": in_turn(found, seed),
        "projection_depths": pd.DataFrame(depths, columns=columns),
        "projection_rare_genes": pd.DataFrame(
            [(new, *without_genes(found._replace(new=new), rare_genes)) for new in (NEW, "pbmc3k")],
            columns=["sample", "lacking", "same_type"],
        ),
    }


def claims(found: dict[str, pd.DataFrame]) -> Iterator[Claim]:
    cells = found["projection_cells"]
    tumour = cells["tumour"].to_numpy(bool)
    blood = cells[~tumour]
    for row in found["projection_in_turn"].to_dict("records"):
        what = f"cells of {row['held_out']}, held out, with the type of a full run >= {LEAST_SAME}"
        same = row["same_type"]
        if row["held_out"] == OTHER_STUDY:
            what = "cells of another study with the type of a run with it"
            yield what, f"{same:.4f} of {row['cells']}", None
        else:
            yield what, f"{same:.4f} of {row['cells']}", same >= LEAST_SAME
    for row in found["projection_rare_genes"].to_dict("records"):
        what = f"cells of {row['sample']} with the same type without its rare genes >= 0.99"
        seen = f"{row['same_type']:.4f}, {row['lacking']:.0%} of the genes lack"
        yield what, seen, row["same_type"] >= 0.99
    area = auroc(cells["novelty"].to_numpy(np.float64), tumour)
    what = f"TNBC cells of {DEPTH} counts are novel, AUROC >= {LEAST_AUROC}"
    yield what, f"{area:.4f}", area >= LEAST_AUROC
    beside = auroc(cells["mahalanobis"].to_numpy(np.float64), tumour)
    yield "the distance to centroids that Symphony has, AUROC", f"{beside:.4f}", None
    seen = f"{int((cells['novelty'][tumour] > 1).sum())} of {int(tumour.sum())} TNBC cells"
    seen += f", {int((blood['novelty'] > 1).sum())} of {len(blood)} blood cells"
    yield "beyond the limit", seen, None
    left = float(cells["shift_left"].iloc[0])
    yield "share that is left of a shift of the whole sample <= 0.1", f"{left:.3f}", left <= 0.1
    for row in found["projection_depths"].to_dict("records"):
        what = f"TNBC and blood of {row['umis']} counts each, AUROC >= {LEAST_AUROC}"
        seen = f"{row['auroc']:.4f}; {row['blood_novel']:.4f} of blood beyond the limit"
        yield what, seen, row["auroc"] >= LEAST_AUROC
