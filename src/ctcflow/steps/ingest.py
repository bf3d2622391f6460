"""Check a count matrix and bring it into the form that every later step relies on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from ctcflow import keys
from ctcflow.errors import CtcflowError
from ctcflow.files import io
from ctcflow.records.ingest import Features, Ingest
from ctcflow.settings.sample_params import IngestParams
from ctcflow.stats.counts.checks import sum_columns
from ctcflow.stats.counts.gene_names import ids_of_groups, resolve
from ctcflow.steps import gene_features, raw_counts

if TYPE_CHECKING:
    from anndata import AnnData

Names = npt.NDArray[np.object_]

_BESIDE: Final = (
    (keys.PROTEIN, keys.PROTEIN_FEATURES),
    (keys.HASHTAG, keys.HASHTAG_FEATURES),
    (keys.OTHER_FEATURES, keys.OTHER_FEATURE_NAMES),
)
"""Slots of the other modalities, and of the names of their columns."""


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
        X : (n_cells, n_genes) raw counts, canonical CSR, int32 (int64 where counts need it); genes
        in the order of their names.
        var `gene_id`, uns `ingest` (JSON); surface proteins, hashtags and other features as
        returned by the reader.

    Raises
    ------
    CtcflowError
        No genes, no counts, negative, missing, fractional or log-like values, repeated barcodes,
        or names that are not human genes.
    """
    barcodes = adata.obs_names.to_numpy(dtype=object)
    found = adata.var_names.to_numpy(dtype=object)
    _refuse_bad_names(barcodes, found)
    x = raw_counts.as_csr(adata)
    raw_counts.refuse_bad_values(x, barcodes, found)
    x, rounded = raw_counts.whole(x, barcodes, found, params)
    in_file = adata.var.get(keys.GENE_ID.key, None)
    ids = None if in_file is None else in_file.to_numpy(dtype=object)
    gene_features.refuse_another_species(found, ids, genes)
    gene_features.refuse_appended(found, ids)
    apart = gene_features.kept_apart(found, ids, genes, params)
    adata = _with_features(adata, x, found, ids, apart)
    of_genes = np.flatnonzero(apart == "")
    if of_genes.size < found.size:
        x, found, ids = x[:, of_genes], found[of_genes], None if ids is None else ids[of_genes]
    gene_features.refuse_ids_out_of_step(found, ids, genes)
    resolved = resolve(gene_features.without_marks(found, params), ids, genes)
    n_foreign = int((apart == keys.OTHER_SPECIES_TYPE).sum())
    gene_features.refuse_foreign(resolved.recognised, found, n_foreign, cells=barcodes, genes=genes)
    raw_counts.refuse_disguised(x, barcodes, found)
    notes = gene_features.refuse_unknown(x, found, resolved.recognised)
    groups, names = pd.factorize(resolved.names, sort=True)  # no result depends on their order
    raw_counts.refuse_written_twice(x, found, groups)
    summed = sum_columns(x, groups=groups, n_groups=names.size)
    raw_counts.refuse_all_zero(summed, found.size)
    record: Ingest = {
        **io.record(adata, keys.INGEST, Ingest),
        "n_cells": int(barcodes.size),
        "n_genes_found": int(found.size),
        "genes_of_other_species": n_foreign,
        "n_genes": int(names.size),
        **resolved.counted,
        "duplicates_summed": int(found.size - names.size),
        "values_rounded": rounded,
        "mt_genes": sum(str(name).startswith("MT-") for name in names),
        "features_kept_apart": _n_apart(adata),
    }
    notes += gene_features.said_of_rows(resolved, apart, groups)
    record["notes"] = [*record.get("notes", []), *notes, *gene_features.said_of_cells(barcodes)]
    return _build(adata, summed, names, ids_of_groups(resolved.ids, groups, names.size), record)


def _n_apart(adata: AnnData) -> int:
    described = (io.record(adata, slot, Features) for _, slot in _BESIDE)
    return sum(len(features.get("name", [])) for features in described)


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


def _with_features(
    adata: AnnData,
    x: sparse.csr_matrix,
    found: Names,
    ids: Names | None,
    apart: Names,
) -> AnnData:
    """Move what is kept apart to the features that are not genes."""
    columns = np.flatnonzero(apart != "")
    if not columns.size:
        return adata
    before = io.record(adata, keys.OTHER_FEATURE_NAMES, Features)
    parts = [adata.obsm[keys.OTHER_FEATURES.key]] if before else []
    adata.obsm[keys.OTHER_FEATURES.key] = sparse.hstack([*parts, x[:, columns]]).tocsr()
    no_ids = [""] * columns.size
    joined: Features = {
        "name": [*before.get("name", []), *found[columns]],
        "id": [*before.get("id", []), *(no_ids if ids is None else ids[columns])],
        "type": [*before.get("type", []), *apart[columns]],
    }
    io.write_record(adata, keys.OTHER_FEATURE_NAMES, joined)
    return adata


def _build(
    adata: AnnData, x: sparse.csr_matrix, names: Names, ids: Names, record: Ingest
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
        uns={keys.INGEST.key: json.dumps(record)},
    )
    for table, described in _BESIDE:
        if table.key in adata.obsm and described.key in adata.uns:
            built.obsm[table.key] = adata.obsm[table.key]
            built.uns[described.key] = adata.uns[described.key]
    return built
