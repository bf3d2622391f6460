"""The file of a frozen reference: a zip of plain `.npy` arrays and `manifest.json`; no pickle."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from ctcflow.errors import DAMAGED, CtcflowError, of_system, reason
from ctcflow.records.reference import Manifest

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


def read_manifest(path: Path) -> Manifest:
    """Read the manifest of a bundle, and nothing else.

    Raises
    ------
    CtcflowError
        The file is missing, is not a bundle, or has another version of the format.
    """
    try:
        with zipfile.ZipFile(path) as archive:
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
        with zipfile.ZipFile(path) as archive:
            manifest = _manifest(path, archive)
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                # a small zip file may unpack to any size
                raise ValueError("a part of it is compressed")
            arrays = {
                name: np.load(io.BytesIO(archive.read(f"{name}.npy")), allow_pickle=False)
                for name in _ARRAYS
            }
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
        with zipfile.ZipFile(path) as archive:
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
    return cast("Manifest", manifest)


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
