"""The file of a frozen reference: it round-trips, and other files are refused."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ctcflow.errors import CtcflowError
from ctcflow.files import bundle


@pytest.fixture
def reference() -> bundle.Reference:
    rng = np.random.default_rng(0)
    manifest = {"format": bundle.FORMAT, "ctcflow": "1.2.3", "cells": 5, "target_umis": 10_000.0}
    return bundle.Reference(
        manifest,
        genes=np.array(["A", "MYC"]),
        gene_ids=np.array(["", "ENSG1"]),
        means=rng.normal(size=2),
        loadings=rng.normal(size=(2, 3)),
        cluster_sizes=np.zeros(0),
        cluster_sums=np.zeros((0, 3)),
        lineages=np.array([], dtype=np.str_),
        lineage_means=np.zeros((0, 3)),
        embedding=rng.normal(size=(5, 3)).astype(np.float32),
        umap=rng.normal(size=(5, 2)).astype(np.float32),
        cluster=np.arange(5, dtype=np.int32),
        cell_type=np.zeros(5, dtype=np.int32),
        group=np.arange(5, dtype=np.int32),
        group_means=rng.normal(size=(5, 2)).astype(np.float32),
        marker_genes=np.array(["CD3D"]),
        marker_loadings=rng.normal(size=(1, 2)),
        type_scores=rng.normal(size=(5, 2)).astype(np.float32),
    )


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
