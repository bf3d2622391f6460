"""The file of a frozen reference: a zip of plain `.npy` arrays and `manifest.json`; no pickle."""

from __future__ import annotations

import ast
import io
import json
import math
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from ctcflow.errors import DAMAGED, CtcflowError, of_system, reason
from ctcflow.records.reference import Manifest
from ctcflow.untrusted import first_refused

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

FORMAT: Final = 2
"""Version of the format; a bundle of another one is refused."""
_MANIFEST: Final = "manifest.json"
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_UNIX: Final = 3
_MODE: Final = 0o644 << 16


class Reference(NamedTuple):
    """All that is needed to map a new sample.

    n cells, g genes, d components, K soft clusters, L lineages, T scored types of m marker genes.
    """

    manifest: Manifest
    genes: npt.NDArray[np.str_]
    """(g,) symbols of the genes that the principal components are computed from."""
    gene_ids: npt.NDArray[np.str_]
    """(g,) Ensembl ids, empty where unknown."""
    means: npt.NDArray[np.float64]
    """(g,) means of the log-normalised values, which were centred and not scaled."""
    loadings: npt.NDArray[np.float64]
    """(g, d)"""
    cluster_sizes: npt.NDArray[np.float64]
    """(K,) sizes of Harmony's soft clusters; K is 0 where Harmony was not fitted."""
    cluster_sums: npt.NDArray[np.float64]
    """(K, d) sums of the corrected points of each soft cluster."""
    lineages: npt.NDArray[np.str_]
    """(L,) names; L is 0 where the linear method was not fitted."""
    lineage_means: npt.NDArray[np.float64]
    """(L, d) means of the corrected points of each lineage."""
    embedding: npt.NDArray[np.float32]
    """(n, d) corrected points."""
    umap: npt.NDArray[np.float32]
    """(n, 2)"""
    cluster: npt.NDArray[np.int32]
    """(n,) code of the Leiden cluster."""
    cell_type: npt.NDArray[np.int32]
    """(n,) code of the cell type."""
    group: npt.NDArray[np.int32]
    """(n,) code of cluster and cell type together."""
    group_means: npt.NDArray[np.float32]
    """(groups, g) mean log-normalised values."""
    marker_genes: npt.NDArray[np.str_]
    """(m,) symbols of the genes that types are scored by."""
    marker_loadings: npt.NDArray[np.float64]
    """(m, T) weight of each gene in the score of each scored type."""
    type_scores: npt.NDArray[np.float32]
    """(n, T) averaged over neighbours."""


_ARRAYS: Final = Reference._fields[1:]
_SHAPES: Final = {
    "genes": ("U", "g"),
    "gene_ids": ("U", "g"),
    "means": ("f8", "g"),
    "loadings": ("f8", "g", "d"),
    "cluster_sizes": ("f8", "K"),
    "cluster_sums": ("f8", "K", "d"),
    "lineages": ("U", "L"),
    "lineage_means": ("f8", "L", "d"),
    "embedding": ("f4", "n", "d"),
    "umap": ("f4", "n", 2),
    "cluster": ("i4", "n"),
    "cell_type": ("i4", "n"),
    "group": ("i4", "n"),
    "group_means": ("f4", "groups", "g"),
    "marker_genes": ("U", "m"),
    "marker_loadings": ("f8", "m", "T"),
    "type_scores": ("f4", "n", "T"),
}
"""Kind of each array, and its lengths: those of one letter are equal (see `Reference`)."""
_FINITE: Final = ("means", "loadings", "cluster_sizes", "cluster_sums", "embedding", "group_means")
_MOST_MANIFEST: Final = 20_000_000
"""Bytes of a manifest; one of 200 samples has 200,000."""
_MOST_HEADER: Final = 10_000


def packed(reference: Reference) -> bytes:
    """Pack a reference; the same one gives the same bytes."""
    import numpy as np

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        text = json.dumps(reference.manifest, sort_keys=True, indent=1) + "\n"
        archive.writestr(_member(_MANIFEST), text)
        for name in _ARRAYS:
            member = io.BytesIO()
            np.save(member, getattr(reference, name), allow_pickle=False)
            archive.writestr(_member(f"{name}.npy"), member.getbuffer())
    return buffer.getvalue()


def _member(name: str) -> zipfile.ZipInfo:
    """Describe a member of the zip file without time, user or operating system."""
    member = zipfile.ZipInfo(name, _EPOCH)
    member.create_system, member.external_attr = _UNIX, _MODE
    return member


def listing(path: Path) -> bytes:
    """Name, size and checksum of each part, as the bundle lists them: equal for equal bundles.

    Raises
    ------
    CtcflowError
        The file is missing, or is not a bundle.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            parts = [[x.filename, x.file_size, x.CRC] for x in archive.infolist()]
    except (*DAMAGED, zipfile.BadZipFile) as error:
        raise _unreadable(path, error) from error
    return json.dumps(parts).encode()


def read_manifest(path: Path) -> Manifest:
    """Read the manifest of a bundle; of the arrays only what they are is looked at.

    Raises
    ------
    CtcflowError
        The file is missing, is not a bundle, or has another version of the format; or an array is
        missing, of another kind, or of a length that does not fit the others.
    """
    try:
        with _opened(path) as archive:
            return _manifest(path, archive)
    except (*DAMAGED, zipfile.BadZipFile) as error:
        raise _unreadable(path, error) from error


def read(path: Path) -> Reference:
    """Read a whole bundle.

    Raises
    ------
    CtcflowError
        As for `read_manifest`, or an array is damaged.
    """
    import numpy as np

    try:
        with _opened(path) as archive:
            manifest = _manifest(path, archive)
            arrays = {
                name: np.load(io.BytesIO(archive.read(f"{name}.npy")), allow_pickle=False)
                for name in _ARRAYS
            }
            _check_values(manifest, arrays)
    except (*DAMAGED, zipfile.BadZipFile) as error:
        raise _unreadable(path, error) from error
    return Reference(manifest, **arrays)


class Genes(NamedTuple):
    """The genes that the components of a bundle are computed from; fields as in `Reference`."""

    genes: npt.NDArray[np.str_]
    gene_ids: npt.NDArray[np.str_]
    loadings: npt.NDArray[np.float64]


def read_genes(path: Path) -> Genes:
    """Read only the genes of a bundle; raises what `read` raises."""
    import numpy as np

    try:
        with _opened(path) as archive:
            _manifest(path, archive)
            files = (io.BytesIO(archive.read(f"{name}.npy")) for name in Genes._fields)
            return Genes(*(np.load(part, allow_pickle=False) for part in files))
    except (*DAMAGED, zipfile.BadZipFile) as error:
        raise _unreadable(path, error) from error


def check_scale(manifest: Manifest, target_umis: float) -> None:
    """Refuse a sample that is normalised to another scale than the reference.

    Raises
    ------
    CtcflowError
        `normalize.target_umis` differs from that of the reference.
    """
    frozen = manifest["target_umis"]
    if target_umis != frozen:
        raise CtcflowError(
            f"normalize.target_umis is {target_umis:g}, and {frozen:g} in the reference:"
            " give the value of the reference"
        )


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a bundle; no part of it is read before it is known to be no larger than the file."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        names = [member.filename for member in members]
        if any(m.compress_type != zipfile.ZIP_STORED or m.flag_bits & 1 for m in members):
            # a small zip file may unpack to any size
            raise ValueError("a part of it is compressed or encrypted")
        if len(set(names)) < len(names):
            raise ValueError("a part is in it twice")
        if sum(member.file_size for member in members) > path.stat().st_size:
            raise ValueError("its parts are larger than the file")
        if _MANIFEST in names and archive.getinfo(_MANIFEST).file_size > _MOST_MANIFEST:
            raise ValueError(f"its {_MANIFEST} has more than {_MOST_MANIFEST:,} bytes")
        yield archive


def _manifest(path: Path, archive: zipfile.ZipFile) -> Manifest:
    manifest = json.loads(archive.read(_MANIFEST))
    if not isinstance(manifest, dict) or "format" not in manifest:
        raise ValueError("its manifest names no format")
    if manifest["format"] != FORMAT:
        raise CtcflowError(
            f"reference `{path}` has format {manifest['format']} (of ctcflow"
            f" {manifest.get('ctcflow', 'unknown')}), and this ctcflow reads format {FORMAT}:"
            " freeze the run again with this version, or map with that one"
        )
    lengths = _lengths(archive)
    _check_manifest(manifest, lengths)
    return cast("Manifest", manifest)


def _check_manifest(manifest: dict[str, Any], lengths: Mapping[str, int]) -> None:
    """Check the types of all fields, and that they speak of the arrays of this bundle."""
    from pydantic import TypeAdapter, ValidationError

    try:
        TypeAdapter(Manifest).validate_python(manifest, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(map(str, first["loc"]))[:80]
        raise ValueError(f"`{key}` of its manifest: {first['msg']}") from None
    if not 0 < manifest["target_umis"] < math.inf or manifest["n_neighbors"] < 1:
        raise ValueError("`target_umis` and `n_neighbors` of its manifest must be above 0")
    for key in ("ctcflow", "method", "clusters", "cell_types", "scored_types"):
        texts = [manifest[key]] if isinstance(manifest[key], str) else manifest[key]
        at, why = first_refused(texts)
        if at >= 0:
            raise ValueError(f"`{key}` of its manifest is {texts[at][:40]!r}: {why}")
    for key, letter in (("cells", "n"), ("scored_types", "T")):
        value = manifest[key]
        if (value if key == "cells" else len(value)) != lengths[letter]:
            raise ValueError(f"`{key}` of its manifest does not fit its arrays")


def _lengths(archive: zipfile.ZipFile) -> dict[str, int]:
    """Check the kind and the shape of each array by its header; return the lengths by letter."""
    lengths: dict[str, int] = {}
    for name, (kind, *letters) in _SHAPES.items():
        found, shape, size = _header(archive, f"{name}.npy")
        width = int(found[2:]) * (4 if kind == "U" else 1)
        if not found[1:].startswith(str(kind)) or len(shape) != len(letters):
            raise ValueError(f"its array `{name}` is of another kind ({found}, {shape})")
        if math.prod(shape) * width != size:
            raise ValueError(f"its array `{name}` is not as large as it says")
        for letter, length in zip(letters, shape, strict=True):
            wanted = letter if isinstance(letter, int) else lengths.setdefault(letter, length)
            if wanted != length:
                raise ValueError(f"its array `{name}` has {length} where others have {wanted}")
    return lengths


def _header(archive: zipfile.ZipFile, name: str) -> tuple[str, tuple[int, ...], int]:
    """Type and shape that an array declares, and bytes of its values (NumPy's format, NEP 1)."""
    with archive.open(name) as member:
        start = member.read(12)
        if start[:6] != b"\x93NUMPY" or start[6] not in (1, 2):
            raise ValueError(f"its `{name}` is no array")
        first = 10 if start[6] == 1 else 12
        n = int.from_bytes(start[8:first], "little")
        if n > _MOST_HEADER:
            raise ValueError(f"its `{name}` has a header of {n} bytes")
        text = (start[first:] + member.read(n - (12 - first)))[:n].decode("latin-1")
    said = ast.literal_eval(text.strip())
    found, shape = said["descr"], said["shape"]
    if not isinstance(found, str) or not re.fullmatch(r"[<|][a-zA-Z]\d{1,9}", found):
        raise ValueError(f"its `{name}` holds objects and no plain values (a pickle)")
    if not all(type(length) is int and length >= 0 for length in shape):
        raise ValueError(f"its `{name}` has no shape")
    return found, tuple(shape), archive.getinfo(name).file_size - first - n


def _check_values(manifest: Manifest, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    import numpy as np

    for name in _FINITE:
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"its array `{name}` has values that are no numbers")
    for name in ("genes", "gene_ids", "lineages", "marker_genes"):
        at, why = first_refused(arrays[name])
        if at >= 0:
            raise ValueError(f"its array `{name}` has {str(arrays[name][at])[:40]!r}: {why}")
    limits = {
        "cluster": len(manifest["clusters"]),
        "cell_type": len(manifest["cell_types"]),
        "group": arrays["group_means"].shape[0],
    }
    for name, limit in limits.items():
        codes = arrays[name]
        if codes.size and not 0 <= codes.min() <= codes.max() < limit:
            raise ValueError(f"its array `{name}` has codes beyond its names")


def _unreadable(path: Path, error: Exception) -> CtcflowError:
    refused = None if isinstance(error, IsADirectoryError) else of_system(error, path)
    if refused is not None:
        return refused
    if not path.is_file():
        return CtcflowError(
            f"reference is `{path}`: no such file: correct the path, or freeze the run"
        )
    return CtcflowError(
        f"reference `{path}` cannot be read ({reason(error)}): copy it again, or freeze the run"
        " again"
    )
