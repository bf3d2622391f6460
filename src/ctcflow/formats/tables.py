"""Text tables: one matrix in one file, or one two-column file per cell."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from ctcflow.errors import CtcflowError
from ctcflow.formats.bounds import opened
from ctcflow.formats.raw import Names, Parts, reading

_ENSEMBL: Final = re.compile(r"(?:\w+?_+)?ENS[A-Z]{0,4}G\d{11}(?:\.\d+)?(?:_PAR_Y)?$")
_GENOME_PREFIX: Final = re.compile(r"^(?:hg19|hg38|GRCh37|GRCh38)[_-]+", re.IGNORECASE)
VALUES_AT_ONCE: Final = 20_000_000
"""Largest number of table entries in memory at once."""
_MIN_GENE_SHARE: Final = 0.1


class _Layout(NamedTuple):
    separator: str
    header: list[str]
    n_columns: int


def read_table(path: Path, genes: pd.DataFrame | None) -> Parts:
    """Read one table of genes x cells or cells x genes; the orientation is found from the names.

    Raises
    ------
    CtcflowError
        The file is damaged, holds text where counts should be, or neither its rows nor its
        columns look like genes.
    """
    with reading(path, "a table"):
        layout = _layout(path)
        if layout.n_columns < 2:
            return _no_cells(path, layout, genes)
        if len(layout.header) not in (layout.n_columns, layout.n_columns - 1):
            raise CtcflowError(
                f"`{path}` has {len(layout.header)} names in the first line but {layout.n_columns}"
                " columns in the second: give one name per column"
            )
        rows, x = _body(path, layout)
    columns = np.array(layout.header[-(layout.n_columns - 1) :], dtype=object)
    in_rows, in_columns = (_gene_share(n, genes) for n in (rows, columns))
    if max(in_rows, in_columns) < _MIN_GENE_SHARE:
        raise CtcflowError(
            f"`{path}` has genes neither in rows ({_first(rows)}) nor in columns"
            f" ({_first(columns)}): name genes by human symbol or Ensembl id"
        )
    if in_rows >= in_columns:
        note = f"genes are in rows (known: {in_rows:.0%} of rows, {in_columns:.0%} of columns)"
        return Parts(sparse.csr_matrix(x.T), columns, rows, None, None, [note])
    note = f"genes are in columns (known: {in_columns:.0%} of columns, {in_rows:.0%} of rows)"
    return Parts(x, rows, columns, None, None, [note])


def _no_cells(path: Path, layout: _Layout, genes: pd.DataFrame | None) -> Parts:
    """Read a table of genes x cells without any cells: only a header and gene names."""
    how = {"header": None, "usecols": [0], "dtype": np.dtype(object)}
    with opened(path) as file:
        names = pd.read_csv(file, sep=layout.separator, skiprows=1, **how)[0]
    names = names.to_numpy(dtype=object)
    # If the first line is a gene itself, the file is a list of genes and not a table.
    header = np.array(layout.header[:1], dtype=object)
    if _gene_share(names, genes) < _MIN_GENE_SHARE or _gene_share(header, genes) > 0:
        raise CtcflowError(
            f"`{path}` has one column only (first line `{layout.header[0][:40]}`): separate the"
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
    repeated = 0
    for file in files:
        names, counts = _cell(file)
        code = np.array([index.setdefault(n, len(index)) for n in names], dtype=np.int64)
        repeated += len(names) - len(set(names))
        codes.append(code)
        values.append(counts)
    indptr = np.cumsum([0, *(c.size for c in codes)])
    x = sparse.csr_matrix(
        (np.concatenate(values), np.concatenate(codes), indptr), shape=(len(files), len(index))
    )
    x.sum_duplicates()
    x.eliminate_zeros()
    notes = [f"{len(files)} files, one cell each; cells are named by file"]
    if repeated:
        notes.append(f"{repeated} lines repeat a gene of their file and were summed")
    barcodes = np.array([_stem(f) for f in files], dtype=object)
    return Parts(x, barcodes, np.array(list(index), dtype=object), None, None, notes)


def _cell(path: Path) -> tuple[list[str], npt.NDArray[np.number]]:
    with reading(path, "a table of gene and count"):
        layout = _layout(path)
        if layout.n_columns != 2:
            raise CtcflowError(
                f"`{path}` has {layout.n_columns} columns, but a table of one cell has two (gene,"
                " count): give the path of the file itself if it is a whole matrix"
            )
        has_header = len(layout.header) == 2 and not _is_number(layout.header[1])
        with opened(path) as file:
            frame = pd.read_csv(
                file,
                sep=layout.separator,
                header=None,
                names=["gene", "count"],
                skiprows=int(has_header),
                dtype={"gene": np.dtype(object)},
                keep_default_na=False,
                na_values={"count": ["", "NA", "NaN", "nan"]},
                encoding="utf-8-sig",
            )
    frame = frame[~frame["gene"].str.startswith("__")]
    return frame["gene"].tolist(), _numbers(path, frame[["count"]])[:, 0]


def _layout(path: Path) -> _Layout:
    """Look at the first two lines: separator, header, number of columns."""
    with io.TextIOWrapper(opened(path), encoding="utf-8-sig") as file:
        lines = [line for line in (file.readline(), file.readline()) if line.strip()]
    if not lines:
        raise CtcflowError(f"`{path}` has no lines: copy it again")
    if "\0" in lines[0]:
        raise CtcflowError(f"`{path}` is not a text file: check its format or copy it again")
    # R writes a header that is one name short, so the second line gives the number of columns.
    counted = {s: lines[-1].count(s) for s in ("\t", ",", ";", " ")}
    separator = max(counted, key=lambda s: counted[s])
    header, last = (_split(line, separator) for line in (lines[0], lines[-1]))
    has_values = len(header) > 1 or any(last[1:])
    return _Layout(separator, header, len(last) if has_values else 1)


def _split(line: str, separator: str) -> list[str]:
    try:
        fields = next(csv.reader([line], delimiter=separator))
    except csv.Error as error:
        raise ValueError(f"the first lines: {error}") from error
    return [field.strip() for field in fields]


def _body(path: Path, layout: _Layout) -> tuple[Names, sparse.csr_matrix]:
    """Read all lines but the first, in pieces, as names and sparse values."""
    names: list[str] = []
    blocks: list[sparse.csr_matrix] = []
    for frame in _chunks(path, layout):
        names += frame[0].tolist()
        blocks.append(sparse.csr_matrix(_numbers(path, frame.drop(columns=0))))
    if not blocks:
        return np.array([], dtype=object), sparse.csr_matrix((0, layout.n_columns - 1))
    x = sparse.csr_matrix(sparse.vstack(blocks, format="csr"))
    return np.array(names, dtype=object), x


def _chunks(path: Path, layout: _Layout) -> Iterator[pd.DataFrame]:
    # Columns are numbered here: pandas would rename repeated cells and guess at R's short header.
    try:
        with opened(path) as file:
            yield from pd.read_csv(
                file,
                sep=layout.separator,
                header=None,
                names=list(range(layout.n_columns)),
                index_col=False,
                skiprows=1,
                dtype={0: np.dtype(object)},
                keep_default_na=False,
                na_values={c: ["", "NA", "NaN", "nan"] for c in range(1, layout.n_columns)},
                chunksize=max(1, VALUES_AT_ONCE // layout.n_columns),
                encoding="utf-8-sig",
            )
    except pd.errors.EmptyDataError:
        return


def _numbers(path: Path, frame: pd.DataFrame) -> npt.NDArray[np.number]:
    if frame.empty:
        return np.zeros(frame.shape, dtype=np.int64)
    for position, dtype in enumerate(frame.dtypes):
        if not pd.api.types.is_numeric_dtype(dtype):
            column = frame.iloc[:, position]
            # as text, since pandas cannot convert a Python integer of hundreds of digits
            number = pd.to_numeric(column.astype(str), errors="coerce")
            bad = column[~np.isfinite(number)]
            seen = str(bad.iloc[0]) if len(bad) else str(column.iloc[0])
            raise CtcflowError(
                f"`{path}` holds text where counts should be (column"
                f" {frame.columns[position]}: `{seen[:40]}`): keep one column of names"
            )
    values: npt.NDArray[np.number] = frame.to_numpy()
    return values


def _gene_share(names: Names, genes: pd.DataFrame | None) -> float:
    """Share of names that are an Ensembl id or in the gene table."""
    if names.size == 0:
        return 0.0
    known_names: set[str] = set() if genes is None else {*genes["gene_id"], *genes["symbol"]}
    bare = [_GENOME_PREFIX.sub("", str(n)) for n in names]
    return sum(n in known_names or _ENSEMBL.match(n) is not None for n in bare) / len(bare)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _stem(path: Path) -> str:
    return (path.with_suffix("") if path.suffix.lower() == ".gz" else path).stem


def _first(names: Names) -> str:
    return ", ".join(str(n) for n in names[:3])
