"""The seven real samples of the end-to-end test: a sheet, its files, and what is known of them.

Run by hand: `python tests/workflow/real_cohort.py FOLDER`, then `snakemake --directory FOLDER`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import scipy.sparse as sp

REAL = Path(__file__).parents[3] / "shared" / "data" / "real"
SPIKE_DEPTH = 2000
SPIKE_SHARE = 0.01


def make(folder: Path) -> None:
    """Write `data/`, `config/` and `truth.tsv` (sample, barcode, kind, label) below `folder`."""
    rng = np.random.default_rng(0)
    (folder / "data").mkdir(parents=True)
    (folder / "config").mkdir()
    blood3k = _read("blood_pbmc3k_labelled.h5ad")
    half = rng.permutation(blood3k.n_obs) < blood3k.n_obs // 2
    blood4k = _read("blood_pbmc4k_soupx_with_real_soup_profile.h5ad")
    tumour = _read("tumour_copykat_TNBC_302.h5ad")
    tumour = tumour[(tumour.obs["copykat_pred"] == "aneuploid").to_numpy()].copy()
    order = rng.permutation(tumour.n_obs)
    other_half = blood3k[~half].copy()
    n_first = round(SPIKE_SHARE * blood4k.n_obs)
    n_second = round(SPIKE_SHARE * other_half.n_obs)
    samples = {
        "pbmc3k_a": blood3k[half].copy(),
        "pbmc4k_spiked": _spiked(blood4k, tumour[order[:n_first]].copy(), rng),
        "pbmc3k_b_spiked": _spiked(
            other_half, tumour[order[n_first : n_first + n_second]].copy(), rng
        ),
    }
    truth = []
    for name, adata in samples.items():
        table = pd.DataFrame({"sample": name, "barcode": adata.obs_names.to_numpy(object)})
        table["kind"] = np.where(adata.obs_names.isin(tumour.obs_names), "tumour", "blood")
        label = adata.obs.get("cell_type", pd.Series("", index=adata.obs_names))
        table["label"] = label.astype(object).fillna("").to_numpy()
        truth.append(table)
        bare = anndata.AnnData(adata.X, obs=pd.DataFrame(index=adata.obs_names), var=adata.var[[]])
        bare.write_h5ad(folder / "data" / f"{name}.h5ad")
    pd.concat(truth).to_csv(folder / "truth.tsv", sep="\t", index=False)
    (folder / "config" / "config.yaml").write_text("samples: config/samples.tsv\n")
    _sheet().to_csv(folder / "config" / "samples.tsv", sep="\t", index=False)


def _sheet() -> pd.DataFrame:
    toy = REAL / "10x_mtx_v2_toy" / "filtered_gene_bc_matrices" / "GRCh38"
    columns = ["sample", "path", "patient", "day", "role", "batch", "chemistry", "cancer_type"]
    blood_v2, blood_v3 = REAL / "blood_pbmc1k_v2_allgenes.h5ad", REAL / "blood_pbmc1k_v3_filt.h5ad"
    pools = REAL / "ctc_GSE51827_aceto2014_clusters_vs_single.h5ad"
    first, second = "../data/pbmc4k_spiked.h5ad", "../data/pbmc3k_b_spiked.h5ad"
    rows = [
        ("pbmc1k_v2", blood_v2, "H1", "", "healthy", "1k_v2", "10x_3p_v2", ""),
        ("pbmc1k_v3", blood_v3, "H1", "", "healthy", "1k_v3", "10x_3p_v3", ""),
        ("pbmc3k_a", "../data/pbmc3k_a.h5ad", "H2", "", "healthy", "3k", "10x_3p_v1", ""),
        ("pbmc4k_spiked", first, "P1", 0, "patient", "4k", "10x_3p_v2", "breast"),
        ("pbmc3k_b_spiked", second, "P1", 30, "patient", "3k", "10x_3p_v1", "breast"),
        ("soupx_toy", toy, "H3", "", "healthy", "toy", "10x_3p_v2", ""),
        ("gse51827", pools, "P2", 0, "patient", "picked", "picked", "breast"),
    ]
    return pd.DataFrame(rows, columns=columns)


def _read(name: str) -> anndata.AnnData:
    adata = anndata.read_h5ad(REAL / name)
    adata.X = sp.csr_matrix(adata.X)
    return adata[:, ~adata.var_names.duplicated()].copy()


def _spiked(
    blood: anndata.AnnData, cells: anndata.AnnData, rng: np.random.Generator
) -> anndata.AnnData:
    """Put thinned tumour cells among blood cells, over the genes of both, as if in one library."""
    thin = sp.csr_matrix(cells.X)
    total = np.asarray(thin.sum(axis=1)).ravel()
    share = np.minimum(1.0, SPIKE_DEPTH / total)
    thin.data = rng.binomial(thin.data.astype(np.int64), np.repeat(share, np.diff(thin.indptr)))
    thin.eliminate_zeros()
    cells.X = thin.astype(np.float32)
    return anndata.concat([blood, cells], join="outer", fill_value=0)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
