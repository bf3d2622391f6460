"""Names of a Matrix Market file and of the lists of genes and cells beside it.

Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from ctcflow.errors import CtcflowError

MATRIX_ENDINGS: Final = (".mtx", ".mtx.gz")
_TSV: Final = (".tsv", ".tsv.gz")
_LISTS: Final = (".tsv", ".tsv.gz", ".txt", ".txt.gz", ".csv", ".csv.gz")


class Layout(NamedTuple):
    """How a producer names its files; any text may stand before."""

    matrix: tuple[str, ...]
    """Names without ending, in lower case; the first that is there is taken."""
    features: tuple[str, ...]
    symbols: tuple[str, ...]
    """Lists of symbols beside lists of ids."""
    barcodes: tuple[str, ...]
    genes_in_rows: bool | None
    """None where only the lengths of the lists can tell."""
    endings: tuple[str, ...] = _LISTS


CELL_RANGER: Final = "Cell Ranger"
_ANYONE: Final = "anyone"
LAYOUTS: Final[dict[str, Layout]] = {
    # also STARsolo and BD Rhapsody (..._MolsPerCell_MEX)
    CELL_RANGER: Layout(("matrix",), ("features", "genes"), (), ("barcodes",), True, _TSV),
    "Parse": Layout(("count_matrix", "dge"), ("all_genes",), (), ("cell_metadata",), False),
    "kb-python": Layout(
        ("cells_x_genes.total", "cells_x_genes"),
        ("cells_x_genes.genes",),
        ("cells_x_genes.genes.names",),
        ("cells_x_genes.barcodes",),
        False,
    ),
    "alevin-fry": Layout(
        ("quants_mat",), ("quants_mat_cols",), (), ("quants_mat_rows",), genes_in_rows=False
    ),
    # downloads from GEO, as their authors named them; "" stands for any name of the matrix
    _ANYONE: Layout(
        (
            *("count_matrix", "counts_matrix", "raw_counts", "gene_counts", "umi_counts"),
            *("expression_matrix", "matrix", "counts", "raw", "umi", "umis", "dge", "mtx", ""),
        ),
        ("features", "genes", "gene", "gene_ids", "feature", "rownames", "all_genes"),
        ("gene_names", "gene_symbols", "genenames", "symbols"),
        (
            *("barcodes", "cells", "barcode", "cell", "cell_ids", "cellids", "cell_names"),
            *("cell_barcodes", "cellnames", "colnames", "cell_metadata"),
        ),
        genes_in_rows=None,
    ),
}


class Triplet(NamedTuple):
    """A matrix with its lists: matrix, features, barcodes, and symbols where these are apart."""

    producer: str
    files: tuple[Path, ...]
    rank: int
    """Place of the name of the matrix among those of its producer."""


def is_matrix(name: str) -> bool:
    """Whether a file is a Matrix Market file by its name."""
    return name.lower().endswith(MATRIX_ENDINGS)


def triplet_of(matrix: Path, names: Sequence[str]) -> Triplet | None:
    """Find the lists that belong to a matrix; None where there are none.

    Parameters
    ----------
    matrix
        Path of the Matrix Market file.
    names
        Names in its folder.

    Raises
    ------
    CtcflowError
        Several files may be the list of its genes or cells.
    """
    stem, by_lower = stem_of(matrix.name), {name.lower(): name for name in names}
    # beside the only matrix of a folder, lists need no prefix
    alone = [""] * (sum(map(is_matrix, names)) == 1)
    for producer, layout in LAYOUTS.items():
        for rank, word in enumerate(layout.matrix):
            if not stem.lower().endswith(word):
                continue
            prefixes = [stem[: len(stem) - len(word)]]
            if not word:
                prefixes = [f"{stem}_", f"{stem}.", f"{stem}-", *alone]
            for prefix in prefixes:
                lists = _lists(matrix.parent, prefix, layout, by_lower)
                if lists is not None:
                    return Triplet(producer, (matrix, *lists), rank)
    return None


def genes_in_rows(files: Sequence[Path]) -> bool | None:
    """Whether the matrix has genes in rows, as its producer writes it; None if not known."""
    found = triplet_of(files[0], [path.name for path in files])
    return None if found is None else LAYOUTS[found.producer].genes_in_rows


def stem_of(name: str) -> str:
    """A name without the ending of a matrix."""
    return next((name[: -len(end)] for end in MATRIX_ENDINGS if name.lower().endswith(end)), name)


def one_of(found: Sequence[Triplet]) -> list[Triplet]:
    """Of the matrices that one producer writes for the same lists, that which it means first."""
    best = dict[tuple[str, tuple[Path, ...]], Triplet]()
    for triplet in sorted(found, key=lambda triplet: triplet.rank):
        lists = triplet.files if triplet.producer == _ANYONE else triplet.files[1:]
        best.setdefault((triplet.producer, lists), triplet)
    return list(best.values())


def _lists(
    folder: Path, prefix: str, layout: Layout, names: Mapping[str, str]
) -> tuple[Path, ...] | None:
    found = [
        _files(prefix, words, layout.endings, names)
        for words in (layout.features, layout.barcodes, layout.symbols)
    ]
    if not found[0]:  # the symbols alone will do
        found = [found[2], found[1], []]
    if not found[0] or not found[1]:
        return None
    for files in found if layout.endings != _TSV else ():
        if len(files) > 1:
            raise CtcflowError(
                f"`{folder}` has {len(files)} lists for one matrix ({', '.join(files)}): leave the"
                " one that belongs to it, under a name such as"
                f" `{prefix}{layout.features[0]}.tsv` or `{prefix}{layout.barcodes[0]}.tsv`"
            )
    return tuple(folder / files[0] for files in found if files)


def _files(
    prefix: str, words: Sequence[str], endings: Sequence[str], names: Mapping[str, str]
) -> list[str]:
    """Names as they are written, of those in lower case that would fit."""
    wanted = (f"{prefix}{word}{end}".lower() for word in words for end in endings)
    return [names[name] for name in wanted if name in names]
