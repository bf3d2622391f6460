"""Copy number of tumour cells, blood and other tissue.

`python -m benchmarks.calling.copy_number TABLE` prints a table and writes it to TABLE; some ten
minutes. One line per group of cells that are judged against the leukocytes of one blood sample:
how many have p <= 0.1, 0.01, 0.001. Groups:

* aneuploid and diploid cells of one triple-negative breast cancer (the labels are CopyKAT's, from
  expression, so that recall of them is circular to a degree) and three lung cancer lines, thinned;
* the same aneuploid cells with the genome shuffled, three times: expression of another tissue in
  full, and no copy number. Every small p here is tissue taken for copy number;
* three normal tissues, simulated from the shipped rates (which know 4,000 genes);
* leukocytes that are not in the reference while their lineage is (`held out`), and leukocytes
  whose lineage is not (`left out`).

Then the area under the ROC curve of aneuploid cells against monocytes and diploid cells, judged by
T, NK and B cells, beside a smoother of log expression as inferCNV has it, with the share of cells
with a shuffled genome that pass the same threshold; and time and memory.
"""

from __future__ import annotations

import re
import resource
import sys
import time
from pathlib import Path
from typing import NamedTuple

import anndata as ad
import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp
from scipy.stats import rankdata

from ctcflow.files import io
from ctcflow.stats.copy_number.aneuploidy import CopyNumber, copy_number
from ctcflow.stats.counts.gene_sets import handling
from ctcflow.stats.identity.leukocytes import leukocytes
from ctcflow.stats.identity.likelihood import thinned
from ctcflow.stats.identity.profiles import AMBIENT_SHARE, profiles

REPOSITORY = Path(__file__).resolve().parents[2]
REAL = REPOSITORY.parent / "shared" / "data" / "real"
RESOURCES = REPOSITORY / "resources"
BLOOD = {
    "pbmc4k": "blood_pbmc4k_soupx_with_real_soup_profile.h5ad",
    "pbmc3k": "blood_pbmc3k_labelled.h5ad",
    "pbmc1k_v2": "blood_pbmc1k_v2_allgenes.h5ad",
    "pbmc1k_v3": "blood_pbmc1k_v3_filt.h5ad",
}
TNBC = "tumour_copykat_TNBC_302.h5ad"
LINES = {"CEL-seq2": "lines_sc_celseq2.h5ad", "Drop-seq": "lines_sc_dropseq.h5ad"}
DEPTHS = (None, 4000, 1500, 600)
FEWEST = 50
TISSUES = ("Fibroblast", "Endothelial", "Epithelial")
GROUPS = {
    "T and NK": ("CD4 T", "CD8 T", "NK"),
    "B": ("B", "Plasma"),
    "myeloid": ("Monocyte", "Dendritic"),
}
LEFT_OUT = {
    "NK": ("NK",),
    "dendritic": ("Dendritic", "pDC"),
    "platelets": ("Platelet",),
    **GROUPS,
}
# receptors of B and T cells are rearranged, and HLA differs by activation
MASKED = re.compile(
    r"^(IG[HKL][VDJ]\d|IGH[ADEGM]\d?P?$|IG[KL]C\d*$|IGLL|TR[ABGD][VDJ]\d|TR[ABGD]C\d?$|HLA-)"
)
SHUFFLES = 3

type Counts = sp.csr_matrix
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]


class Blood(NamedTuple):
    """One blood sample on the genes that it shares with the tumour."""

    name: str
    counts: Counts
    genes: npt.NDArray[np.object_]
    kind: npt.NDArray[np.object_]
    lineage: Ints
    arm: Ints
    position: Floats
    usable: npt.NDArray[np.bool_]


def read(name: str, table: pd.DataFrame) -> ad.AnnData:
    """Real counts with unique symbols."""
    adata = ad.read_h5ad(REAL / name)
    adata.X = sp.csr_matrix(adata.X).astype(np.float64)
    if adata.var_names[0].startswith("ENSG"):
        by_id = table.drop_duplicates("gene_id").set_index("gene_id")["symbol"]
        adata = adata[:, adata.var_names.isin(by_id.index)].copy()
        adata.var_names = by_id.loc[adata.var_names].to_numpy(dtype=object)
    return adata[:, ~adata.var_names.duplicated()].copy()


def place(
    genes: npt.NDArray[np.object_], table: pd.DataFrame
) -> tuple[Ints, Floats, npt.NDArray[np.bool_]]:
    """Arm, position, and which genes may be used."""
    placed = table.drop_duplicates("symbol").set_index("symbol").reindex(genes)
    panels = io.read_gene_sets(RESOURCES / "signatures" / "tumour_panels.tsv")
    panel = set(panels.loc[panels["set"] == "pan_epithelial", "gene"])
    number = pd.to_numeric(placed["chromosome"], errors="coerce").fillna(0).to_numpy(np.intp)
    arm = np.where(number > 0, 2 * number + (placed["arm"] == "q").to_numpy(), -1)
    usable = np.array([not MASKED.match(gene) and gene not in panel for gene in genes])
    position = pd.to_numeric(placed["start"]).fillna(0).to_numpy(np.float64)
    return arm.astype(np.intp), position, usable


def kinds(adata: ad.AnnData) -> npt.NDArray[np.object_]:
    """Best blood type of leukocytes, as `score` finds it; empty for other cells."""
    panels = io.read_gene_sets(RESOURCES / "signatures" / "tumour_panels.tsv")
    panel = frozenset(panels.loc[panels["set"] == "pan_epithelial", "gene"])
    technical = io.read_table(RESOURCES / "signatures" / "technical.tsv")
    reference = profiles(
        adata.var_names.to_numpy(dtype=object),
        reference=io.read_table(RESOURCES / "genes" / "normal_profiles.tsv.gz"),
        types=io.read_table(RESOURCES / "genes" / "normal_types.tsv"),
        left_out=panel | handling(technical),
        ambient=np.asarray(adata.X.sum(axis=0)).ravel(),
        ambient_share=AMBIENT_SHARE,
    )
    null = io.read_table(RESOURCES / "genes" / "identity_null.tsv")
    nobody = np.zeros(adata.n_obs, dtype=bool)  # is suspect in blood alone
    fit = leukocytes(adata.X, reference=reference, suspect=nobody, shipped_null=null, fewest=FEWEST)
    kind = np.array(reference.types, dtype=object)[fit.lineage]
    kind[~fit.is_leukocyte] = ""
    return kind


def blood(name: str, tumour: ad.AnnData, table: pd.DataFrame) -> Blood:
    adata = read(BLOOD[name], table)
    kind = kinds(adata)
    adata = adata[:, adata.var_names.intersection(tumour.var_names)].copy()
    genes = adata.var_names.to_numpy(dtype=object)
    lineage = np.full(kind.size, -1, dtype=np.intp)
    for code, members in enumerate(GROUPS.values()):
        lineage[np.isin(kind, members)] = code
    return Blood(name, sp.csr_matrix(adata.X), genes, kind, lineage, *place(genes, table))


def judge(sample: Blood, cells: Counts, lineage: Ints) -> CopyNumber:
    n = sample.lineage.size
    return copy_number(
        sp.vstack([sample.counts, cells]).tocsr(),
        arm=sample.arm,
        position=sample.position,
        usable=sample.usable,
        lineage=np.append(lineage, np.full(cells.shape[0], -1)).astype(np.intp),
        candidates=np.arange(n, n + cells.shape[0]),
        fewest=FEWEST,
        seed=0,
    )


def shuffled(sample: Blood, rng: np.random.Generator) -> Blood:
    """The same cells, each usable gene at the place of another."""
    placed = np.flatnonzero(sample.usable & (sample.arm >= 0))
    mixed = placed[rng.permutation(placed.size)]
    arm, position = sample.arm.copy(), sample.position.copy()
    arm[placed], position[placed] = sample.arm[mixed], sample.position[mixed]
    return sample._replace(arm=arm, position=position)


def tissue(sample: Blood, kind: str, *, depth: float, rng: np.random.Generator) -> Counts:
    """150 cells: blood of the sample times the atlas' ratio of tissue to blood."""
    atlas = io.read_table(RESOURCES / "genes" / "lineage_rates.tsv.gz").set_index("symbol")
    atlas = atlas.reindex(sample.genes)
    logs = []
    for code, base in enumerate(("CD4+T", "B", "Monocyte")):
        mean = np.asarray(sample.counts[sample.lineage == code].sum(axis=0)).ravel()
        ratio = ((atlas[kind] + 3) / (atlas[base] + 3)).fillna(1.0).to_numpy(np.float64)
        logs.append(np.log(mean / mean.sum() * ratio + 1e-9))
    rate = np.exp(np.mean(logs, axis=0))
    return sp.csr_matrix(
        rng.poisson(depth * rate / rate.sum(), size=(150, rate.size)).astype(float)
    )


def to_depth(cells: Counts, depth: int | None, rng: np.random.Generator) -> Counts:
    return cells if depth is None else thinned(cells, depth=float(depth), rng=rng)


def line(sample: Blood, group: str, depth: int | None, p: Floats, reason: str = "") -> dict:
    judged = p[~np.isnan(p)]
    shares = {
        f"p<={level}": round(float((judged <= level).mean()), 4) if judged.size else np.nan
        for level in (0.1, 0.01, 0.001)
    }
    return {
        "blood": sample.name,
        "cells": group,
        "depth": "all" if depth is None else depth,
        "n": judged.size,
        **shares,
        "note": reason,
    }


def tumour_rows(sample: Blood, tumour: ad.AnnData) -> list[dict]:
    rows = []
    cells = sp.csr_matrix(tumour[:, sample.genes].X)
    aneuploid = (tumour.obs["copykat_pred"] == "aneuploid").to_numpy()
    groups = np.where(aneuploid, "TNBC aneuploid", "TNBC diploid").astype(object)
    rng = np.random.default_rng(1)
    for depth in DEPTHS:
        level = to_depth(cells, depth, rng)
        drawn = [tissue(sample, kind, depth=depth or 15_000, rng=rng) for kind in TISSUES]
        names = [f"simulated {kind.lower()}" for kind in TISSUES]
        of_cell = np.append(groups, np.repeat(names, [d.shape[0] for d in drawn]))
        p = judge(sample, sp.vstack([level, *drawn]).tocsr(), sample.lineage).p
        rows += [line(sample, name, depth, p[of_cell == name]) for name in pd.unique(of_cell)]
        mixed = [
            judge(shuffled(sample, rng), level[aneuploid], sample.lineage).p
            for _ in range(SHUFFLES)
        ]
        rows.append(line(sample, "TNBC genome shuffled", depth, np.concatenate(mixed)))
    return rows


def line_rows(sample: Blood, platform: str, adata: ad.AnnData) -> list[dict]:
    rows, rng = [], np.random.default_rng(3)
    # genes that the platform lacks say nothing
    shared = np.isin(sample.genes, adata.var_names.to_numpy(dtype=object))
    sample = sample._replace(
        counts=sample.counts[:, shared].tocsr(),
        genes=sample.genes[shared],
        arm=sample.arm[shared],
        position=sample.position[shared],
        usable=sample.usable[shared],
    )
    single = adata[adata.obs["demuxlet_cls"] == "SNG"]
    name = (single.obs["cell_line_demuxlet"].astype(str) + " " + platform).to_numpy(dtype=object)
    cells = sp.csr_matrix(single[:, sample.genes].X)
    levels = sp.vstack([to_depth(cells, depth, rng) for depth in DEPTHS]).tocsr()
    p = judge(sample, levels, sample.lineage).p.reshape(len(DEPTHS), -1)
    for row, depth in enumerate(DEPTHS):
        rows += [
            line(sample, line_name, depth, p[row, name == line_name])
            for line_name in np.unique(name)
        ]
    return rows


def blood_rows(sample: Blood) -> list[dict]:
    rows = []
    p = np.full(sample.lineage.size, np.nan)
    for fold in range(3):
        out = (np.arange(p.size) % 3 == fold) & (sample.lineage >= 0)
        p[out] = judge(sample, sample.counts[out], np.where(out, -1, sample.lineage)).p
    rows.append(line(sample, "held out", None, p))
    for name, members in LEFT_OUT.items():
        out = np.isin(sample.kind, members)
        if out.any():
            judgement = judge(sample, sample.counts[out], np.where(out, -1, sample.lineage))
            rows.append(line(sample, f"left out: {name}", None, judgement.p, judgement.reason))
    return rows


def smoother(sample: Blood, cells: Counts, lineage: Ints) -> Floats:
    """Log expression less the reference's, cut at 3, mean over 101 genes, mean square."""
    usable = np.flatnonzero(sample.usable & (sample.arm >= 0))
    usable = usable[np.lexsort((sample.position[usable], sample.arm[usable]))]

    def normalised(counts: Counts) -> Floats:
        dense = counts[:, usable].toarray()
        return np.log1p(dense * (1e4 / np.maximum(dense.sum(axis=1, keepdims=True), 1.0)))

    reference = normalised(sample.counts[lineage >= 0])
    expressed = (reference > 0).mean(axis=0) > 0.02
    mean = reference[:, expressed].mean(axis=0)
    excess = np.clip(normalised(cells)[:, expressed] - mean, -3.0, 3.0)
    chromosome = sample.arm[usable][expressed] // 2
    windows = []
    for number in np.unique(chromosome):
        genes = excess[:, chromosome == number]
        if genes.shape[1] <= 101:
            continue
        run = np.cumsum(np.hstack([np.zeros((genes.shape[0], 1)), genes]), axis=1)
        windows.append((run[:, 101:] - run[:, :-101]) / 101)
    profile = np.hstack(windows)
    profile -= np.median(profile, axis=1, keepdims=True)
    return np.asarray((profile**2).mean(axis=1))


def area(positive: Floats, negative: Floats) -> float:
    ranks = rankdata(np.append(positive, negative))[: positive.size]
    n, m = positive.size, negative.size
    return float((ranks.sum() - n * (n + 1) / 2) / (n * m))


def roc_rows(sample: Blood, tumour: ad.AnnData) -> list[dict]:
    """Reference without myeloid cells: these are negatives of a type that is not in it."""
    rows, rng = [], np.random.default_rng(2)
    value_of = {"ours": lambda *arguments: judge(*arguments).aneuploidy, "smoother": smoother}
    mixed = shuffled(sample, rng)
    cells = sp.csr_matrix(tumour[:, sample.genes].X)
    aneuploid = (tumour.obs["copykat_pred"] == "aneuploid").to_numpy()
    out = sample.lineage == list(GROUPS).index("myeloid")
    reference = np.where(out, -1, sample.lineage)
    for depth in DEPTHS[1:]:
        total = np.asarray(sample.counts.sum(axis=1)).ravel()
        monocytes = sample.counts[out & (total >= depth)]
        level = to_depth(sp.vstack([cells, monocytes]).tocsr(), depth, rng)
        positive = np.append(aneuploid, np.zeros(monocytes.shape[0], dtype=bool))
        for method, judged in value_of.items():
            value = judged(sample, level, reference)
            limit = np.quantile(value[~positive], 0.99)
            tissue_alone = judged(mixed, level[positive], reference)
            rows.append(
                {
                    "blood": sample.name,
                    "method": method,
                    "depth": depth,
                    "negatives": int((~positive).sum()),
                    "area": round(area(value[positive], value[~positive]), 4),
                    "recall at 1 %": round(float((value[positive] > limit).mean()), 3),
                    "genome shuffled": round(float((tissue_alone > limit).mean()), 3),
                }
            )
    return rows


def cost(samples: list[Blood], tumour: ad.AnnData) -> str:
    """Two blood samples as one, every leukocyte beyond the 2,000th and all tumour cells judged."""
    first, second = samples[:2]
    shared = np.intersect1d(first.genes, second.genes)
    columns = [pd.Index(s.genes).get_indexer(shared) for s in (first, second)]
    stacked = sp.vstack([first.counts[:, columns[0]], second.counts[:, columns[1]]]).tocsr()
    lineage = np.append(first.lineage, second.lineage)
    lineage[np.flatnonzero(lineage >= 0)[2000:]] = -1
    at = columns[0]
    joined = first._replace(
        counts=stacked,
        genes=shared,
        lineage=lineage,
        arm=first.arm[at],
        position=first.position[at],
        usable=first.usable[at],
    )
    seconds = []
    tumour_cells = sp.csr_matrix(tumour[:, shared].X)
    for cells in (tumour_cells, sp.vstack([tumour_cells, stacked[lineage < 0]]).tocsr()):
        start = time.perf_counter()
        judge(joined, cells, lineage)
        seconds.append(f"{cells.shape[0]} candidates {time.perf_counter() - start:.1f} s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    n = stacked.shape[0]
    return (
        f"{n} cells, 2000 null leukocytes: {', '.join(seconds)}; peak of this script {peak:.2f} GB"
    )


def main(path: Path) -> None:
    table = io.read_table(RESOURCES / "genes" / "genes.tsv.gz")
    tumour = read(TNBC, table)
    lines = {platform: read(name, table) for platform, name in LINES.items()}
    samples = [blood(name, tumour, table) for name in BLOOD]
    spent = cost(samples, tumour)
    rows, areas = [], []
    for sample in samples:
        rows += blood_rows(sample) + tumour_rows(sample, tumour)
        for platform, adata in lines.items():
            rows += line_rows(sample, platform, adata)
        areas += roc_rows(sample, tumour)
    result = pd.DataFrame(rows)
    pooled = result.assign(**{k: result[k] * result["n"] for k in result if k.startswith("p<=")})
    pooled = pooled.groupby(["cells", "depth"], sort=False)[
        ["n", "p<=0.1", "p<=0.01", "p<=0.001"]
    ].sum()
    for level in ("p<=0.1", "p<=0.01", "p<=0.001"):
        pooled[level] = (pooled[level] / pooled["n"]).round(4)
    result = pd.concat([pooled.reset_index().assign(blood="all", note=""), result])
    result = result[["blood", "cells", "depth", "n", "p<=0.1", "p<=0.01", "p<=0.001", "note"]]
    io.write_table(path, result)
    print(result.to_string(index=False))
    print(pd.DataFrame(areas).to_string(index=False))
    print(spent)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
