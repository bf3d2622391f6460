"""The tutorial of scanpy on all samples at once, with Harmony: one script, one process.

    python -m benchmarks.speed.tutorial SHEET FOLDER

Options are those of the tutorial ("Preprocessing and clustering", scanpy 1.12), which means the
defaults; Wilcoxon on all genes.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.speed.stages import paths, stage, write_clusters


def main(sheet: Path, folder: Path) -> None:
    with stage("import"):
        import anndata as ad
        import harmonypy
        import scanpy as sc
    with stage("read"):
        samples = {}
        for name, path in paths(sheet).items():
            samples[name] = sc.read_10x_h5(path)
            samples[name].var_names_make_unique()
            samples[name].obs["barcode"] = samples[name].obs_names
        adata = ad.concat(samples, label="sample", index_unique="_")
    with stage("qc"):
        adata.var["mt"] = adata.var_names.str.startswith("MT-")
        sc.pp.calculate_qc_metrics(adata, qc_vars=["mt"], inplace=True, log1p=True)
        sc.pp.filter_cells(adata, min_genes=100)
        sc.pp.filter_genes(adata, min_cells=3)
    with stage("scrublet"):
        # a threshold: the automatic one needs a library that nothing else here needs
        sc.pp.scrublet(adata, batch_key="sample", threshold=0.25)
    with stage("normalize"):
        adata.layers["counts"] = adata.X.copy()
        sc.pp.normalize_total(adata)
        sc.pp.log1p(adata)
    with stage("variable genes"):
        sc.pp.highly_variable_genes(adata, n_top_genes=2000, batch_key="sample")
    with stage("pca"):
        sc.pp.pca(adata)
    with stage("harmony"):
        harmonised = harmonypy.run_harmony(adata.obsm["X_pca"], adata.obs, "sample")
        corrected = harmonised.Z_corr
        wanted = adata.obsm["X_pca"].shape
        adata.obsm["X_harmony"] = corrected if corrected.shape == wanted else corrected.T
    with stage("neighbors"):
        sc.pp.neighbors(adata, use_rep="X_harmony")
    with stage("leiden"):
        for resolution in (0.5, 1.0, 2.0):
            sc.tl.leiden(
                adata,
                resolution=resolution,
                key_added=f"leiden_{resolution:g}",
                flavor="igraph",
                n_iterations=2,
            )
    with stage("umap"):
        sc.tl.umap(adata)
    with stage("wilcoxon"):
        sc.tl.rank_genes_groups(adata, groupby="leiden_1", method="wilcoxon")
    with stage("write"):
        adata.write_h5ad(folder / "cohort.h5ad", compression="gzip")
    write_clusters(adata.obs, "leiden_1", folder / "clusters.tsv")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
