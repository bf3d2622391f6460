"""Tables of other modalities measured in the same cells: surface proteins and hashtags."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from ctcflow import keys
from ctcflow.formats.features import Kind, is_hashtag
from ctcflow.formats.values import are_counts
from ctcflow.keys import Slot

if TYPE_CHECKING:
    from anndata import AnnData

Names = npt.NDArray[np.object_]

SLOTS: Final[dict[Kind, tuple[Slot, Slot]]] = {
    "protein": (keys.PROTEIN, keys.PROTEIN_FEATURES),
    "hashtag": (keys.HASHTAG, keys.HASHTAG_FEATURES),
}
"""Per kind, the slot of its table, and the slot of the column names as in the file."""
MOST_FEATURES: Final = 1000
"""Largest number of features of a table: it is dense, and antibody panels have up to 300."""
_MIN_CELLS: Final = 0.5
"""Smallest share of the RNA's cells that a modality must have, to belong to the same cells."""


class Table(NamedTuple):
    """Counts of features that are not genes, as found.

    Attributes
    ----------
    kind
        Kind of the features.
    source
        Where it was found, in words for a note.
    x : (n_rows, n_features)
        Counts, of any number type.
    barcodes : (n_rows,)
        Cells of the rows; None if they are those of the RNA counts.
    names, ids, types : (n_features,)
        As in the file; empty text where the file has none.
    """

    kind: Kind
    source: str
    x: sparse.csr_matrix
    barcodes: Names | None
    names: Names
    ids: Names
    types: Names

    def columns(self, kind: Kind, which: npt.NDArray[np.bool_]) -> Table:
        """Select some features, as a table of another kind."""
        at = np.flatnonzero(which)
        described = (self.names[at], self.ids[at], self.types[at])
        return Table(kind, self.source, self.x[:, at], self.barcodes, *described)


def attach(adata: AnnData, tables: Iterable[Table]) -> list[str]:
    """Put tables into obsm, one for each kind; a table that does not fit is left out.

    Parameters
    ----------
    adata
        Gets obsm `protein` and `hashtag` (DataFrames, cells x features, int32, int64 where counts
        need it), and the names as in the file in uns `protein_features` and `hashtag_features`
        (JSON: `name`, `id`, `type`), for the kinds that there are.
    tables
        As found.

    Returns
    -------
    What was kept, renamed and left out, in words.
    """
    notes: list[str] = []
    fitting = defaultdict[Kind, list[Table]](list)
    for table in (part for whole in tables for part in _kinds_apart(whole)):
        before = {name for earlier in fitting[table.kind] for name in earlier.names}
        reason = why_left(table, adata.obs_names, before)
        if reason:
            notes.append(f"{table.source} stays in the file: {reason}")
        else:
            fitting[table.kind].append(table)
    for kind in SLOTS:
        if fitting[kind]:
            notes += _attach_kind(adata, kind, fitting[kind])
    return notes


def _attach_kind(adata: AnnData, kind: Kind, tables: list[Table]) -> list[str]:
    slot, described = SLOTS[kind]
    notes: list[str] = []
    rows = [_rows_of(adata.obs_names, table, notes) for table in tables]
    names, ids, types = (
        np.concatenate([getattr(table, part) for table in tables])
        for part in ("names", "ids", "types")
    )
    columns = _column_names(names)
    adata.obsm[slot.key] = pd.DataFrame(
        _whole(sparse.csr_matrix(sparse.hstack(rows))),
        index=adata.obs_names,
        columns=pd.Index(columns, dtype=object),
        copy=False,
    )
    record = {"name": names.tolist(), "id": ids.tolist(), "type": types.tolist()}
    adata.uns[described.key] = json.dumps(record)
    sources = ", ".join(table.source for table in tables)
    notes.append(f"{names.size} features are kept in obsm `{slot.key}` ({sources})")
    return [*notes, *_renamed(names, columns, slot)]


def _kinds_apart(table: Table) -> Iterator[Table]:
    """Split off hashtags: they are antibodies too, and often listed among the proteins."""
    if table.kind != "protein":
        yield table
        return
    tags = [is_hashtag(str(n), str(i)) for n, i in zip(table.names, table.ids, strict=True)]
    which = np.array(tags, dtype=bool)
    if not which.all():
        yield table.columns("protein", ~which) if which.any() else table
    if which.any():
        yield table.columns("hashtag", which)


def why_left(table: Table, cells: pd.Index, before: Collection[str] = ()) -> str:
    """Why a table cannot be kept in obsm; empty where it can.

    Parameters
    ----------
    table
        As found.
    cells
        Names of the cells.
    before
        Names of features of its kind that are kept already.
    """
    if table.names.size == 0:
        return "it has no features"
    if table.names.size > MOST_FEATURES:
        return f"it has {table.names.size} features, more than {MOST_FEATURES}"
    if not are_counts(table.x.data):
        return "its values are no counts (whole numbers from 0)"
    both = set(before).intersection(table.names)
    if both:
        return f"{len(both)} of its features were read already (e.g. `{min(both)}`)"
    if table.barcodes is None:
        n_rows = table.x.shape[0]
        return "" if n_rows == cells.size else f"it has {n_rows} rows for {cells.size} cells"
    barcodes = pd.Index(table.barcodes)
    if barcodes.has_duplicates:
        return "its barcodes occur more than once"
    n_shared = int(cells.isin(barcodes).sum())
    if n_shared < _MIN_CELLS * cells.size:
        return f"it has {n_shared} of the {cells.size} cells"
    return ""


def _rows_of(cells: pd.Index, table: Table, notes: list[str]) -> sparse.csr_matrix:
    """Counts in the order of the cells; cells missing from the table get zeros and a note."""
    if table.barcodes is None or np.array_equal(table.barcodes, cells.to_numpy(dtype=object)):
        return table.x
    places = pd.Index(table.barcodes, dtype=object).get_indexer(cells)
    missing = places < 0
    if missing.any():
        notes.append(
            f"{int(missing.sum())} cells are not in {table.source}: its counts are 0 there"
        )
    empty = sparse.csr_matrix((1, table.x.shape[1]), dtype=table.x.dtype)
    padded = sparse.csr_matrix(sparse.vstack([table.x, empty]))
    return padded[np.where(missing, table.x.shape[0], places)]


def _whole(x: sparse.csr_matrix) -> npt.NDArray[Any]:
    """Dense array of int32, or of int64 where the counts need it."""
    small = x.nnz == 0 or x.data.max() <= np.iinfo(np.int32).max
    return np.asarray(x.astype(np.int32 if small else np.int64).toarray())


def _column_names(names: Names) -> list[str]:
    """Make names unique and valid in an h5ad: no slash, and none of three reserved names."""
    plain = [str(name).replace("/", "|").replace("\0", "") for name in names]
    plain = [
        f"feature {at}" if name in ("", ".", "_index") else name
        for at, name in enumerate(plain, start=1)
    ]
    taken, unique_names = set(plain), dict[str, None]()
    for name in plain:
        number, unique = 0, name
        while unique in unique_names or (number and unique in taken):
            number += 1
            unique = f"{name}-{number}"
        unique_names[unique] = None
    return list(unique_names)


def _renamed(names: Names, columns: list[str], slot: Slot) -> Iterator[str]:
    changed = [(str(n), c) for n, c in zip(names, columns, strict=True) if str(n) != c]
    if changed:
        name, column = changed[0]
        yield (
            f"{len(changed)} of the names of obsm `{slot.key}` are repeated or cannot stand in an"
            f" h5ad and were changed (e.g. `{name}` to `{column}`)"
        )
