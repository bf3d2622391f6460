"""What a reader hands back, and the checks that all formats share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from ctcflow import keys
from ctcflow.errors import DAMAGED, CtcflowError, reason

if TYPE_CHECKING:
    from anndata import AnnData

Names = npt.NDArray[np.object_]

GENE_EXPRESSION: Final = "Gene Expression"
# Other feature types of Cell Ranger; a third column without any of them is not about modality.
_OTHER_TYPES: Final = frozenset(
    {
        "Antibody Capture",
        "Antigen Capture",
        "CRISPR Guide Capture",
        "Custom",
        "Multiplexing Capture",
        "Peaks",
        "VDJ",
        "VDJ-B",
        "VDJ-T",
        "VDJ-T-GD",
    }
)


class Parts(NamedTuple):
    """A matrix as a reader found it: cells x features, and one name per row and column."""

    x: sparse.csr_matrix
    barcodes: Names
    names: Names
    ids: Names | None
    types: Names | None
    notes: list[str]


class RawCounts(NamedTuple):
    """A count matrix as found, its format, and what a person should know about the reading."""

    adata: AnnData
    format: str
    notes: list[str]


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Turn what goes wrong in a damaged file into one line that names the file."""
    try:
        yield
    except DAMAGED as error:
        raise CtcflowError(
            f"`{path}` cannot be read as {what} ({reason(error)}): check its format and"
            " permissions, or copy it again"
        ) from error


def strings(values: Any) -> Names:
    """Make an object array of str; bytes are decoded as UTF-8."""
    return np.array(
        [v.decode("utf-8") if isinstance(v, bytes) else str(v) for v in values], dtype=object
    )


def assemble(path: Path, parts: Parts, format: str) -> RawCounts:
    """Check a matrix against its names and split off what is not gene expression."""
    from anndata import AnnData

    _check(path, parts)
    ids = parts.ids if parts.ids is not None else np.full(parts.names.size, "", dtype=object)
    notes = list(parts.notes)
    genes = _gene_columns(path, parts)
    x = parts.x if genes.all() else parts.x[:, np.flatnonzero(genes)]
    # Names are set afterwards: the constructor warns of repeated ones, which `ingest` deals with.
    adata = AnnData(X=x)
    adata.obs_names = pd.Index(parts.barcodes, dtype=object)
    adata.var_names = pd.Index(parts.names[genes], dtype=object)
    adata.var[keys.GENE_ID.key] = pd.Series(ids[genes], index=adata.var.index, dtype=object)
    if not genes.all() and parts.types is not None:
        others = np.flatnonzero(~genes)
        adata.obsm[keys.OTHER_FEATURES.key] = parts.x[:, others]
        described = {"name": parts.names, "id": ids, "type": parts.types}
        adata.uns[keys.OTHER_FEATURE_NAMES.key] = json.dumps(
            {key: values[others].tolist() for key, values in described.items()}
        )
        kinds = ", ".join(sorted(set(parts.types[others])))
        notes.append(f"{others.size} features are not genes and are kept apart ({kinds})")
    adata.uns[keys.INGEST.key] = json.dumps({"format": format, "notes": notes})
    return RawCounts(adata, format, notes)


def _check(path: Path, parts: Parts) -> None:
    rows, columns = parts.x.shape
    if (rows, columns) != (parts.barcodes.size, parts.names.size):
        raise CtcflowError(
            f"`{path}` holds a matrix of {rows} cells x {columns} features but names"
            f" {parts.barcodes.size} cells and {parts.names.size} features: copy the files again"
        )
    with reading(path, "a count matrix"):
        parts.x.check_format(full_check=True)
    if parts.x.dtype.kind == "f" and not np.isfinite(parts.x.data).all():
        bad = int((~np.isfinite(parts.x.data)).sum())
        raise CtcflowError(
            f"`{path}` holds {bad} values that are NaN or infinite: give raw counts (write 0"
            " where nothing was counted)"
        )
    if parts.x.dtype.kind not in "iufb":
        raise CtcflowError(f"`{path}` holds {parts.x.dtype} values: give raw counts as numbers")


def _gene_columns(path: Path, parts: Parts) -> npt.NDArray[np.bool_]:
    kinds = set() if parts.types is None else set(parts.types)
    if GENE_EXPRESSION in kinds:
        return np.asarray(parts.types == GENE_EXPRESSION, dtype=bool)
    if kinds & _OTHER_TYPES:
        raise CtcflowError(
            f"`{path}` holds no `{GENE_EXPRESSION}` features (found {', '.join(sorted(kinds))}):"
            " give the library with the RNA counts"
        )
    return np.ones(parts.names.size, dtype=bool)
