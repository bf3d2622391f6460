"""Check a count matrix and bring it into the form that every later step relies on."""

from __future__ import annotations

import json
import re
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
from ctcflow.stats.counts import checks as counts
from ctcflow.stats.counts.gene_names import (
    Resolved,
    agreement,
    ids_of_groups,
    in_mouse_case,
    of_other_species,
    out_of_step,
    repeated_id,
    resolve,
    share_of_human_ids,
    splicing_of,
)

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
_MOST_UNKNOWN: Final = 0.05
_FEWEST_GENES: Final = 100
"""Largest share of all counts in a feature that is no known gene, and how many genes a matrix must
have for this to tell something."""
_FEWEST_CELLS: Final = 5
"""Cells with counts from which on two rows of a gene with the same counts are no chance."""
_MOST_UNKNOWN_TOGETHER: Final = 0.3
"""Largest share of all counts in all features that are no known genes."""
_MANY_PAIRS: Final = 20
_FEWEST_PAIRS: Final = 3
_LEAST_AGREEMENT: Final = 0.95
_LEAST_OF_FEW: Final = 0.5
"""Of genes whose id and name are both known."""
_MOST_IN_MOUSE_CASE: Final = 20
_FEWEST_HUMAN_IDS: Final = 0.1
_ENSEMBL: Final = re.compile(r"ENSG\d{11}(?:\.\d+)?(?:_PAR_Y)?")
_UNSPLICED: Final = "unspliced counts"
_FEWEST_REPEATS: Final = 3
_SECOND_OF_NAME: Final = "the name of a gene, without an Ensembl id as the gene has"
_NAMED: Final = "named in ingest.not_genes"


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
    found = adata.var_names.to_numpy(dtype=object)
    _refuse_bad_names(barcodes, found)
    x = _csr(adata)
    _refuse_bad_values(x, barcodes, found)
    x, rounded = _whole(x, barcodes, found, params)
    ids = adata.var.get(keys.GENE_ID.key, None)
    ids = None if ids is None else ids.to_numpy(dtype=object)
    _refuse_another_species(found, ids, genes)
    _refuse_appended(found, ids)
    apart = _kept_apart(found, ids, genes, params)
    adata = _with_features(adata, x, found, ids, apart)
    if (apart != "").any():
        of_genes = np.flatnonzero(apart == "")
        x, found = x[:, of_genes], found[of_genes]
        ids = None if ids is None else ids[of_genes]
    _refuse_ids_out_of_step(found, ids, genes)
    resolved = resolve(_without_marks(found, params), ids, genes)
    _refuse_foreign(resolved.recognised, found, int((apart == keys.OTHER_SPECIES_TYPE).sum()))
    _refuse_disguised(x, barcodes, found, resolved.recognised)
    groups, names = pd.factorize(resolved.names)
    _refuse_written_twice(x, found, groups)
    summed = counts.sum_columns(x, groups=groups, n_groups=names.size)
    _refuse_all_zero(summed, found.size)
    record: Ingest = {
        **io.record(adata, keys.INGEST, Ingest),
        "n_cells": int(barcodes.size),
        "n_genes_found": int(found.size),
        "genes_of_other_species": int((apart == keys.OTHER_SPECIES_TYPE).sum()),
        "n_genes": int(names.size),
        **resolved.counted,
        "duplicates_summed": int(found.size - names.size),
        "values_rounded": rounded,
        "mt_genes": sum(str(name).startswith("MT-") for name in names),
        "features_kept_apart": _n_apart(adata),
    }
    record["notes"] = [*record.get("notes", []), *_said_of(resolved, apart)]
    return _build(adata, summed, names, ids_of_groups(resolved.ids, groups, names.size), record)


def _n_apart(adata: AnnData) -> int:
    described = (io.record(adata, slot, Features) for _, slot in _BESIDE)
    return sum(len(features.get("name", [])) for features in described)


def _refuse_another_species(found: Names, ids: Names | None, genes: pd.DataFrame) -> None:
    if ids is not None and share_of_human_ids(ids) < _FEWEST_HUMAN_IDS:
        raise CtcflowError(
            f"the ids of the genes are not human (first: `{ids[0]}` of `{found[0]}`): give human"
            " data"
        )
    n = in_mouse_case(found, ids, set(genes["symbol"]))
    if n > _MOST_IN_MOUSE_CASE:
        raise CtcflowError(
            f"{n} of {found.size} names are human symbols in the case of mouse genes (such as"
            " `Actb`), and the file has few of them in capitals too: give human data with symbols"
            " as they are written (`ACTB`), or Ensembl ids"
        )


def _kept_apart(
    found: Names, ids: Names | None, genes: pd.DataFrame, params: IngestParams
) -> Names:
    """Why each feature is kept apart from the genes; empty for genes."""
    apart = np.full(found.size, "", dtype=object)
    if params.unspliced == "leave out":
        apart[splicing_of(found) == "U"] = _UNSPLICED
    apart[of_other_species(found, ids, set(genes["symbol"]))] = keys.OTHER_SPECIES_TYPE
    apart[np.isin(found.astype(str), params.not_genes)] = _NAMED
    apart[(apart == "") & _of_a_genes_name(found, ids)] = _SECOND_OF_NAME
    return apart


def _of_a_genes_name(found: Names, ids: Names | None) -> npt.NDArray[np.bool_]:
    """Features that have the name of a gene, and no Ensembl id as that gene has: antibodies."""
    if ids is None:
        return np.zeros(found.size, dtype=bool)
    of_ensembl = np.array([_ENSEMBL.fullmatch(str(own)) is not None for own in ids], dtype=bool)
    return ~of_ensembl & np.isin(found.astype(str), found[of_ensembl].astype(str))


def _refuse_appended(found: Names, ids: Names | None) -> None:
    """Refuse a table whose last rows repeat names of genes, as antibodies that were put below."""
    repeats = np.flatnonzero(pd.Series(found).duplicated())
    at_the_end = repeats.size >= _FEWEST_REPEATS and repeats[0] == found.size - repeats.size
    if at_the_end and (ids is None or not any(ids)):
        shown = ", ".join(f"`{name}`" for name in found[repeats[:3]])
        raise CtcflowError(
            f"the last {repeats.size} features repeat names of others ({shown}), as antibodies that"
            " were put below the genes: write `ADT_` before their names, or leave them out"
        )


def _without_marks(found: Names, params: IngestParams) -> Names:
    """Names without alevin-fry's marks of spliced, unspliced and ambiguous counts."""
    marks = splicing_of(found)
    marked = marks != ""
    if not marked.any():
        return found
    if params.unspliced == "refuse":
        n_unspliced, n_ambiguous = int((marks == "U").sum()), int((marks == "A").sum())
        raise CtcflowError(
            f"the file has spliced, unspliced and ambiguous counts of genes apart ({n_unspliced}"
            f" names end in -U, {n_ambiguous} in -A, as alevin-fry writes them): set"
            " ingest.unspliced to `add` (as Cell Ranger 7 and later count) or to `leave out`"
        )
    return np.where(marked, [str(name)[:-2] for name in found], found)


def _refuse_ids_out_of_step(found: Names, ids: Names | None, genes: pd.DataFrame) -> None:
    if ids is None:
        return
    n_agree, n_pairs = agreement(found, ids, genes)
    least = _LEAST_AGREEMENT if n_pairs >= _MANY_PAIRS else _LEAST_OF_FEW
    if n_pairs >= _FEWEST_PAIRS and n_agree < least * n_pairs:
        raise CtcflowError(
            f"ids and names of genes do not belong together: of {n_pairs} genes of which both are"
            f" known, {n_agree} agree (first: `{ids[0]}` is named `{found[0]}`): a column is out of"
            " step, write the file again from its source"
        )
    at = out_of_step(found, ids, genes)
    if at >= 0:
        raise CtcflowError(
            f"ids and names of some genes do not belong together (first: `{ids[at]}` is named"
            f" `{found[at]}`, the name of the id beside it): part of a column is out of step, write"
            " the file again from its source"
        )
    pair = repeated_id(found, ids)
    if pair is not None:
        first, second = pair
        raise CtcflowError(
            f"several genes have one id (first: `{ids[first]}` is `{found[first]}` and"
            f" `{found[second]}`): write the file again from its source"
        )


def _refuse_disguised(
    x: sparse.csr_matrix, barcodes: Names, found: Names, recognised: npt.NDArray[np.bool_]
) -> None:
    """Refuse whole numbers that are no counts, a cell that is none, a gene that is none."""
    what = counts.whole_but_no_counts(x)
    if what:
        raise CtcflowError(f"X holds {what}: give raw counts")
    pair = counts.same_rows(x)
    if pair is not None:
        raise CtcflowError(
            f"cells `{barcodes[pair[1]]}` and `{barcodes[pair[0]]}` hold the same counts: give"
            " every cell once"
        )
    row, why = counts.no_cell(x)
    if row >= 0:
        raise CtcflowError(
            f"`{barcodes[row]}` stands among the cells and is none ({why}): remove it"
        )
    share = counts.share_of_columns(x)
    of_ensembl = np.array([_ENSEMBL.fullmatch(str(name)) is not None for name in found], dtype=bool)
    share[recognised | of_ensembl] = 0.0
    if share.size >= _FEWEST_GENES and share.max() > _MOST_UNKNOWN:
        at = int(share.argmax())
        raise CtcflowError(
            f"`{found[at]}` is no known gene and holds {share[at]:.0%} of all counts: remove it, or"
            " name it in ingest.not_genes to keep it apart"
        )
    if share.size >= _FEWEST_GENES and share.sum() > _MOST_UNKNOWN_TOGETHER:
        largest = ", ".join(f"`{found[at]}`" for at in np.argsort(-share, kind="stable")[:3])
        raise CtcflowError(
            f"{np.count_nonzero(share)} features are no known genes and hold {share.sum():.0%} of"
            f" all counts (most: {largest}): name genes by human symbol or Ensembl id, and give"
            " other features a type"
        )


def _refuse_written_twice(x: sparse.csr_matrix, found: Names, groups: npt.NDArray[np.intp]) -> None:
    """Refuse rows of one gene that hold the same counts: summed, they would count twice."""
    repeated = np.flatnonzero(pd.Series(groups).duplicated(keep=False))
    if not repeated.size:
        return
    columns = sparse.csr_matrix(x.tocsc()[:, repeated].T)
    # a column more that tells genes apart, so that only rows of one gene are compared
    gene = sparse.csr_matrix(groups[repeated].astype(np.int64)[:, None] + 1)
    pair = counts.same_rows(sparse.hstack([columns, gene]).tocsr(), fewest=_FEWEST_CELLS + 1)
    if pair is not None:
        first, second = (found[repeated[at]] for at in sorted(pair))
        raise CtcflowError(
            f"genes `{first}` and `{second}` hold the same counts and are one gene: give every gene"
            " once"
        )


def _said_of(resolved: Resolved, apart: Names) -> list[str]:
    """What was done with names, in words."""
    notes = [
        f"{len(pairs)} names were mended: {why} (e.g. `{pairs[0][0]}` to `{pairs[0][1]}`)"
        for why, pairs in resolved.mended.items()
    ]
    for why in dict.fromkeys(apart[apart != ""]):
        notes.append(f"{int((apart == why).sum())} features are kept apart from the genes: {why}")
    return notes


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
    if x.nnz and x.data.max() > counts.LARGEST_EXACT:
        raise CtcflowError(f"X holds values up to {x.data.max():.4g}: give raw counts")
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


def _refuse_foreign(recognised: npt.NDArray[np.bool_], found: Names, n_other_species: int) -> None:
    n, share = int(recognised.sum()), float(recognised.mean())
    if n < _MIN_GENES and share < _MIN_SHARE:
        shown = ", ".join(f"`{g}`" for g in found[:5])
        raise CtcflowError(
            f"only {n} of {found.size} gene names are known human genes (first names: {shown}"
            + (f"; {n_other_species} of another species beside" if n_other_species else "")
            + "): name genes by human symbol or Ensembl id"
        )


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
