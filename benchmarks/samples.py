"""Real blood and tumour cells as samples for `qc`: thinned, damaged, mixed with ambient RNA."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import anndata as ad
import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from ctcflow.contracts import tables_of
from ctcflow.files import io
from ctcflow.files.tables import SHIPPED
from ctcflow.settings.sample_params import IngestParams, QCParams
from ctcflow.steps.ingest import ingest
from ctcflow.steps.qc import qc

REPOSITORY = Path(__file__).resolve().parents[1]
REAL = REPOSITORY.parent / "shared" / "data" / "real"
TYPES = REAL.with_name("types")
TUMOUR = "tumour_copykat_TNBC_302.h5ad"
LINES = {"CEL-seq2": "lines_sc_celseq2.h5ad", "Drop-seq": "lines_sc_dropseq.h5ad"}
BLOOD = {
    "pbmc4k": "blood_pbmc4k_soupx_with_real_soup_profile.h5ad",
    "pbmc3k": "blood_pbmc3k_labelled.h5ad",
    "pbmc1k_v2": "blood_pbmc1k_v2_allgenes.h5ad",
    "pbmc1k_v3": "blood_pbmc1k_v3_filt.h5ad",
}

type Counts = sp.csr_matrix


def read(name: str) -> ad.AnnData:
    """Real counts with unique gene names."""
    adata = ad.read_h5ad(REAL / name)
    adata.X = sp.csr_matrix(adata.X).astype(np.int64)
    return adata[:, ~adata.var_names.duplicated()].copy()


def tumour_cells() -> ad.AnnData:
    """The aneuploid cells of one triple-negative breast cancer."""
    tumour = read(TUMOUR)
    return tumour[(tumour.obs["copykat_pred"] == "aneuploid").to_numpy()].copy()


def lung_cancer_lines() -> ad.AnnData:
    """H1975, H2228 and HCC827 on two platforms, through `ingest`, since they have Ensembl ids."""
    genes = io.read_table(REPOSITORY / "resources" / SHIPPED["genes"])
    lines = [ingest(read(name), genes, params=IngestParams()) for name in LINES.values()]
    return ad.concat(lines, keys=list(LINES), index_unique="_", join="inner")


def cell_lines(platform: str) -> ad.AnnData:
    """Single cells of the lines on one platform, through `ingest`; obs `line`."""
    genes = io.read_table(REPOSITORY / "resources" / SHIPPED["genes"])
    cells = read(LINES[platform])
    cells = cells[(cells.obs["demuxlet_cls"] == "SNG").to_numpy()].copy()
    lines = cells.obs["cell_line_demuxlet"].astype(str)
    ingested = ingest(cells, genes, params=IngestParams())
    ingested.obs["line"] = lines.reindex(ingested.obs_names).to_numpy(dtype=object)
    return ingested


def measured_soup(names: pd.Index) -> npt.NDArray[np.float64]:
    """Share of each gene in the empty droplets of pbmc4k."""
    soup = read(BLOOD["pbmc4k"]).var["soup_est"].reindex(names).fillna(0.0).to_numpy(np.float64)
    return soup / soup.sum()


def thinned(counts: Counts, depth: int, rng: np.random.Generator) -> Counts:
    """Exactly `depth` counts of each cell, drawn without replacement."""
    counts = counts.copy()
    for row in range(counts.shape[0]):
        part = slice(counts.indptr[row], counts.indptr[row + 1])
        if counts.data[part].sum() > depth:
            counts.data[part] = rng.multivariate_hypergeometric(
                counts.data[part], depth, method="marginals"
            )
    counts.eliminate_zeros()
    return counts


def damaged(counts: Counts, names: pd.Index, rng: np.random.Generator) -> Counts:
    """Lose 90 % of the counts that are not mitochondrial."""
    counts = counts.copy()
    lost = ~names.str.startswith("MT-")[counts.indices]
    counts.data[lost] = rng.binomial(counts.data[lost], 0.1)
    counts.eliminate_zeros()
    return counts


def empties(
    totals: npt.NDArray[np.integer], share: npt.NDArray[np.float64], rng: np.random.Generator
) -> Counts:
    """Droplets with these totals that hold ambient RNA only."""
    upto = np.cumsum(share)
    gene = np.searchsorted(upto / upto[-1], rng.random(int(totals.sum())), side="right")
    droplet = np.repeat(np.arange(totals.size), totals)
    ones = np.ones(gene.size, dtype=np.int64)
    return sp.coo_matrix((ones, (droplet, gene)), shape=(totals.size, share.size)).tocsr()


def over(adata: ad.AnnData, names: pd.Index) -> Counts:
    """Counts over these genes; 0 for genes that a file lacks, since nobody saw them there."""
    places = adata.var_names.get_indexer(names)
    padded = sp.hstack([adata.X, sp.csr_matrix((adata.n_obs, 1), dtype=adata.X.dtype)]).tocsc()
    return padded[:, np.where(places >= 0, places, adata.n_vars)].tocsr()


def sample(parts: dict[str, Counts], names: pd.Index) -> ad.AnnData:
    """One library of all parts; obs `part` says which cell is from where."""
    counts = sp.vstack(list(parts.values())).tocsr().astype(np.int32)
    part = np.repeat(list(parts), [rows.shape[0] for rows in parts.values()])
    obs = pd.DataFrame({"part": part}, index=[f"{name}_{i}" for i, name in enumerate(part)])
    return ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=names))


@lru_cache
def _shipped(name: str) -> pd.DataFrame:
    return io.read_table(REPOSITORY / "resources" / SHIPPED[name])


def tables(step: str, instead: Mapping[str, pd.DataFrame] | None = None) -> list[pd.DataFrame]:
    """The tables of a step in the order of its arguments: those given, and the shipped ones."""
    own_tables = instead or {}
    names = tables_of(step)
    return [own_tables[name] if name in own_tables else _shipped(name).copy() for name in names]


def measured(
    adata: ad.AnnData,
    unfiltered: ad.AnnData | None = None,
    instead: Mapping[str, pd.DataFrame] | None = None,
) -> ad.AnnData:
    """`qc` with the default parameters, and the shipped tables where none is given instead."""
    return qc(adata, unfiltered, *tables("qc", instead), params=QCParams())
