"""Find the format of a path and the files that belong to it; standard library only."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from ctcflow.errors import CtcflowError, of_system
from ctcflow.formats.known import FORMATS
from ctcflow.formats.others import what_it_is
from ctcflow.formats.triplets import (
    CELL_RANGER,
    LAYOUTS,
    Triplet,
    is_matrix,
    one_of,
    stem_of,
    triplet_of,
)

_FOLDER_FORMATS: Final = tuple(name for name, known in FORMATS.items() if not known.endings)
_ENDINGS: Final = tuple(end for known in FORMATS.values() for end in known.endings)
_MTX_FORMATS: Final = ("10x_mtx", "starsolo", "mtx")
_MATRIX: Final = ("matrix.mtx", "matrix.mtx.gz")
_LISTS: Final = {
    f"{word}{end}"
    for words in LAYOUTS[CELL_RANGER][1:4]
    for word in words
    for end in LAYOUTS[CELL_RANGER].endings
}
# Where the called cells are within the output folders of Cell Ranger, STARsolo, kb-python, Parse
# and alevin-fry, best first.
_CALLED_CELLS: Final = (
    "filtered_feature_bc_matrix",
    "filtered_matrix",  # PIPseeker
    "sample_filtered_feature_bc_matrix",
    "filtered_gene_bc_matrices",
    "outs",
    "count",
    "Solo.out",
    "Gene",
    "GeneFull",
    "GeneFull_Ex50pAS",
    "GeneFull_ExonOverIntron",
    "filtered",
    "counts_filtered",
    "DGE_filtered",
    "af_quant",
    "alevin",
)
_DROPLETS: Final = ("raw", "counts_unfiltered", "DGE_unfiltered")
"""Beginnings of the names of folders of unfiltered droplets."""
_CALLED_CELLS_H5: Final = (
    "filtered_feature_bc_matrix.h5",
    "sample_filtered_feature_bc_matrix.h5",
    "filtered_gene_bc_matrices_h5.h5",
)


class Source(NamedTuple):
    """A format and its files; those of a Matrix Market file are as in `triplets.Triplet`."""

    format: str
    files: tuple[Path, ...]


def input_files(path: Path, *, format: str | None) -> list[Path]:
    """List the files that a rule which reads `path` depends on.

    Raises
    ------
    CtcflowError
        As `locate`.
    """
    return list(locate(path, format=format).files)


def locate(path: Path, *, format: str | None) -> Source:
    """Find the files of a count matrix, without opening any.

    Parameters
    ----------
    path
        A file, or an output folder of Cell Ranger, STARsolo or a plate-based pipeline.
    format
        One of `FORMATS`, or None to detect it.

    Raises
    ------
    CtcflowError
        The path is missing, empty, ambiguous, of no known format, or not of the given format; or
        it must not be looked at.
    """
    try:
        return _located(path, format)
    except OSError as error:
        refused = of_system(error, path)
        if refused is None:
            raise
        raise refused from error


def _located(path: Path, format: str | None) -> Source:
    if format is not None and format not in FORMATS:
        raise CtcflowError(
            f"format `{format}` is not known: use one of {', '.join(FORMATS)} or leave it empty"
        )
    if not path.exists():
        raise CtcflowError(
            f"`{path}` does not exist: correct the path (a relative path in a sample sheet"
            " starts at the folder of the sheet)"
        )
    return _locate_folder(path, format) if path.is_dir() else _locate_file(path, format)


def _locate_file(path: Path, format: str | None) -> Source:
    if path.stat().st_size == 0:
        raise CtcflowError(f"`{path}` is empty (0 bytes): copy it again")
    if is_matrix(path.name) and format in (None, *_MTX_FORMATS):
        found = triplet_of(path, _names(path.parent))
        if found is None:
            raise _without_lists(path)
        return Source(format or _flavour(found), found.files)
    if format in _FOLDER_FORMATS:
        raise CtcflowError(
            f"`{path}` is a file, but format `{format}` is a folder: give the folder or"
            " leave the format empty"
        )
    if format is not None:
        return Source(format, (path,))
    other = what_it_is(path.name)
    if other is not None:
        raise CtcflowError(f"`{path}` is {other}")
    for name, known in FORMATS.items():
        if known.endings and path.name.lower().endswith(known.endings):
            return Source(name, (path,))
    raise CtcflowError(
        f"`{path}` has an ending that is not known: rename it to one of {', '.join(_ENDINGS)}"
        " or set the format"
    )


def _locate_folder(path: Path, format: str | None) -> Source:
    names = _names(path)
    if path.name.lower().endswith(".zarr"):
        raise CtcflowError(f"`{path}` is {what_it_is(path.name)}")
    if not names:
        raise CtcflowError(f"`{path}` is an empty folder: copy the count files again")
    if format not in (None, *_FOLDER_FORMATS, "10x_h5"):
        raise CtcflowError(
            f"`{path}` is a folder, but format `{format}` is a file: give the path of the file"
        )
    if format != "per_cell":
        found = _matrix_in(path, want_h5=format == "10x_h5")
        if found is not None and format in _MTX_FORMATS and found.format != "10x_h5":
            return Source(format, found.files)
        if found is not None and format in (None, found.format):
            return found
        matrices = [name for name in names if is_matrix(name)]
        if matrices and format in (None, *_MTX_FORMATS):
            raise _without_lists(path / matrices[0])
    tables = tuple(path / n for n in names if n.lower().endswith(FORMATS["table"].endings))
    if tables and format in (None, "per_cell"):
        return Source("per_cell", tables)
    raise _nothing_in(path, names, format)


def _nothing_in(folder: Path, names: list[str], format: str | None) -> CtcflowError:
    found = f"`{folder}` holds no {format or 'known'} count files (found {_shown(names)}):"
    for name in names:
        other = what_it_is(name)
        if other is not None:
            return CtcflowError(f"{found} {name} is {other}")
    return CtcflowError(
        f"{found} give the folder with matrix.mtx, features.tsv and barcodes.tsv, a folder with"
        " one table per cell, or the file itself"
    )


def _without_lists(matrix: Path) -> CtcflowError:
    """Say which lists were looked for beside a matrix that stands alone."""
    other = what_it_is(matrix.name)
    if other is not None:
        return CtcflowError(f"`{matrix}` is {other}")
    stem, names = stem_of(matrix.name), _names(matrix.parent)
    prefix = stem.removesuffix("matrix")
    if stem == "matrix" or any(f"{prefix}{name}" in names for name in _LISTS):
        return _incomplete(matrix.parent, prefix)
    return CtcflowError(
        f"`{matrix}` has no lists of its genes and cells (found {_shown(names)}): put them beside"
        f" it, as `{stem}_genes.tsv` and `{stem}_barcodes.tsv` in the order of its rows and columns"
    )


def _matrix_in(folder: Path, *, want_h5: bool) -> Source | None:
    """Search the subfolders for the called cells; None where there is no matrix at all."""
    names = _names(folder)
    if not want_h5:
        found = _triplet_in(folder, names)
        if found is not None:
            return Source(_flavour(found), found.files)
    children = [n for n in _CALLED_CELLS if (folder / n).is_dir()]
    children += [n for n in names if n.endswith("Solo.out") and n != "Solo.out"]
    for child in children:
        below = _matrix_in(folder / child, want_h5=want_h5)
        if below is not None:
            return below
    for name in _CALLED_CELLS_H5:
        if name in names:
            return Source("10x_h5", (folder / name,))
    if "per_sample_outs" in names:
        return _matrix_in(_only_sample(folder / "per_sample_outs"), want_h5=want_h5)
    return None if want_h5 else _only_subfolder(folder, names)


def _only_sample(folder: Path) -> Path:
    """Return the only sample of a `cellranger multi` output; more than one is an error."""
    samples = [n for n in _names(folder) if (folder / n).is_dir()]
    if len(samples) != 1:
        raise CtcflowError(
            f"`{folder}` holds {len(samples)} samples ({_shown(samples)}): give the path of one"
        )
    return folder / samples[0]


def _only_subfolder(folder: Path, names: list[str]) -> Source | None:
    """Return the only genome below `filtered_gene_bc_matrices`; more than one is an error."""
    below = [n for n in names if (folder / n).is_dir() and _has_matrix(folder / n)]
    called = [n for n in below if not n.startswith(_DROPLETS)]
    if len(called) > 1:
        raise CtcflowError(
            f"`{folder}` holds {len(called)} matrices ({_shown(called)}): give the path of one"
        )
    if called:
        return _matrix_in(folder / called[0], want_h5=False)
    if below or any(n.startswith(("raw_", *_DROPLETS[1:])) for n in names):
        raise CtcflowError(
            f"`{folder}` holds unfiltered droplets only (found {_shown(names)}): give the folder"
            " of called cells, or that of the droplets itself if they are meant"
        )
    return None


def _has_matrix(folder: Path) -> bool:
    names = _names(folder)
    return any(n.endswith(_MATRIX) for n in names) or bool(triplets_in(folder))


def triplets_in(folder: Path) -> list[Triplet]:
    """Find every matrix of a folder that has its lists beside it.

    Raises
    ------
    CtcflowError
        As `triplets.triplet_of`.
    """
    names = _names(folder)
    found = [triplet_of(folder / name, names) for name in names if is_matrix(name)]
    return one_of([triplet for triplet in found if triplet is not None])


def _triplet_in(folder: Path, names: list[str]) -> Triplet | None:
    """Return the only matrix of a folder with its lists; None where there is none."""
    complete = triplets_in(folder)
    plain = [x for x in complete if x.files[0].name in _MATRIX]
    if plain:
        return plain[0]
    known = {x.files[0].name for x in complete}
    broken = [n for n in names if n.endswith(_MATRIX) and not triplet_of(folder / n, names)]
    several = [*sorted(known), *broken]
    if len(several) > 1:
        raise CtcflowError(
            f"`{folder}` holds {len(several)} matrices ({_shown(several)}): give the path of one"
        )
    if complete:
        return complete[0]
    if not broken and _LISTS.isdisjoint(names):
        return None
    matrix = next((name for name in (*broken, *names) if is_matrix(name)), None)
    raise _incomplete(folder, "") if matrix is None else _without_lists(folder / matrix)


def _incomplete(folder: Path, prefix: str) -> CtcflowError:
    """Name the file that is missing of the three of Cell Ranger."""
    names = _names(folder)
    kinds = (("matrix.mtx",), ("features.tsv", "genes.tsv"), ("barcodes.tsv",))
    wanted = [[f"{prefix}{name}" for name in kind] for kind in kinds]
    missing = [kind[0] for kind in wanted if not {*kind, *(f"{n}.gz" for n in kind)} & {*names}]
    return CtcflowError(
        f"`{folder}` has no {missing[0]} (found {_shown(names)}): copy the folder again"
    )


def _flavour(found: Triplet) -> str:
    if found.producer != CELL_RANGER:
        return "mtx"
    folder = found.files[0].parent.resolve()
    solo = folder.parent.name.startswith("Gene") or folder.parent.name.endswith("Solo.out")
    return "starsolo" if solo and folder.name in ("raw", "filtered") else "10x_mtx"


def _names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))


def _shown(names: list[str]) -> str:
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more
