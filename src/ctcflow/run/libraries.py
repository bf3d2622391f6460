"""Find the libraries (count matrices) below a folder.

Standard library only. Only what `ingest` can read is found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from ctcflow.errors import CtcflowError
from ctcflow.formats.detect import locate

_ROOTS: Final = re.compile(
    r"outs|.*Solo\.out|(sample_)?filtered_(feature_bc_matrix|gene_bc_matrices)(_h5)?(\.h5)?"
)
"""Names of files and folders that mark their parent as the folder of one library."""
_TRIPLET: Final = re.compile(r"(.*?)matrix\.mtx(\.gz)?")
_ONE_FILE: Final = (".h5", ".hdf5", ".h5ad", ".h5mu")
_SAYS_NOTHING: Final = re.compile(
    r"outs|count|multi|per_sample_outs|filtered|Gene(Full)?|(.*)Solo\.out|GRCh38.*|hg19|data"
    r"|(sample_)?filtered_.*|counts?|matrix|adata"
)
"""Parts of a path that are the same for every library, and so do not name it."""
_ENDINGS: Final = re.compile(
    r"([_.-]*(sample_)?filtered(_feature_bc_matrix|_gene_bc_matrices(_h5)?)?|[_.-]*matrix)?"
    r"(\.(h5|hdf5|h5ad|h5mu|mtx|mtx\.gz))?$"
)
_LONGEST_NAME: Final = 64


class Library(NamedTuple):
    """One library: a unique name, its counts, and its unfiltered droplets if there are any."""

    name: str
    path: Path
    raw_path: Path | None


class Found(NamedTuple):
    """Libraries in the order of their paths, and folders that cannot be read, with the reason."""

    libraries: list[Library]
    left_out: list[str]


def libraries_below(folder: Path) -> Found:
    """Find Cell Ranger and STARsolo outputs, 10x `.h5`, `.h5ad` and `.h5mu` files.

    Folders of finished runs, folders of unfiltered droplets and hidden folders are skipped; a
    folder that several links point to is searched once. Text tables are not found, because any text
    file may be one.

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
    if not root.is_dir():
        raise CtcflowError(f"`{folder}` is not a folder: give the one that holds the libraries")
    paths: list[tuple[Path, Path | None]] = []
    left_out: list[str] = []
    for path in sorted(_candidates(root, set(), left_out)):
        try:
            source = locate(path, format=None)
        except CtcflowError as error:
            left_out.append(str(error))
        else:
            paths.append((path, _droplets(source.files[0])))
    names = _names([path for path, _ in paths], root)
    libraries = [Library(name, *pair) for name, pair in zip(names, paths, strict=True)]
    return Found(libraries, left_out)


def _candidates(folder: Path, entered: set[Path], left_out: list[str]) -> Iterator[Path]:
    """Folders and files that are one library each."""
    real = folder.resolve()
    if real in entered:
        return
    entered.add(real)
    try:
        children = [x for x in folder.iterdir() if not x.name.startswith((".", "raw_"))]
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
        return
    else:
        yield from _flat(folder, children)
        for child in children:
            if child.is_dir():
                yield from _candidates(child, entered, left_out)


def _flat(folder: Path, children: Sequence[Path]) -> Iterator[Path]:
    """Matrices that are side by side in one folder, as in downloads from GEO."""
    for child in children:
        if not child.is_file():
            continue
        triplet = _TRIPLET.fullmatch(child.name)
        if triplet is not None and "raw" not in triplet[1]:
            yield child if triplet[1] else folder
        elif child.suffix in _ONE_FILE and "raw_feature_bc" not in child.name:
            yield child


def _droplets(counts: Path) -> Path | None:
    """Unfiltered droplets, where Cell Ranger and STARsolo write them next to the called cells."""
    for path in (counts, *counts.parents[:2]):
        if "filtered" in path.name:
            beside = path.with_name(path.name.replace("filtered", "raw"))
            beside = beside / counts.relative_to(path).parent
            try:
                locate(beside, format=None)
            except CtcflowError:
                return None
            return beside
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
    seen: dict[str, int] = {}
    for place, name in enumerate(names):
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            names[place] = f"{name}_{seen[name]}"
    return names


def _telling(path: Path, root: Path) -> list[str]:
    parts = [root.name, *path.relative_to(root).parts]
    told = [part for part in parts[1:-1] if not _SAYS_NOTHING.fullmatch(part)]
    last = _ENDINGS.sub("", parts[-1]) if path.is_file() else parts[-1]
    if last and not _SAYS_NOTHING.fullmatch(last) and len(parts) > 1:
        told.append(last)
    return told or [root.name]


def _name(parts: Sequence[str]) -> str:
    text = re.sub(r"[^A-Za-z0-9_-]+", "_", "_".join(parts)).strip("_-")
    return text[:_LONGEST_NAME] or "sample"
