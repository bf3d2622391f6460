"""Names of the genes of a count matrix, without reading any counts."""

from __future__ import annotations

from typing import Any

from ctcflow.formats.detect import Source
from ctcflow.formats.h5 import feature_names, opened
from ctcflow.formats.lists import features_of


def gene_names(source: Source) -> frozenset[str] | None:
    """Symbols and ids (without version) of the genes of a matrix.

    Parameters
    ----------
    source
        Format and files, as `detect.locate` finds them.

    Returns
    -------
    None for text tables and gzipped HDF5, which would have to be read completely.

    Raises
    ------
    CtcflowError
        The file is damaged.
    """
    if source.format in ("10x_mtx", "starsolo", "mtx"):
        names, ids, _ = features_of(source.files)
        return _joined([names] if ids is None else [names, ids])
    packed = source.files[0].name.lower().endswith(".gz")
    if source.format in ("10x_h5", "h5ad", "h5mu", "loom") and not packed:
        with opened(source.files[0]) as file:
            return _joined(feature_names(file))
    return None


def _joined(columns: list[Any]) -> frozenset[str]:
    names = (str(name) for column in columns for name in column)
    return frozenset(name.split(".")[0] if name.startswith("ENSG") else name for name in names)
