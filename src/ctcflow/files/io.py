"""Reading and writing files: no file is ever half-written, and a failed read says why."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ctcflow.errors import DAMAGED, CtcflowError, of_system, reason
from ctcflow.files import digests, parts
from ctcflow.keys import CORRECTION, CTCFLOW, Slot
from ctcflow.records.run import RunRecord
from ctcflow.untrusted import first_refused, refuse_other_files

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


_RECORD = "steps"
_OWN = frozenset({CORRECTION.key})
_OF_ZARR = frozenset(
    {".zgroup", ".zattrs", ".zmetadata", "X", "raw"}
    | {"obs", "var", "uns", "layers", "obsm", "varm", "obsp", "varp"}
)
"""All that an AnnData has at the top of a folder of zarr."""
_MOST_TABLE = 50_000_000
"""Bytes of a table of gene sets; all of MSigDB has 20 million."""
_PACKED = (b"PK", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"\x1f\x8b")
"""First bytes of what pandas would unpack, to any size."""


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary path in the folder of `path`; on success flush it and rename it to `path`.

    A process that dies in between leaves no file named `path`, so that a half-written file is never
    mistaken for a result.

    Raises
    ------
    CtcflowError
        The disk is full, the folder must not be written to, or the like.
    """
    try:
        with _written_beside(path) as part:
            yield part
    except OSError as error:
        refused = of_system(error, path, done="written")
        if refused is None:
            raise
        raise refused from error


@contextlib.contextmanager
def _written_beside(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=parts.prefix(path), suffix=parts.SUFFIX, dir=path.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        part.chmod(0o666 & ~umask)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file; it appears only when it is complete."""
    with whole_file(path) as part:
        part.write_bytes(content)


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as TSV, gzipped without a time stamp if the name ends in `.gz`."""
    text = table.to_csv(sep="\t", index=False, lineterminator="\n", float_format="%.6g").encode()
    write_bytes(path, compressed(text, 6) if path.suffix == ".gz" else text)


def compressed(content: bytes | memoryview, level: int) -> bytes:
    """Compress; the same content gives the same bytes at any time and with any Python."""
    import gzip

    buffer = BytesIO()
    # not `gzip.compress`: its header differs between versions of Python
    with gzip.GzipFile("", "wb", level, buffer, mtime=0) as file:
        file.write(content)
    return buffer.getvalue()


def read_table(path: Path) -> pd.DataFrame:
    """Read a TSV (optionally gzipped) that was written by ctcflow or is in the resources folder."""
    import pandas as pd

    try:
        return pd.read_csv(path, sep="\t", keep_default_na=False, na_values=[""])
    except DAMAGED as error:
        raise of_system(error, path) or CtcflowError(
            f"`{path}` cannot be read as a table ({reason(error)}): restore it"
        ) from error


def write_h5ad(path: Path, adata: AnnData, *, delivered: bool) -> None:
    """Write an h5ad; it appears only when it is complete.

    Delivered files are gzipped, so that a flipped bit is noticed when they are read, and what only
    ctcflow reads is collected in uns `ctcflow`. All files are written without nullable strings, so
    that older versions of anndata and readers in R can open them.
    """
    import anndata

    uns = dict(adata.uns)
    if delivered:
        adata.uns = _packed(uns)
    try:
        with (
            whole_file(path) as part,
            anndata.settings.override(allow_write_nullable_strings=False),
        ):
            adata.write_h5ad(part, compression="gzip" if delivered else None)
    finally:
        adata.uns = uns


def write_zarr(path: Path, adata: AnnData) -> None:
    """Write a zarr folder (format 2, which every anndata reads); it appears only when complete.

    Raises
    ------
    CtcflowError
        There is something else of this name, which is not replaced.
    """
    import shutil

    import anndata

    path.parent.mkdir(parents=True, exist_ok=True)
    _refuse_another_folder(path)
    part = Path(tempfile.mkdtemp(prefix=parts.prefix(path), suffix=parts.SUFFIX, dir=path.parent))
    copy = adata.copy()
    copy.uns = _packed(dict(adata.uns))
    try:
        with anndata.settings.override(allow_write_nullable_strings=False, zarr_write_format=2):
            copy.write_zarr(part)
        _refuse_another_folder(path)  # it may have been made while this was written
        if path.exists():
            shutil.rmtree(path)
        part.replace(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _refuse_another_folder(path: Path) -> None:
    """Refuse to replace anything but an earlier export: `--zarr ~/data` must delete nothing."""
    if not os.path.lexists(path):
        return
    names = set(os.listdir(path)) if path.is_dir() and not path.is_symlink() else {""}
    own = {".zgroup", "obs", "var"} <= names <= _OF_ZARR and (path / str(CTCFLOW)).is_dir()
    if names and not own:
        raise CtcflowError(
            f"`{path}` is there already, and no earlier export that could be replaced: name a"
            " folder that does not exist"
        )


def _packed(uns: dict[str, Any]) -> dict[str, Any]:
    """Move records (JSON texts), and the arrays that only ctcflow reads, below one key."""
    moved = {key: value for key, value in uns.items() if isinstance(value, str) or key in _OWN}
    record = {_RECORD if key == CTCFLOW.key else key: value for key, value in moved.items()}
    return {key: uns[key] for key in uns if key not in moved} | {CTCFLOW.key: record}


def _unpacked(uns: dict[str, Any]) -> dict[str, Any]:
    """Undo `_packed`; other keys stay as they are."""
    record = uns.get(CTCFLOW.key)
    if not isinstance(record, dict):
        return uns
    named = {CTCFLOW.key if key == _RECORD else key: value for key, value in record.items()}
    return {key: value for key, value in uns.items() if key != CTCFLOW.key} | named


def read_h5ad(path: Path, *, x_on_disk: bool = False) -> AnnData:
    """Read an h5ad that ctcflow wrote.

    Parameters
    ----------
    path
        The file.
    x_on_disk
        Leave X in the file; rows are read when they are accessed.

    Raises
    ------
    CtcflowError
        The file is missing, truncated or not an h5ad.
    """
    import anndata
    import h5py

    if not path.is_file():
        raise CtcflowError(f"`{path}` is missing: run the step that writes it")
    try:
        with h5py.File(path) as file:
            refuse_other_files(path, file)
        adata = anndata.read_h5ad(path, backed="r" if x_on_disk else None)
    except CtcflowError:
        raise
    except Exception as error:  # h5py and anndata raise many types of error on damaged files
        raise unreadable(path, error) from error
    adata.uns = _unpacked(dict(adata.uns))
    return adata


def record[T](adata: AnnData, slot: Slot, kind: type[T]) -> T:
    """Read the record of a step in `uns`, typed as in `ctcflow.records`; empty where missing.

    Parameters
    ----------
    adata
        Object that holds the record.
    slot
        Slot that holds the record as JSON.
    kind
        Its type. Only mypy checks it; nothing is checked on reading, so that older files can be
        read.
    """
    return cast("T", json.loads(str(adata.uns.get(slot.key) or "{}")))


def sheet_row(adata: AnnData) -> dict[str, Any]:
    """The row of the sample sheet for this sample, including columns that the user added."""
    return record(adata, CTCFLOW, RunRecord).get("sample") or {}


def write_record(adata: AnnData, slot: Slot, value: object) -> None:
    """Write the record of a step to `uns`, as JSON."""
    adata.uns[slot.key] = json.dumps(value, sort_keys=True)


def read_record(path: Path) -> RunRecord:
    """Read `uns["ctcflow"]` of a file: the sample's row and the records of its steps."""
    import h5py

    try:
        with h5py.File(path) as file:
            refuse_other_files(path, file)
            stored = file[str(CTCFLOW)]
            stored = stored[_RECORD] if isinstance(stored, h5py.Group) else stored
            return cast("RunRecord", json.loads(stored.asstr()[()]))
    except DAMAGED as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> CtcflowError:
    """Say why a result cannot be read: only one that is not as written is to be deleted.

    Parameters
    ----------
    path
        The result.
    error
        What the library that reads it has raised.
    """
    refused = of_system(error, path)
    if refused is not None:
        return refused
    try:
        as_written = digests.is_as_written(path)
    except OSError as system:
        return of_system(system, path) or CtcflowError(f"`{path}`: {reason(system)}: try again")
    what = f"`{path}` cannot be read ({reason(error)})"
    if as_written is None and isinstance(error, DAMAGED):
        action = "copy it again; where it is of a run, delete it, the next run rebuilds it"
    elif as_written is None:
        action = "read it with the environment that wrote it"
    elif as_written:
        action = (
            "it is as its step wrote it, so that the fault is elsewhere: read it with the"
            " environment that wrote it (results/provenance/software.tsv)"
        )
    else:
        action = "it is not what its step wrote: delete it, the next run rebuilds it"
    return CtcflowError(f"{what}: {action}")


def read_gene_sets(path: Path) -> pd.DataFrame:
    """Read gene sets as a table with the columns `set`, `gene`, `direction` (and maybe more).

    TSV with a header, or GMT (name, description, genes ...; direction +1).

    Raises
    ------
    CtcflowError
        A column or a name is missing, a direction is not 1 or -1, or there is no gene.
    """
    import pandas as pd

    _refuse_large(path)
    if path.suffix == ".gmt":
        rows = []
        for number, line in enumerate(_lines(path), start=1):
            name, tab, rest = line.partition("\t")
            if not tab:
                raise CtcflowError(
                    f"`{path}` line {number} is `{line[:40]}`: a line of a GMT file is the name, a"
                    " description and genes, separated by tabs"
                )
            rows += [(name, gene, 1) for gene in rest.split("\t")[1:] if gene]
        table = pd.DataFrame(rows, columns=["set", "gene", "direction"])
    else:
        table = read_table(path)
    return checked_gene_sets(table, f"`{path}`")


def _refuse_large(path: Path) -> None:
    """Refuse a table of a user that would not fit into memory, before any of it is read."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise of_system(error, path) or error from error
    if not stat.S_ISREG(found.st_mode):
        raise CtcflowError(f"`{path}` is no file: name a table of gene sets")
    if found.st_size > _MOST_TABLE:
        raise CtcflowError(
            f"`{path}` has {found.st_size:,} bytes: a table of gene sets has at most"
            f" {_MOST_TABLE:,}, name another file"
        )
    with path.open("rb") as file:
        start = file.read(6)
    if start.startswith(_PACKED):
        raise CtcflowError(f"`{path}` is compressed: unpack it")


def checked_gene_sets(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Check a table of gene sets and convert names to text.

    Parameters
    ----------
    table
        Columns `set`, `gene`, `direction` (and maybe more).
    name
        Name of the table in error messages.

    Raises
    ------
    CtcflowError
        A column or a name is missing, a direction is not 1 or -1, or there is no gene.
    """
    import pandas as pd

    missing = [column for column in ("set", "gene", "direction") if column not in table]
    if missing:
        columns = ", ".join(str(column)[:40] for column in table)
        raise CtcflowError(
            f"{name} has no column {', '.join(missing)} (found {columns}): a table of gene sets"
            " needs set, gene, direction"
        )
    if table.empty:
        raise CtcflowError(f"{name} names no gene: add at least one line")
    empty = (table["set"].isna() | table["gene"].isna()).to_numpy()
    if empty.any():
        raise CtcflowError(
            f"{name} row {int(empty.argmax()) + 1} has no set or no gene: fill it in or remove it"
        )
    for column in ("set", "gene"):
        at, why = first_refused(table[column])
        if at >= 0:
            raise CtcflowError(
                f"{name} row {at + 1} has {column} {str(table[column].iloc[at])[:40]!r}: {why}"
            )
    # a panel may be named 2024, and one word among the directions makes the whole column text
    direction = pd.to_numeric(table["direction"].astype(str), errors="coerce")
    wrong = table.loc[~direction.isin([1, -1]), "direction"]
    if len(wrong):
        raise CtcflowError(f"{name} has direction {str(wrong.iloc[0])[:40]!r}: use 1 or -1")
    return table.assign(set=table["set"].astype(str), direction=direction.astype(int))


def _lines(path: Path) -> Sequence[str]:
    try:
        return [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise of_system(error, path) or CtcflowError(
            f"`{path}` cannot be read as text ({reason(error)}): restore it"
        ) from error
