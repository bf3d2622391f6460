"""The file of a frozen reference: it round-trips, and other files are refused."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.files.bundles import manifest, small

from ctcflow.errors import CtcflowError
from ctcflow.files import bundle


@pytest.fixture
def reference() -> bundle.Reference:
    return small()


@pytest.fixture
def file(reference: bundle.Reference, tmp_path: Path) -> Path:
    path = tmp_path / "reference.zip"
    path.write_bytes(bundle.packed(reference))
    return path


def test_what_goes_in_comes_out(reference: bundle.Reference, file: Path) -> None:
    found = bundle.read(file)
    assert found.manifest == reference.manifest == bundle.read_manifest(file)
    for name, wanted, array in zip(found._fields[1:], reference[1:], found[1:], strict=True):
        assert array.dtype == wanted.dtype, name
        np.testing.assert_array_equal(array, wanted)


def test_the_same_reference_gives_the_same_bytes(reference: bundle.Reference, file: Path) -> None:
    assert bundle.packed(reference) == file.read_bytes()
    with zipfile.ZipFile(file) as archive:
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def _with(file: Path, name: str, content: bytes | None) -> None:
    """Write the bundle again with one member changed or left out."""
    with zipfile.ZipFile(file) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    with zipfile.ZipFile(file, "w") as archive:
        for member, old in (members | {name: content}).items():
            if (new := content if member == name else old) is not None:
                archive.writestr(member, new)


def refused(path: Path) -> str:
    with pytest.raises(CtcflowError) as caught:
        bundle.read(path)
    line = str(caught.value)
    assert "\n" not in line
    assert path.name in line
    return line


def test_another_version_is_refused_with_both_named(file: Path) -> None:
    _with(file, "manifest.json", b'{"format": 99, "ctcflow": "7.0.0"}')
    line = refused(file)
    assert "format 99" in line
    assert "7.0.0" in line
    assert f"format {bundle.FORMAT}" in line
    with pytest.raises(CtcflowError, match="format 99"):
        bundle.read_manifest(file)


def test_a_manifest_that_is_none(file: Path) -> None:
    for content in (b"[]", b"{}", b"{", b"\xff"):
        _with(file, "manifest.json", content)
        assert "cannot be read" in refused(file)


def test_a_member_that_is_missing_or_damaged(file: Path) -> None:
    whole = file.read_bytes()
    _with(file, "umap.npy", None)
    assert "umap.npy" in refused(file)
    file.write_bytes(whole)
    _with(file, "umap.npy", b"\x93NUMPY")
    refused(file)
    pickled = io.BytesIO()
    np.save(pickled, np.array([{}], dtype=object), allow_pickle=True)
    _with(file, "genes.npy", pickled.getvalue())
    assert "pickle" in refused(file)


def test_every_truncation_and_flipped_bit_of_an_array_is_caught(file: Path) -> None:
    whole = file.read_bytes()
    for length in range(0, len(whole), 97):
        file.write_bytes(whole[:length])
        refused(file)
    place = whole.index(b"embedding.npy") + 200
    file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    refused(file)


def test_what_is_no_zip_or_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("no zip")
    assert "cannot be read" in refused(tmp_path / "text.zip")
    assert "no such file" in refused(tmp_path / "gone.zip")
    assert "no such file" in refused(tmp_path)


def test_another_scale_is_refused(reference: bundle.Reference) -> None:
    bundle.check_scale(reference.manifest, 10_000.0)
    with pytest.raises(CtcflowError, match="5000, and 10000 in the reference"):
        bundle.check_scale(reference.manifest, 5_000.0)


def test_the_manifest_is_read_without_numpy(file: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from ctcflow.files import bundle;"
        f" print(bundle.read_manifest(Path({str(file)!r}))['cells'], 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["5", "False"]
    assert json.loads(json.dumps(bundle.read_manifest(file)))["ctcflow"] == "1.2.3"


def _all(path: Path) -> list[str]:
    """What each reader says of a bundle; none may read it or end in another error."""
    said = []
    for read in (bundle.read_manifest, bundle.read_genes, bundle.read):
        with pytest.raises(CtcflowError) as caught:
            read(path)
        said.append(str(caught.value))
    return said


@pytest.mark.parametrize("name", bundle._ARRAYS)
def test_an_array_that_is_missing_or_of_another_kind_is_refused_by_check(
    file: Path, name: str
) -> None:
    whole = file.read_bytes()
    good = getattr(small(), name)
    wrong = (
        *(good.astype(np.float16 if good.dtype.kind != "U" else "S8"), good[..., None]),
        *(np.concatenate([good, np.resize(good, (3, *good.shape[1:]))]), np.array(1.0)),
        np.array([b"x"]),
    )
    if name in ("cluster_sizes", "lineages", "cluster_sums", "lineage_means", "group_means"):
        wrong = wrong[:2]  # of any length, as long as both fit
    contents: list[bytes | None] = [None, b"", b"\x93NUMPY", b"\x93NUMPY\x01\x00\xff\xff{}"]
    for array in wrong:
        written = io.BytesIO()
        np.save(written, array)
        contents.append(written.getvalue())
    for content in contents:
        file.write_bytes(whole)
        _with(file, f"{name}.npy", content)
        assert all(name in said or "array" in said for said in _all(file))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *((key, None) for key in manifest()),
        *((key, "text") for key in manifest() if key not in ("ctcflow", "method")),
        *(("cells", 6), ("cells", -1), ("cells", 5.5), ("cells", [5]), ("target_umis", 0)),
        *(("target_umis", float("nan")), ("target_umis", float("inf")), ("n_neighbors", 0)),
        *(("clusters", [1, 2]), ("clusters", {"a": 1}), ("scored_types", ["T cell"])),
        *(("controls", {}), ("controls", {"dispersion": 1}), ("steps", {"call": 1})),
        *(("limits", {"null_cells": 1}), ("limits", {"null_cells": 1, "distance": 3})),
        *(("ctcflow", 7), ("method", ["harmony"]), ("cell_types", "T cell")),
    ],
)
def test_a_field_of_another_type_is_refused_by_check(file: Path, key: str, value: object) -> None:
    _with(file, "manifest.json", json.dumps(manifest() | {key: value}).encode())
    _all(file)


def test_a_manifest_that_unpacks_to_gigabytes_is_not_read(file: Path) -> None:
    _compressed(file, "manifest.json", b" " * 200_000_000 + b"{}")
    tracemalloc.start()
    assert all("compressed" in said for said in _all(file))
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


def _compressed(file: Path, name: str, content: bytes) -> None:
    _with(file, name, None)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)


@pytest.mark.parametrize("name", ["genes.npy", "umap.npy", "more.bin"])
def test_no_part_may_be_compressed(file: Path, name: str) -> None:
    _compressed(file, name, bytes(10_000_000))
    assert all("compressed" in said for said in _all(file))


def test_a_large_manifest_is_not_read(file: Path) -> None:
    _with(file, "manifest.json", b" " * (bundle._MOST_MANIFEST + 1))
    assert all("bytes" in said for said in _all(file))


def test_a_deep_manifest_is_refused(file: Path) -> None:
    _with(file, "manifest.json", b"[" * 100_000)
    _all(file)


def test_a_part_that_is_there_twice_is_refused(file: Path) -> None:
    with pytest.warns(UserWarning), zipfile.ZipFile(file, "a") as archive:
        archive.writestr("manifest.json", "{}")
    assert all("twice" in said for said in _all(file))


def test_an_array_that_claims_to_be_huge_is_refused(file: Path) -> None:
    head = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 3), }\n"
    content = b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head
    _with(file, "loadings.npy", content)
    assert all("not as large as it says" in said or "others" in said for said in _all(file))


@pytest.mark.parametrize(
    ("name", "value"),
    [("cluster", -1), ("cluster", 9), ("cell_type", 1), ("group", 5), ("means", np.nan)],
)
def test_values_beyond_what_they_name_are_refused(file: Path, name: str, value: float) -> None:
    array = getattr(small(), name).copy()
    array[0] = value
    written = io.BytesIO()
    np.save(written, array)
    _with(file, f"{name}.npy", written.getvalue())
    assert name in refused(file)
