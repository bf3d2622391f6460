"""The cohort in the schema of CELLxGENE Discover, version 7 (github.com/chanzuckerberg)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from ctcflow import keys
from ctcflow.errors import CtcflowError

if TYPE_CHECKING:
    from anndata import AnnData

UNKNOWN: Final = "unknown"
_ANY_ASSAY: Final = "EFO:0008913"  # single-cell RNA sequencing
_ANY_CANCER: Final = "MONDO:0004992"
_NORMAL: Final = "PATO:0000461"
_BLOOD: Final = "UBERON:0000178"
_HUMAN: Final = "NCBITaxon:9606"
_LABELS: Final = (
    *("assay", "cell_type", "development_stage", "disease", "self_reported_ethnicity", "sex"),
    *("tissue", "organism", "ethnicity"),
)
"""Columns that the portal fills in itself; the schema forbids them in a file."""
_OF_PERSON: Final = ("sex", "development_stage", "self_reported_ethnicity")


def for_cellxgene(
    adata: AnnData, *, terms: pd.DataFrame, retired: pd.DataFrame, title: str
) -> AnnData:
    """Put a delivered cohort into the form that the schema's validator accepts.

    Parameters
    ----------
    adata
        Result of `cluster`, with layers `counts` (n_cells, n_genes).
    terms
        `column`, `value`, `term`: ontology terms of cell types, cancer types and chemistries.
    retired
        `gene_id` of the shipped genes that are missing from the schema's release of GENCODE.
    title
        Title of the data set.

    Returns
    -------
    AnnData
        X log-normalised, raw counts in raw; var by Ensembl id; obs with the schema's columns and
        ctcflow's own (`cell_type` as `author_cell_type`); obsm arrays whose names begin with `X_`.
        A column of the schema (`sex_ontology_term_id`, ...) is copied from the sample sheet where
        the sheet has it; otherwise its value is `unknown`.

    Raises
    ------
    CtcflowError
        There are no cells or no counts, or no gene has an Ensembl id.
    """
    import anndata

    if keys.COUNTS_LAYER.key not in adata.layers or adata.n_obs == 0:
        raise CtcflowError(
            "the cohort has no cell"
            if adata.n_obs == 0
            else "the file of the cohort holds no raw counts, being large: set `cluster: {genes:"
            " full}` in config.yaml and run again"
        )
    ids = adata.var[keys.GENE_ID.key].astype(str)
    used = ((ids != "") & ~ids.isin(retired["gene_id"]) & ~ids.duplicated()).to_numpy()
    if not used.any():
        raise CtcflowError("no gene of the cohort has a known Ensembl id, which CELLxGENE asks for")
    var = pd.DataFrame({"gene_symbol": adata.var_names[used]}, index=pd.Index(ids[used], name=None))
    counts = adata.layers[keys.COUNTS_LAYER.key][:, used].astype(np.float32)
    result = anndata.AnnData(counts, obs=_obs(adata.obs, terms), var=var)
    result.raw = result
    result.X = adata.X[:, used]
    result.var["feature_is_filtered"] = False
    for key, value in adata.obsm.items():
        if key.startswith("X_") and value.shape[1] >= 2:
            result.obsm[key] = np.asarray(value)
    result.uns = {
        "title": title,
        "organism_ontology_term_id": _HUMAN,
        "default_embedding": keys.X_UMAP.key,
        "class_colors": _hex(adata.uns[keys.CLASS_COLOURS.key]),
        "cluster_colors": _hex(adata.uns[keys.CLUSTER_COLOURS.key]),
        "author_cell_type_colors": _hex(adata.uns[keys.TYPE_COLOURS.key]),
    }
    return result


def _hex(colours: Any) -> Any:
    return np.array([str(colour) for colour in colours])


def _obs(obs: pd.DataFrame, terms: pd.DataFrame) -> pd.DataFrame:
    """Columns of the schema, and ctcflow's own under names that the schema leaves free."""
    free = {name: f"author_{name}" for name in _LABELS if name in obs}
    columns = obs.rename(columns=free).drop(columns=[c for c in obs if c.startswith("__")])
    for name in columns:
        if not pd.api.types.is_numeric_dtype(columns[name]):
            columns[name] = pd.Categorical(columns[name].astype(str))
    term = {
        kind: dict(zip(table["value"], table["term"], strict=True))
        for kind, table in terms.groupby("column")
    }
    schema_columns: dict[str, Any] = {
        "cell_type_ontology_term_id": obs[keys.CELL_TYPE.key].astype(str).map(term["cell_type"]),
        "assay_ontology_term_id": _text(obs, "chemistry").map(
            {name: assay(name, term["chemistry"]) for name in set(_text(obs, "chemistry"))}
        ),
        "disease_ontology_term_id": _diseases(obs, term["cancer_type"]),
        "tissue_ontology_term_id": _BLOOD,
        "tissue_type": "tissue",
        "suspension_type": "cell",
        "donor_id": _text(obs, "patient"),
        **{f"{name}_ontology_term_id": UNKNOWN for name in _OF_PERSON},
    }
    for name, values in schema_columns.items():
        if name not in columns:
            column = pd.Series(values, index=obs.index, dtype=object).fillna(UNKNOWN)
            columns[name] = pd.Categorical(column.astype(str))
    columns["is_primary_data"] = True
    return columns


def _text(obs: pd.DataFrame, name: str) -> pd.Series:
    values = obs[name] if name in obs else pd.Series("", index=obs.index)
    values = values.astype(object)
    return values.where(values.notna(), "").astype(str).astype(object)


def _diseases(obs: pd.DataFrame, terms: dict[str, str]) -> pd.Series:
    of_cancer = _text(obs, "cancer_type").map(terms).fillna(_ANY_CANCER)
    return of_cancer.where(_text(obs, "role") == "patient", _NORMAL)


def assay(chemistry: str, terms: dict[str, str]) -> str:
    """Ontology term of the known assay that shares most words with a chemistry of the sheet.

    For example, `10x 3' v3.1` contains all words of `10x_3p_v3`.
    """
    text = chemistry.lower().replace("'", "p").replace(" prime", "p").replace("-prime", "p")
    words = set(re.findall("[a-z0-9]+", text))
    fitting = [name for name in terms if set(name.split("_")) <= words]
    return terms[max(fitting, key=lambda name: len(name.split("_")))] if fitting else _ANY_ASSAY
