"""One file with all raw counts of the cohort, assembled on disk one sample at a time."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from scipy import sparse

from ctcflow import keys
from ctcflow.errors import CtcflowError
from ctcflow.files import io, sample_files
from ctcflow.files.cellxgene import for_cellxgene
from ctcflow.records.run import RunRecord

if TYPE_CHECKING:
    from anndata import AnnData

_CHUNK: Final = 262_144
_PLAIN: Final = {"allow_write_nullable_strings": False}


def export_cellxgene(
    path: Path, cohort: AnnData, *, terms: pd.DataFrame, retired: pd.DataFrame
) -> None:
    """Write a delivered cohort so that CELLxGENE's validator accepts it (see `cellxgene`), gzipped.

    Its uns holds the keys of the schema and the colours, but no records of ctcflow.

    Raises
    ------
    CtcflowError
        The cohort has no cells, no counts or no gene with an Ensembl id.
    """
    import anndata

    steps = io.record(cohort, keys.CTCFLOW, RunRecord)["steps"]
    title = f"Circulating tumour cells, ctcflow {steps['call']['version']}"
    delivered = for_cellxgene(cohort, terms=terms, retired=retired, title=title)
    with io.whole_file(path) as part, anndata.settings.override(**_PLAIN):
        delivered.write_h5ad(part, compression="gzip")


def export_zarr(path: Path, cohort: AnnData) -> None:
    """Write a delivered cohort as a zarr folder; it appears only when it is complete."""
    io.write_zarr(path, cohort)


def export(path: Path, cohort: AnnData, genes: pd.DataFrame, samples: sample_files.Cohort) -> None:
    """Write raw counts of all kept cells with the cohort's `obs` and `obsm`, gzipped.

    At most one sample's counts are in memory; the file appears only when it is complete.

    Parameters
    ----------
    path
        The h5ad: X raw counts (n_cells, n_genes) CSR, int32.
    cohort
        As `cluster` writes it.
    genes
        All genes of the cohort: var of the result of `reduce`.
    samples
        Counts of the same samples, kept cells only.

    Raises
    ------
    CtcflowError
        The cells of a sample are not those of the cohort.
    """
    import anndata
    import h5py

    frame = anndata.AnnData(obs=cohort.obs.copy(), var=genes[[keys.GENE_ID.key]].copy())
    for key, value in cohort.obsm.items():
        frame.obsm[key] = value
    frame.uns[keys.CTCFLOW.key] = cohort.uns[keys.CTCFLOW.key]
    with io.whole_file(path) as part:
        with anndata.settings.override(**_PLAIN):
            frame.write_h5ad(part, compression="gzip")
        with h5py.File(part, "r+") as file:
            append_counts(file, frame, samples)


def append_counts(parent: Any, frame: AnnData, samples: Iterable[AnnData]) -> None:
    """Add raw counts, sample by sample, as X to an AnnData that is in a file without X.

    Parameters
    ----------
    parent
        HDF5 group that holds the AnnData.
    frame
        The same AnnData in memory: its cells, named `<sample>:<barcode>`, and its genes.
    samples
        The samples, in the order of the cells of `frame`.

    Raises
    ------
    CtcflowError
        The cells of a sample are not those of the frame.
    """
    if "X" in parent:  # anndata may write a placeholder for a missing X
        del parent["X"]
    group = parent.create_group("X")
    types = {"data": np.int32, "indices": np.int32}
    sets = {
        name: group.create_dataset(
            name, (0,), maxshape=(None,), dtype=kind, chunks=(_CHUNK,), compression="gzip"
        )
        for name, kind in types.items()
    }
    lengths = [np.zeros(1, dtype=np.int64)]
    at = 0
    for sample in samples:
        matrix = _matrix(frame, sample, at)
        at += sample.n_obs
        lengths.append(np.diff(matrix.indptr).astype(np.int64))
        for name, stored in sets.items():
            start = stored.shape[0]
            stored.resize((start + matrix.nnz,))
            stored[start:] = getattr(matrix, name)
    if at != frame.n_obs:
        _refuse(frame.n_obs - at)
    group.create_dataset("indptr", data=np.cumsum(np.concatenate(lengths)), compression="gzip")
    group.attrs["encoding-type"] = "csr_matrix"
    group.attrs["encoding-version"] = "0.1.0"
    group.attrs["shape"] = np.array(frame.shape, dtype=np.int64)


def _matrix(frame: AnnData, sample: AnnData, at: int) -> sparse.csr_matrix:
    """Counts of one sample over the genes of the cohort, with cells in the cohort's order."""
    names = sample.obs[keys.SAMPLE.key].astype(str) + ":" + sample.obs_names.astype(str)
    if not np.array_equal(frame.obs_names[at : at + sample.n_obs], names.to_numpy(object)):
        _refuse(sample.n_obs)
    place = frame.var_names.get_indexer(sample.var_names)
    counts = sparse.csr_matrix(sample.X)
    found = sparse.csr_matrix(
        (counts.data.astype(np.int32), place.astype(np.int32)[counts.indices], counts.indptr),
        shape=(sample.n_obs, frame.n_vars),
    )
    found.sort_indices()
    return found


def _refuse(n_cells: int) -> None:
    raise CtcflowError(
        f"{n_cells} cells of the cohort are not those of the samples: the samples changed since"
        " `reduce`; run it again"
    )
