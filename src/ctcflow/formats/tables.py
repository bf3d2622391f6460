"""Text tables: one matrix in one file, or one two-column file per cell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from ctcflow.errors import CtcflowError
from ctcflow.formats import long_table, text, words
from ctcflow.formats.bounds import opened
from ctcflow.formats.known_genes import KnownGenes
from ctcflow.formats.raw import Names, Parts, reading
from ctcflow.formats.values import beyond, summed

VALUES_AT_ONCE: Final = 20_000_000
"""Largest number of table entries in memory at once."""
_NA: Final = ["", "NA", "NaN", "nan"]
_MOST_FILES: Final = 0.8
"""Share of the files of a folder that have one number of genes, if all list every gene."""
_ALIGNED: Final = re.compile(r"([._]?Aligned[.\w]*)?\.(bam|sam|cram)$")
"""What STAR and samtools put behind the name of a cell, which featureCounts keeps."""


class _Body(NamedTuple):
    """All rows of a table: names, counts, and ids and types where the table has them."""

    names: Names
    x: sparse.csr_matrix
    ids: Names | None
    types: Names | None

    def rows(self, which: npt.NDArray[np.bool_]) -> _Body:
        """Select some rows."""
        more = (None if part is None else part[which] for part in (self.ids, self.types))
        return _Body(self.names[which], self.x[np.flatnonzero(which)], *more)


def read_table(path: Path, genes: pd.DataFrame | None) -> Parts:
    """Read one table of genes x cells or cells x genes; the orientation is found from the names.

    Columns and rows that producers write beside the counts (the length of a gene, the cluster of
    a cell) are left out with a note. A table with one line per gene and cell is read as well.

    Raises
    ------
    CtcflowError
        The file is damaged, holds text where counts should be, or neither its rows nor its
        columns look like genes.
    """
    known = KnownGenes.of(genes)
    with reading(path, "a table"):
        head = text.head_of(path)
        if head.n_columns < 2:
            return _no_cells(path, head, known)
        if len(head.header) not in (head.n_columns, head.n_columns - 1):
            raise CtcflowError(
                f"`{path}` has {len(head.header)} names in the first line but {head.n_columns}"
                " columns in the second: give one name per column"
            )
        _refuse_without_header(path, head, known)
        if long_table.is_long(head):
            return long_table.read_long(path, head, VALUES_AT_ONCE)
        columns = text.columns_of(path, head, known)
        if not columns.counts:
            raise CtcflowError(
                f"`{path}` has no column of counts (found {_shown(head.names)}): give a table of"
                " genes x cells"
            )
        body = _body(path, head, columns)
    return _turned(path, head, columns, body, known)


def _turned(
    path: Path, head: text.Head, columns: text.Columns, body: _Body, known: KnownGenes
) -> Parts:
    """Tell genes from cells, and leave out rows that are neither."""
    along = np.array([head.names[at] for at in columns.counts], dtype=object)
    in_rows, in_columns = known.share(body.names), known.share(along)
    if max(in_rows, in_columns) < text.MIN_GENE_SHARE:
        raise CtcflowError(
            f"`{path}` has genes neither in rows ({_first(body.names)}) nor in columns"
            f" ({_first(along)}): name genes by human symbol or Ensembl id"
        )
    genes_in_rows = in_rows >= in_columns
    if genes_in_rows != columns.genes_in_rows and (columns.left or columns.skipped):
        raise CtcflowError(
            f"`{path}` has genes in its rows ({_first(body.names)}) and its columns"
            f" ({_first(along)}): give a table of genes x cells"
        )
    describes = words.is_of_cells if genes_in_rows else words.is_of_genes
    stray = np.array([describes(str(name)) for name in body.names], dtype=bool)
    notes = list[str]()
    if columns.left:
        notes.append(f"columns that hold no counts were left out: {_shown(columns.left)}")
    rows = [*(row.fields[0] for row in columns.skipped), *body.names[stray]]
    if rows:
        notes.append(f"rows that hold no counts were left out: {_shown(rows)}")
    body = body.rows(~stray) if stray.any() else body
    if genes_in_rows:
        note = f"genes are in rows (known: {in_rows:.0%} of rows, {in_columns:.0%} of columns)"
        x = sparse.csr_matrix(body.x.T)
        return Parts(x, _cell_names(along), body.names, body.ids, body.types, [note, *notes])
    note = f"genes are in columns (known: {in_columns:.0%} of columns, {in_rows:.0%} of rows)"
    return Parts(body.x, body.names, along, None, None, [note, *notes])


def _refuse_without_header(path: Path, head: text.Head, known: KnownGenes) -> None:
    name, *others = head.header
    if known.has(name) and others and all(text.is_number(field) for field in others):
        raise CtcflowError(
            f"`{path}` begins with the counts of a gene (`{name}`), not with names of cells: write"
            " a first line that names every column"
        )


def _cell_names(names: Names) -> Names:
    """Names of cells without the folders and endings of the files that were counted."""
    if not all(_ALIGNED.search(str(name)) for name in names):
        return names
    short = [_ALIGNED.sub("", str(name).rsplit("/", 1)[-1]) for name in names]
    return np.array(short, dtype=object) if len(set(short)) == len(short) else names


def _no_cells(path: Path, head: text.Head, known: KnownGenes) -> Parts:
    """Read a table of genes x cells without any cells: only a header and gene names."""
    how = {"header": None, "usecols": [0], "dtype": np.dtype(object)}
    with opened(path) as file:
        names = pd.read_csv(file, sep=head.separator, skiprows=head.first, **how)[0]
    names = names.to_numpy(dtype=object)
    # If the first line is a gene itself, the file is a list of genes and not a table.
    if known.share(names) < text.MIN_GENE_SHARE or known.has(head.header[0]):
        raise CtcflowError(
            f"`{path}` has one column only (first line `{head.header[0][:40]}`): separate the"
            " columns by tabs or commas"
        )
    none = sparse.csr_matrix((0, names.size), dtype=np.int64)
    return Parts(none, names[:0], names, None, None, ["genes are in rows, and there are no cells"])


def read_per_cell(files: tuple[Path, ...]) -> Parts:
    """Read one two-column table (gene, count) per cell; genes in order of first appearance.

    Raises
    ------
    CtcflowError
        A file is damaged or is not a two-column table.
    """
    index: dict[str, int] = {}
    codes: list[npt.NDArray[np.int64]] = []
    values: list[npt.NDArray[np.number]] = []
    repeated, n_genes = 0, list[int]()
    for file in files:
        names, counts = _cell(file)
        n_genes.append(len(names))
        code = np.array([index.setdefault(n, len(index)) for n in names], dtype=np.int64)
        repeated += len(names) - len(set(names))
        codes.append(code)
        values.append(counts)
    _refuse_cut_short(files, n_genes)
    indptr = np.cumsum([0, *(c.size for c in codes)])
    x = sparse.csr_matrix(
        (np.concatenate(values), np.concatenate(codes), indptr), shape=(len(files), len(index))
    )
    # summed as they are where they are no counts: `ingest` refuses what is beyond them
    x = x if beyond(x.data) else summed(x)
    x.eliminate_zeros()
    notes = [f"{len(files)} files, one cell each; cells are named by file"]
    if repeated:
        notes.append(f"{repeated} lines repeat a gene of their file and were summed")
    barcodes = np.array([_stem(f) for f in files], dtype=object)
    return Parts(x, barcodes, np.array(list(index), dtype=object), None, None, notes)


def _refuse_cut_short(files: tuple[Path, ...], n_genes: list[int]) -> None:
    """Refuse a file with fewer genes than the others, which all have one number of them."""
    usual = max(set(n_genes), key=n_genes.count)
    shorter = [at for at, n in enumerate(n_genes) if n < usual]
    if shorter and n_genes.count(usual) >= _MOST_FILES * len(files):
        at = shorter[0]
        raise CtcflowError(
            f"`{files[at]}` has {n_genes[at]} genes, and most files of its folder have {usual}:"
            " copy it again"
        )


def _cell(path: Path) -> tuple[list[str], npt.NDArray[np.number]]:
    with reading(path, "a table of gene and count"):
        head = text.head_of(path)
        beside = [at for at, name in enumerate(head.names) if at and words.is_of_genes(name)]
        counts = [at for at in range(1, head.n_columns) if at not in beside]
        if len(counts) != 1:
            raise CtcflowError(
                f"`{path}` has {head.n_columns} columns, but a table of one cell has two (gene,"
                " count): give the path of the file itself if it is a whole matrix"
            )
        has_header = len(head.header) == head.n_columns and not text.is_number(
            head.header[counts[0]]
        )
        with opened(path) as file:
            frame = pd.read_csv(
                file,
                sep=head.separator,
                header=None,
                names=list(range(head.n_columns)),
                skiprows=head.first - (not has_header),
                dtype={0: np.dtype(object)},
                keep_default_na=False,
                na_values={counts[0]: _NA},
                encoding="utf-8-sig",
            )
    frame = frame[~frame[0].str.startswith("__")]
    return frame[0].tolist(), _numbers(path, frame[counts], head.names)[:, 0]


def _body(path: Path, head: text.Head, columns: text.Columns) -> _Body:
    """Read all rows, in pieces, as names and sparse values."""
    text_columns = [at for at in (columns.names, columns.ids, columns.types) if at is not None]
    fields = {at: list[str]() for at in text_columns}
    blocks: list[sparse.csr_matrix] = []
    for frame in _chunks(path, head, columns, text_columns):
        for at, found in fields.items():
            found += frame[at].tolist()
        blocks.append(sparse.csr_matrix(_numbers(path, frame[columns.counts], head.names)))
    x = sparse.csr_matrix((0, len(columns.counts)))
    if blocks:
        x = sparse.csr_matrix(sparse.vstack(blocks, format="csr"))
    arrays = {at: np.array(found, dtype=object) for at, found in fields.items()}
    ids, types = (None if at is None else arrays[at] for at in (columns.ids, columns.types))
    return _Body(arrays[columns.names], x, ids, types)


def _chunks(
    path: Path, head: text.Head, columns: text.Columns, text_columns: list[int]
) -> Iterator[pd.DataFrame]:
    # Columns are numbered here: pandas would rename repeated cells and guess at R's short header.
    skipped = [row.line for row in columns.skipped]
    try:
        with opened(path) as file:
            yield from pd.read_csv(
                file,
                sep=head.separator,
                header=None,
                names=list(range(head.n_columns)),
                index_col=False,
                skiprows=[*range(head.first), *skipped] if skipped else head.first,
                dtype=dict.fromkeys(text_columns, np.dtype(object)),
                keep_default_na=False,
                na_values=dict.fromkeys(columns.counts, _NA),
                chunksize=max(1, VALUES_AT_ONCE // head.n_columns),
                encoding="utf-8-sig",
            )
    except pd.errors.EmptyDataError:
        return


def _numbers(path: Path, frame: pd.DataFrame, names: list[str]) -> npt.NDArray[np.number]:
    if frame.empty:
        return np.zeros(frame.shape, dtype=np.int64)
    for position, dtype in enumerate(frame.dtypes):
        if not pd.api.types.is_numeric_dtype(dtype):
            column = frame.iloc[:, position]
            # as text, since pandas cannot convert a Python integer of hundreds of digits
            number = pd.to_numeric(column.astype(str), errors="coerce")
            bad = column[~np.isfinite(number)]
            seen = str(bad.iloc[0]) if len(bad) else str(column.iloc[0])
            at = int(frame.columns[position])
            raise text.text_error(path, at, names[at], seen)
    values: npt.NDArray[np.number] = frame.to_numpy()
    return values


def _stem(path: Path) -> str:
    return (path.with_suffix("") if path.suffix.lower() == ".gz" else path).stem


def _first(names: Names) -> str:
    return ", ".join(str(n) for n in names[:3])


def _shown(names: list[str]) -> str:
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(f"`{name[:40]}`" for name in names[:4]) + more
