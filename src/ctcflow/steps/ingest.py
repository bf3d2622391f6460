"""Check a count matrix and bring it into the form that every later step relies on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from ctcflow import keys
from ctcflow.errors import CtcflowError
from ctcflow.files import io
from ctcflow.settings.sample_params import IngestParams
from ctcflow.stats.counts import checks as counts
from ctcflow.stats.counts.gene_names import ids_of_groups, of_other_species, resolve

if TYPE_CHECKING:
    from anndata import AnnData

Names = npt.NDArray[np.object_]

_BESIDE: Final = (
    (keys.PROTEIN, keys.PROTEIN_FEATURES),
    (keys.HASHTAG, keys.HASHTAG_FEATURES),
    (keys.OTHER_FEATURES, keys.OTHER_FEATURE_NAMES),
)
"""Slots of the other modalities, and of the names of their columns."""
_MIN_GENES: Final = 200
_MIN_SHARE: Final = 0.1


def ingest(adata: AnnData, genes: pd.DataFrame, *, params: IngestParams) -> AnnData:
    """Validate raw counts and name genes by symbol.

    A gene whose Ensembl id is in `genes` gets the symbol given there; other ids are used as names.
    Genes that end up with the same name are summed. Genes of another species (with a prefix such as
    `mm10_`, or an Ensembl id of another species) are moved to the other features.

    Parameters
    ----------
    adata
        As returned by `formats.read`: X cells x genes (sparse or dense, any number type), var
        `gene_id` where the file has ids. Columns of obs are not read.
    genes
        `resources/genes`: columns `gene_id` and `symbol`, both text.
    params
        What to do with values that are not integers.

    Returns
    -------
    AnnData
        X : (n_cells, n_genes) raw counts, canonical CSR, int32 (int64 where counts need it).
        var `gene_id`, uns `ingest` (JSON); surface proteins, hashtags and other features as
        returned by the reader.

    Raises
    ------
    CtcflowError
        No genes, no counts, negative, missing, fractional or log-like values, repeated barcodes,
        or names that are not human genes.
    """
    barcodes = adata.obs_names.to_numpy(dtype=object)
    names_in_file = adata.var_names.to_numpy(dtype=object)
    _refuse_bad_names(barcodes, names_in_file)
    x = _csr(adata)
    _refuse_bad_values(x, barcodes, names_in_file)
    x, rounded = _whole(x, barcodes, names_in_file, params)
    ids = adata.var.get(keys.GENE_ID.key, None)
    ids = None if ids is None else ids.to_numpy(dtype=object)
    foreign = of_other_species(names_in_file, ids)
    adata = _with_features(adata, x, names_in_file, ids, foreign)
    if foreign.any():
        human = np.flatnonzero(~foreign)
        x, names_in_file, ids = (
            x[:, human],
            names_in_file[human],
            None if ids is None else ids[human],
        )
    resolved = resolve(names_in_file, ids, genes)
    _refuse_foreign(resolved.recognised, names_in_file)
    groups, names = pd.factorize(resolved.names)
    summed = counts.sum_columns(x, groups=groups, n_groups=names.size)
    _refuse_all_zero(summed, names_in_file.size)
    log: dict[str, Any] = {
        **io.record(adata, keys.INGEST, dict),
        "n_cells": int(barcodes.size),
        "n_genes_found": int(names_in_file.size),
        "genes_of_other_species": int(foreign.sum()),
        "n_genes": int(names.size),
        **resolved.counted,
        "duplicates_summed": int(names_in_file.size - names.size),
        "values_rounded": rounded,
    }
    log.setdefault("notes", [])
    return _build(adata, summed, names, ids_of_groups(resolved.ids, groups, names.size), log)


def _refuse_bad_names(barcodes: Names, names: Names) -> None:
    if names.size == 0:
        raise CtcflowError("the matrix has 0 genes: give the file with the raw counts")
    unnamed = [str(n) for n in names].count("")
    if unnamed:
        raise CtcflowError(f"{unnamed} of {names.size} genes have an empty name: name every gene")
    repeated = pd.Index(barcodes)[pd.Index(barcodes).duplicated()].unique()
    if repeated.size:
        shown = ", ".join(f"`{b}`" for b in repeated[:3])
        raise CtcflowError(
            f"{repeated.size} barcodes occur more than once (e.g. {shown}): give each lane or"
            " library a row and a file of its own"
        )


def _csr(adata: AnnData) -> sparse.csr_matrix:
    if adata.X is None:
        raise CtcflowError("the matrix has no values (X is empty): give a file with raw counts")
    x = sparse.csr_matrix(adata.X)
    if x.dtype.kind == "b":
        x = x.astype(np.int32)
    if not x.has_canonical_format:
        # Copy: the matrix may belong to the caller, and duplicates are summed in place.
        x = x.copy()
        x.sum_duplicates()
    return x


def _refuse_bad_values(x: sparse.csr_matrix, barcodes: Names, names: Names) -> None:
    if x.dtype.kind not in "iuf":
        raise CtcflowError(f"X holds {x.dtype} values: give raw counts as numbers")
    if x.dtype.kind == "f" and not np.isfinite(x.data).all():
        bad = ~np.isfinite(x.data)
        raise CtcflowError(
            f"X holds {int(bad.sum())} values that are NaN or infinite (first in"
            f" {_where(x, int(bad.argmax()), barcodes, names)}): give raw counts, 0 where nothing"
            " was counted"
        )
    if x.nnz and x.data.min() < 0:
        at = int(x.data.argmin())
        raise CtcflowError(
            f"X holds {int((x.data < 0).sum())} negative values (lowest {x.data[at]:.4g} in"
            f" {_where(x, at, barcodes, names)}): looks scaled or batch-corrected, give raw counts"
        )


def _where(x: sparse.csr_matrix, position: int, barcodes: Names, names: Names) -> str:
    row = int(np.searchsorted(x.indptr, position, side="right")) - 1
    return f"cell `{barcodes[row]}`, gene `{names[x.indices[position]]}`"


def _whole(
    x: sparse.csr_matrix, barcodes: Names, names: Names, params: IngestParams
) -> tuple[sparse.csr_matrix, int]:
    """Refuse or round values that are not integers; return the number of rounded values."""
    first = counts.first_not_whole(x.data)
    if first < 0:
        return x, 0
    seen = f"e.g. {x.data[first]:.4g} in {_where(x, first, barcodes, names)}"
    if x.data.max() > counts.LARGEST_EXACT:
        raise CtcflowError(f"X holds values up to {x.data.max():.4g}: give raw counts")
    if counts.looks_log_normalised(x):
        raise CtcflowError(
            f"X looks log-normalised, give raw counts ({seen}, largest {x.data.max():.4g}): in an"
            ' h5ad put them in X or layers["counts"]'
        )
    total = counts.normalised_sums(x)
    if not np.isnan(total):
        raise CtcflowError(
            f"X looks normalised to {total:.6g} per cell (CPM or TPM), give raw counts ({seen})"
        )
    if params.counts == "integer":
        raise CtcflowError(
            f"X holds values that are not whole numbers ({seen}): give raw counts, or if these are"
            " expected counts (RSEM) set ingest.counts to expected"
        )
    whole = x.copy()
    whole.data = np.rint(x.data)
    return whole, int((whole.data != x.data).sum())


def _refuse_all_zero(x: sparse.csr_matrix, n_found: int) -> None:
    if x.shape[0] and x.nnz == 0:
        raise CtcflowError(
            f"all values are zero ({x.shape[0]} cells x {n_found} genes): give raw counts, or a"
            " file with 0 cells if nothing was found"
        )


def _with_features(
    adata: AnnData,
    x: sparse.csr_matrix,
    names_in_file: Names,
    ids: Names | None,
    foreign: npt.NDArray[np.bool_],
) -> AnnData:
    """Move genes of another species to the features that are not genes."""
    if not foreign.any():
        return adata
    columns = np.flatnonzero(foreign)
    added = {
        "name": names_in_file[columns].tolist(),
        "id": [""] * columns.size if ids is None else ids[columns].tolist(),
        "type": [keys.OTHER_SPECIES_TYPE] * columns.size,
    }
    before = io.record(adata, keys.OTHER_FEATURE_NAMES, dict)
    parts = [adata.obsm[keys.OTHER_FEATURES.key]] if before else []
    adata.obsm[keys.OTHER_FEATURES.key] = sparse.hstack([*parts, x[:, columns]]).tocsr()
    joined = {key: [*before.get(key, []), *values] for key, values in added.items()}
    io.write_record(adata, keys.OTHER_FEATURE_NAMES, joined)
    return adata


def _refuse_foreign(recognised: npt.NDArray[np.bool_], names_in_file: Names) -> None:
    n, share = int(recognised.sum()), float(recognised.mean())
    if n < _MIN_GENES and share < _MIN_SHARE:
        shown = ", ".join(f"`{g}`" for g in names_in_file[:5])
        raise CtcflowError(
            f"only {n} of {names_in_file.size} gene names are known human genes (first names:"
            f" {shown}): name genes by human symbol or Ensembl id"
        )


def _build(
    adata: AnnData, x: sparse.csr_matrix, names: Names, ids: Names, log: dict[str, Any]
) -> AnnData:
    from anndata import AnnData

    built = AnnData(
        X=x,
        # anndata converts other empty columns with an option that pandas has deprecated
        obs=pd.DataFrame(
            index=pd.Index(adata.obs_names.to_numpy(dtype=object), dtype=object),
            columns=pd.array([], dtype="str"),
        ),
        # as object dtype, which any version of anndata reads back
        var=pd.DataFrame(
            {keys.GENE_ID.key: ids}, index=pd.Index(names, dtype=object), dtype=object
        ),
        uns={keys.INGEST.key: json.dumps(log)},
    )
    for table, described in _BESIDE:
        if table.key in adata.obsm and described.key in adata.uns:
            built.obsm[table.key] = adata.obsm[table.key]
            built.uns[described.key] = adata.uns[described.key]
    return built
