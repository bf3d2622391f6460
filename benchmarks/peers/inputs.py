"""Blood and mixtures as plain files that every environment can read, with the truth beside them.

* `healthy_*`: five files of healthy blood as they are; every call in them is false.
* `mixture_*`: up to 30 cells of each of two tumours, thinned to one depth, in 950 blood cells.
  Tumours and depths are those of `TUMOURS` and `DEPTHS`; the blood is of two files by turns.
* `tissue_*`: the same with normal cells of tissues at one depth. They come from other platforms
  than the blood, as most of the tumours do, so they show what a tool makes of that alone.
* `tcells_*`: T cells and monocytes of healthy blood by their labels, for the question whether T
  cells look aneuploid when monocytes are declared normal, as a published comparison of callers
  asks (Nat Commun 2025, 16:8777). The labels of `cite` are by markers, the others the authors'.

A folder per sample has `counts.npz` (cells x genes), `genes.tsv` (symbol and place on GRCh38) and
`cells.tsv` (barcode and `reference`: is this cell declared normal). In `healthy_*` and `mixture_*`
a laboratory would declare by markers, so reference cells show PTPRC and none of twelve epithelial
genes. The truth, which no tool sees, is in `truth.tsv` beside the folders.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from benchmarks.calling.methods import TWELVE
from benchmarks.samples import BLOOD, REPOSITORY, over, read, thinned, tumour_cells

from ctcflow.files import io
from ctcflow.files.tables import SHIPPED

DEPTHS = (600, 1500, 10000)
TYPES = "../types/"
CITE = TYPES + "blood_PBMC_Hao2021_or_Kotliarov_SPECK_1000.h5ad"
HEALTHY = {**BLOOD, "cite": CITE}
INTO = (BLOOD["pbmc1k_v2"], CITE)
"""Blood that tumour cells are put into, by turns."""
TUMOURS = {
    "lines_CIMseq_A375_HCT116_HOS_smartseq2": ("A375", "HCT116", "HOS"),
    "neuroblastoma_NGP_C1": ("NGP",),
    "sarcoma_MLS_myxoid_liposarcoma_line": ("MLS",),
    "lung_5lines_sc_mixology_celseq2_p1p2": ("A549", "H838", "H1975", "H2228", "HCC827"),
}
TISSUES = {
    "skin_healthy_GSE128531_3donors": (
        *("keratinocyte basal", "keratinocyte suprabasal", "sweat gland/secretory", "fibroblast"),
        *("endothelial", "pericyte/smooth muscle"),
    ),
    "pancreas_normal_Baron_human_175_inDrop": ("alpha", "beta", "activated_stellate"),
    "breast_normal_Komen_GTEx_260_SCdeconR": (
        *("Epithelial cells (Komen cells)", "Fibroblast (Komen cells)"),
        "Endothelial cells (Komen cells)",
    ),
}
TISSUE = "tissue: "
"""What the truth of these cells begins with."""
T_CELLS = {
    "pbmc3k": (
        "cell_type",
        ("Naive CD4 T", "Memory CD4 T", "CD8 T"),
        ("CD14+ Mono", "FCGR3A+ Mono"),
    ),
    "pbmc4k": ("Annotation", ("T_CD4", "T_CD8"), ("MNP",)),
    "cite": ("label", ("T",), ("monocyte", "CD16 monocyte")),
}
_FOREIGN_CELLS, _BLOOD_CELLS = 30, 950
_TISSUE_DEPTH = 1500


class Part(NamedTuple):
    """Cells of one kind: `truth` is `blood`, a tumour's name, `T cell` or `monocyte`."""

    truth: str
    cells: ad.AnnData


def positions() -> pd.DataFrame:
    """Place of each gene; the row name is the symbol."""
    genes = io.read_table(REPOSITORY / "resources" / SHIPPED["genes"])
    return genes.drop_duplicates("symbol").set_index("symbol")


def with_symbols(adata: ad.AnnData) -> ad.AnnData:
    """Genes named by symbol; those with an Ensembl id that is not in the table are left out."""
    if not adata.var_names[0].startswith("ENSG"):
        return adata
    genes = io.read_table(REPOSITORY / "resources" / SHIPPED["genes"])
    symbol = genes.set_index("gene_id")["symbol"]
    names = adata.var_names.str.split(".").str[0]
    in_table = names.isin(symbol.index)
    named = adata[:, in_table].copy()
    named.var_names = pd.Index(symbol.loc[names[in_table]].to_numpy(dtype=object))
    return named[:, ~named.var_names.duplicated()].copy()


def tumours() -> dict[str, ad.AnnData]:
    """All cells of each tumour, at the depth of the file."""
    found = {"TNBC": tumour_cells()}
    for file, names in TUMOURS.items():
        cells = with_symbols(read(f"{TYPES}{file}.h5ad"))
        label = cells.obs["label"].astype(str)
        found |= {name: cells[label.str.contains(name).to_numpy()].copy() for name in names}
    return found


def some(adata: ad.AnnData, n: int, rng: np.random.Generator) -> ad.AnnData:
    return adata[np.sort(rng.permutation(adata.n_obs)[:n])].copy()


def seen(counts: sp.csr_matrix, names: pd.Index, wanted: tuple[str, ...]) -> np.ndarray:
    """How many of these genes each cell shows."""
    return np.asarray((counts[:, names.isin(wanted)] > 0).sum(axis=1)).ravel()


def write(folder: Path, parts: list[Part], normal: str | None = None) -> pd.DataFrame:
    """Write one sample; gives its rows of the truth.

    Cells whose truth is `normal` are reference, or leukocytes by markers without it.
    """
    names = parts[0].cells.var_names
    for part in parts[1:]:
        names = names.union(part.cells.var_names)
    counts = sp.vstack([over(part.cells, names) for part in parts]).tocsr().astype(np.int32)
    truth = np.repeat([part.truth for part in parts], [part.cells.n_obs for part in parts])
    # tools that keep the order of the cells could learn from it
    order = np.random.default_rng(0).permutation(truth.size)
    counts, truth = counts[order], truth[order]
    leukocyte = (seen(counts, names, ("PTPRC",)) > 0) & (seen(counts, names, TWELVE) == 0)
    cells = pd.DataFrame({"barcode": [f"{folder.name}_{i:05d}" for i in range(truth.size)]})
    cells["reference"] = leukocyte if normal is None else truth == normal
    genes = positions().reindex(names)[["chromosome", "start", "end"]]
    folder.mkdir(parents=True, exist_ok=True)
    sp.save_npz(folder / "counts.npz", counts)
    genes.rename_axis("symbol").to_csv(folder / "genes.tsv", sep="\t")
    cells.to_csv(folder / "cells.tsv", sep="\t", index=False)
    return cells[["barcode"]].assign(sample=folder.name, truth=truth)


def healthy(folder: Path) -> list[pd.DataFrame]:
    return [
        write(folder / f"healthy_{name}", [Part("blood", read(file))])
        for name, file in HEALTHY.items()
    ]


def tissues() -> dict[str, ad.AnnData]:
    """Normal cells of each kind, at the depth of the file."""
    found: dict[str, ad.AnnData] = {}
    for file, labels in TISSUES.items():
        cells = with_symbols(read(f"{TYPES}{file}.h5ad"))
        label = cells.obs["label"].astype(str)
        kinds = {f"{TISSUE}{file.split('_')[0]} {name}": name for name in labels}
        found |= {kind: cells[(label == name).to_numpy()].copy() for kind, name in kinds.items()}
    return found


def mixed(
    cells_of_kind: dict[str, ad.AnnData],
    folder: Path,
    name: str,
    depth: int,
    rng: np.random.Generator,
) -> list[pd.DataFrame]:
    """Two kinds a sample, so that one in seventeen cells is not of the blood."""
    blood, kinds = [read(file) for file in INTO], list(cells_of_kind.items())
    found = []
    for number, start in enumerate(range(0, len(kinds), 2)):
        parts = [Part("blood", some(blood[number % 2], _BLOOD_CELLS, rng))]
        for kind, cells in kinds[start : start + 2]:
            chosen = some(cells, _FOREIGN_CELLS, rng)
            chosen.X = thinned(chosen.X, depth, rng)
            parts.append(Part(kind, chosen))
        found.append(write(folder / f"{name}_{depth}_{number}", parts).assign(depth=depth))
    return found


def mixtures(folder: Path, seed: int) -> list[pd.DataFrame]:
    rng, cells_of_tumour = np.random.default_rng(seed), tumours()
    return [
        truth for depth in DEPTHS for truth in mixed(cells_of_tumour, folder, "mixture", depth, rng)
    ]


def tissue(folder: Path, seed: int) -> list[pd.DataFrame]:
    rng = np.random.default_rng(seed + 1)
    return mixed(tissues(), folder, "tissue", _TISSUE_DEPTH, rng)


def t_cells(folder: Path) -> list[pd.DataFrame]:
    found = []
    for name, (column, t, monocytes) in T_CELLS.items():
        blood = read(HEALTHY[name])
        label = blood.obs[column].astype(str)
        kinds = {"T cell": t, "monocyte": monocytes}
        parts = [
            Part(kind, blood[label.isin(labels).to_numpy()].copy())
            for kind, labels in kinds.items()
        ]
        found.append(write(folder / f"tcells_{name}", parts, normal="monocyte"))
    return found


def make(folder: Path, *, seed: int) -> pd.DataFrame:
    """Write all samples and the truth below the folder, unless they are there."""
    path = folder / "truth.tsv"
    if not path.exists():
        kinds = (healthy(folder), mixtures(folder, seed), tissue(folder, seed), t_cells(folder))
        truth = pd.concat([part for kind in kinds for part in kind])
        truth.to_csv(path, sep="\t", index=False)
    return pd.read_csv(path, sep="\t")
