"""Find the libraries (count matrices) below a folder.

Standard library only. Only what `ingest` can read is found; of the rest it is said why.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from ctcflow.errors import CtcflowError
from ctcflow.formats.detect import locate, triplets_in
from ctcflow.formats.known import FORMATS
from ctcflow.formats.others import what_it_is
from ctcflow.formats.triplets import is_matrix
from ctcflow.settings.sample import LONGEST_NAME, is_name
from ctcflow.settings.sheet import why_refused_cell

_ROOTS: Final = re.compile(
    r"outs|.*Solo\.out|(sample_)?filtered_(feature_bc_matrix|gene_bc_matrices)(_h5)?(\.h5)?"
    r"|(counts|DGE)_filtered"
)
"""Names of files and folders that mark their parent as the folder of one library."""
_DROPLETS: Final = re.compile(r"raw_.*|(counts|DGE)_unfiltered|.*_Unfiltered_MEX")
"""Names of folders of unfiltered droplets."""
_DROPLET_FILES: Final = ("raw_feature_bc", "raw_gene_bc", "unfiltered")
_TABLES: Final = FORMATS["table"].endings
_ONE_FILE: Final = tuple(
    end for name, known in FORMATS.items() if name != "table" for end in known.endings
)
_SAYS_NOTHING: Final = re.compile(
    r"outs|count|multi|per_sample_outs|filtered|Gene(Full.*)?|(.*)Solo\.out|GRCh38.*|hg19|data"
    r"|(sample_)?filtered_.*|counts?|matrix|adata|(counts|DGE)_filtered|cells_x_genes(\.total)?"
    r"|(af_)?quant(s_mat)?|alevin|count_matrix|DGE"
)
"""Parts of a path that are the same for every library, and so do not name it."""
_ENDINGS: Final = re.compile(
    r"([_.-]*(sample_)?filtered(_feature_bc_matrix|_gene_bc_matrices(_h5)?)?"
    r"|[_.-]*matrix|(^|[_.-]+)((raw|umi|gene)[_.-])?(counts?|DGE)([_.-]?matrix)?)?"
    r"(\.(h5|hdf5|h5ad|h5mu|loom|mtx)(\.gz)?)?$"
)
_OF_DROPLETS: Final = "holds unfiltered droplets: give it as `raw_path` of its library"
_NO_COUNTS: Final = "is no file of counts"


class Library(NamedTuple):
    """One library: a unique name, its counts, and its unfiltered droplets if there are any."""

    name: str
    path: Path
    raw_path: Path | None


class Found(NamedTuple):
    """Libraries in the order of their paths, and what is none, with the reason."""

    libraries: list[Library]
    left_out: list[str]
    """What looks like a library and cannot be read."""
    passed_over: tuple[str, ...] = ()
    """What does not look like one."""


def libraries_below(folder: Path) -> Found:
    """Find outputs of Cell Ranger, STARsolo, Parse, kb and alevin-fry, and files of one library.

    Folders of finished runs and of unfiltered droplets are passed over; a folder that several links
    point to is searched once. Text tables are not found, because any text file may be one. Hidden
    files and folders are not looked at.

    Parameters
    ----------
    folder
        Folder to search, with its subfolders.

    Raises
    ------
    CtcflowError
        The folder does not exist.
    """
    root = folder.resolve()
    why = why_refused_cell(str(root))
    if why:
        raise CtcflowError(f"`{folder}` cannot be written to a sheet ({why})")
    if not root.is_dir():
        raise CtcflowError(f"`{folder}` is not a folder: give the one that holds the libraries")
    paths: list[tuple[Path, Path | None]] = []
    left_out: list[str] = []
    passed_over: list[str] = []
    for path in sorted(_candidates(root, set(), left_out, passed_over)):
        why = why_refused_cell(str(path))
        if why:
            left_out.append(f"`{path}` cannot be written to a sheet ({why})")
            continue
        try:
            source = locate(path, format=None)
        except CtcflowError as error:
            left_out.append(str(error))
        else:
            paths.append((path, _droplets(source.files[0])))
    names = _names([path for path, _ in paths], root)
    found = [Library(name, *pair) for name, pair in zip(names, paths, strict=True)]
    passed_over.sort(key=lambda line: (line.endswith(_NO_COUNTS), line))
    return Found(found, left_out, tuple(passed_over))


def _candidates(
    folder: Path, entered: set[Path], left_out: list[str], passed_over: list[str]
) -> Iterator[Path]:
    """Folders and files that are one library each."""
    real = folder.resolve()
    if real in entered:
        return
    entered.add(real)
    try:
        children = [x for x in folder.iterdir() if not x.name.startswith(".")]
        for child in children[:1]:
            child.is_dir()  # refused where a folder may be listed and not entered
    except OSError as error:
        left_out.append(f"`{folder}` cannot be read: {error.strerror}")
        return
    # search real folders before links, so that a folder is listed under its own name
    children.sort(key=lambda child: (child.is_symlink(), child))
    several = folder / "outs" / "per_sample_outs"
    if several.is_dir():
        yield from sorted(path for path in several.iterdir() if path.is_dir())
    elif any(_ROOTS.fullmatch(child.name) for child in children):
        yield folder
    elif (folder / ".snakemake").is_dir():
        passed_over.append(f"`{folder}` is a run of ctcflow or Snakemake")
    elif not children:
        passed_over.append(f"`{folder}` is an empty folder")
    else:
        yield from _flat(folder, children, left_out, passed_over)
        for child in children:
            why = _why_no_folder(child) if child.is_dir() else ""
            if why:
                passed_over.append(f"`{child}` {why}")
            elif child.is_dir():
                yield from _candidates(child, entered, left_out, passed_over)


def _why_no_folder(folder: Path) -> str:
    """Why a folder is not searched; empty if it is."""
    if _DROPLETS.fullmatch(folder.name):
        return _OF_DROPLETS
    return f"is {what_it_is(folder.name)}" if folder.suffix == ".zarr" else ""


def _flat(
    folder: Path, children: Sequence[Path], left_out: list[str], passed_over: list[str]
) -> Iterator[Path]:
    """Matrices that are side by side in one folder, as in downloads from GEO."""
    try:
        triplets = triplets_in(folder)
    except CtcflowError as error:
        left_out.append(str(error))
        triplets = []
    of_triplets = {path.name for triplet in triplets for path in triplet.files}
    matrices = {triplet.files[0].name for triplet in triplets}
    droplets = {name for name in matrices if _is_of_droplets(name)}
    tables = []
    for child in children:
        if not child.is_file():
            continue
        if child.name in of_triplets:
            if child.name in matrices - droplets:
                yield folder if _is_plain(child.name) else child
            continue
        why = _why_no_file(child.name)
        if not why:
            yield child
        elif child.name.lower().endswith(_TABLES):
            tables.append(child)
        else:
            passed_over.append(f"`{child}` {why}")
    passed_over += [f"`{folder / name}` {_OF_DROPLETS}" for name in sorted(droplets)]
    if len(tables) > 1:
        passed_over.append(
            f"`{folder}` holds {len(tables)} text files: put those that are tables of counts into"
            " the sheet by hand, or the folder if each is of one cell"
        )
    elif tables:
        passed_over.append(
            f"`{tables[0]}` is text: if it is a table of counts, put it into the sheet by hand"
        )


def _is_of_droplets(name: str) -> bool:
    """Whether a matrix is named as Cell Ranger names that of all droplets."""
    lower = name.lower()
    raw = lower.endswith(("matrix.mtx", "matrix.mtx.gz")) and "raw" in lower
    if "count" in lower:  # raw counts are what is wanted
        raw = False
    return raw or any(word in lower for word in _DROPLET_FILES)


def _is_plain(name: str) -> bool:
    """Whether a matrix has a name that its folder stands for."""
    return name in (
        "matrix.mtx",
        "matrix.mtx.gz",
        "cells_x_genes.mtx",
        "count_matrix.mtx",
        "quants_mat.mtx",
    )


def _why_no_file(name: str) -> str:
    """Why a file is no library; empty if it may be one."""
    other = what_it_is(name)
    if other is not None:
        return f"is {other}"
    if not (is_matrix(name) or name.lower().endswith(_ONE_FILE)):
        return _NO_COUNTS
    return _OF_DROPLETS if _is_of_droplets(name) else ""


def _droplets(counts: Path) -> Path | None:
    """Unfiltered droplets, where they are written next to the called cells."""
    for path in (counts, *counts.parents[:2]):
        if "filtered" in path.name:
            for called in ("raw", "unfiltered"):
                beside = path.with_name(path.name.replace("filtered", called))
                beside = beside / counts.relative_to(path).parent
                with contextlib.suppress(CtcflowError):
                    locate(beside, format=None)
                    return beside
            return None
    return None


def _names(paths: Sequence[Path], root: Path) -> list[str]:
    """Sample names: the shortest endings of the paths that are unique."""
    telling = [_telling(path, root) for path in paths]
    names = [_name(parts[-1:]) for parts in telling]
    if len(set(names)) < len(names):
        names = [
            _name(parts[-2:]) if names.count(name) > 1 else name
            for parts, name in zip(telling, names, strict=True)
        ]
    taken: set[str] = set()
    for place, name in enumerate(names):
        names[place] = free_name(name, taken)
        taken.add(names[place])
    return names


def free_name(name: str, taken: Collection[str]) -> str:
    """A name that is not taken and that a sample may have: with a number added if need be."""
    number, free = 1, name
    while free in taken:
        number += 1
        end = f"_{number}"
        free = name[: LONGEST_NAME - len(end)] + end
    return free


def _telling(path: Path, root: Path) -> list[str]:
    parts = [root.name, *path.relative_to(root).parts]
    told = [part for part in parts[1:-1] if not _SAYS_NOTHING.fullmatch(part)]
    last = _ENDINGS.sub("", parts[-1]) if path.is_file() else parts[-1]
    if last and not _SAYS_NOTHING.fullmatch(last) and len(parts) > 1:
        told.append(last)
    return told or [root.name]


def _name(parts: Sequence[str]) -> str:
    text = re.sub(r"[^A-Za-z0-9_-]+", "_", "_".join(parts)).strip("_-")
    name = text[:LONGEST_NAME].rstrip("_-")
    if not name:
        return "sample"
    return name if is_name(name) else f"sample_{name}"
