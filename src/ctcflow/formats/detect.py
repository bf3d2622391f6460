"""Find the format of a path and the files that belong to it; standard library only."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from ctcflow.errors import CtcflowError
from ctcflow.formats.known import FORMATS

_FOLDER_FORMATS: Final = tuple(name for name, entry in FORMATS.items() if not entry.endings)
_ENDINGS: Final = tuple(end for entry in FORMATS.values() for end in entry.endings)
_MATRIX: Final = ("matrix.mtx", "matrix.mtx.gz")
_BARCODES: Final = ("barcodes.tsv", "barcodes.tsv.gz")
_FEATURES: Final = ("features.tsv", "features.tsv.gz", "genes.tsv", "genes.tsv.gz")
# Where the called cells are within the output folders of Cell Ranger and STARsolo, best first.
_CALLED_CELLS: Final = (
    "filtered_feature_bc_matrix",
    "sample_filtered_feature_bc_matrix",
    "filtered_gene_bc_matrices",
    "outs",
    "count",
    "Solo.out",
    "Gene",
    "GeneFull",
    "filtered",
)
_CALLED_CELLS_H5: Final = (
    "filtered_feature_bc_matrix.h5",
    "sample_filtered_feature_bc_matrix.h5",
    "filtered_gene_bc_matrices_h5.h5",
)


class Source(NamedTuple):
    """A format and its files; for 10x_mtx and starsolo these are matrix, features, barcodes."""

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
        The path is missing, empty, ambiguous, of no known format, or not of the given format.
    """
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
    if path.name.endswith(_MATRIX) and format in (None, "10x_mtx", "starsolo"):
        name = next(n for n in reversed(_MATRIX) if path.name.endswith(n))
        prefix = path.name[: -len(name)]
        return Source(format or _flavour(path.parent), _triplet(path.parent, prefix, path))
    if format in _FOLDER_FORMATS:
        raise CtcflowError(
            f"`{path}` is a file, but format `{format}` is a folder: give the folder or"
            " leave the format empty"
        )
    if format is not None:
        return Source(format, (path,))
    for name, entry in FORMATS.items():
        if entry.endings and path.name.lower().endswith(entry.endings):
            return Source(name, (path,))
    raise CtcflowError(
        f"`{path}` has an ending that is not known: rename it to one of {', '.join(_ENDINGS)}"
        " or set the format"
    )


def _locate_folder(path: Path, format: str | None) -> Source:
    names = _names(path)
    if not names:
        raise CtcflowError(f"`{path}` is an empty folder: copy the count files again")
    if format not in (None, *_FOLDER_FORMATS, "10x_h5"):
        raise CtcflowError(
            f"`{path}` is a folder, but format `{format}` is a file: give the path of the file"
        )
    if format != "per_cell":
        matrix = _matrix_in(path, want_h5=format == "10x_h5")
        if matrix is not None and format in ("10x_mtx", "starsolo") and matrix.format != "10x_h5":
            return Source(format, matrix.files)
        if matrix is not None and format in (None, matrix.format):
            return matrix
    tables = tuple(path / n for n in names if n.lower().endswith(FORMATS["table"].endings))
    if tables and format in (None, "per_cell"):
        return Source("per_cell", tables)
    raise CtcflowError(
        f"`{path}` holds no {format or 'known'} count files (found {_shown(names)}): give the"
        " folder with matrix.mtx, features.tsv and barcodes.tsv, a folder with one table per"
        " cell, or the file itself"
    )


def _matrix_in(folder: Path, *, want_h5: bool) -> Source | None:
    """Search the subfolders for the called cells; None where there is no matrix at all."""
    names = _names(folder)
    is_triplet = _has_matrix(folder) or not {*_BARCODES, *_FEATURES}.isdisjoint(names)
    if is_triplet and not want_h5:
        return Source(_flavour(folder), _triplet(folder, _prefix(folder, names), None))
    children = [n for n in _CALLED_CELLS if (folder / n).is_dir()]
    children += [n for n in names if n.endswith("Solo.out") and n != "Solo.out"]
    for child in children:
        matrix = _matrix_in(folder / child, want_h5=want_h5)
        if matrix is not None:
            return matrix
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
    called = [n for n in below if not n.startswith("raw")]
    if len(called) > 1:
        raise CtcflowError(
            f"`{folder}` holds {len(called)} matrices ({_shown(called)}): give the path of one"
        )
    if called:
        return _matrix_in(folder / called[0], want_h5=False)
    if below or any(n.startswith("raw_") for n in names):
        raise CtcflowError(
            f"`{folder}` holds unfiltered droplets only (found {_shown(names)}): give the folder"
            " of called cells, or that of the droplets itself if they are meant"
        )
    return None


def _has_matrix(folder: Path) -> bool:
    return any(n.endswith(_MATRIX) for n in _names(folder))


def _prefix(folder: Path, names: list[str]) -> str:
    """Find the text before `matrix.mtx`: empty in most folders, but not in GEO downloads."""
    prefixes = {n[: -len(m)] for n in names for m in _MATRIX if n.endswith(m)}
    if "" in prefixes:
        return ""
    if len(prefixes) > 1:
        seen = [n for n in names if n.endswith(_MATRIX)]
        raise CtcflowError(
            f"`{folder}` holds {len(prefixes)} matrices ({_shown(seen)}): give the path of one"
        )
    return prefixes.pop() if prefixes else ""


def _triplet(folder: Path, prefix: str, matrix: Path | None) -> tuple[Path, Path, Path]:
    triplet = [matrix] if matrix is not None else []
    wanted = (_MATRIX, _FEATURES, _BARCODES)
    for kind in wanted[len(triplet) :]:
        files = [folder / (prefix + n) for n in kind if (folder / (prefix + n)).is_file()]
        if not files:
            raise CtcflowError(
                f"`{folder}` has no {prefix}{kind[0]} (found {_shown(_names(folder))}): copy the"
                " folder again"
            )
        if files[0].stat().st_size == 0 and kind is _MATRIX:
            raise CtcflowError(f"`{files[0]}` is empty (0 bytes): copy it again")
        triplet.append(files[0])
    return triplet[0], triplet[1], triplet[2]


def _flavour(folder: Path) -> str:
    above = folder.resolve().parent
    solo = above.name.startswith("Gene") or above.name.endswith("Solo.out")
    return "starsolo" if solo and folder.resolve().name in ("raw", "filtered") else "10x_mtx"


def _names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))


def _shown(names: list[str]) -> str:
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more
