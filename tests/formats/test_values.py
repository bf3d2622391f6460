"""Values are bounded in one place, whatever number type a file has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from ctcflow.errors import CtcflowError
from ctcflow.formats.read import read_counts
from ctcflow.formats.values import LARGEST_EXACT, are_counts, as_csr, beyond, summed
from ctcflow.in_memory import shipped_table

NUMBERS = ["b1", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "g"]
TURNED = [">i2", ">u2", ">i4", ">u4", ">i8", ">u8", ">f2", ">f4", ">f8"]


@pytest.mark.parametrize("kind", NUMBERS + TURNED)
def test_any_number_type_gives_the_same_counts(kind: str) -> None:
    dense = np.array([[0, 1, 0], [1, 0, 1]]).astype(kind)
    found = as_csr(dense)
    assert found.toarray().astype(int).tolist() == [[0, 1, 0], [1, 0, 1]]
    assert found.dtype.isnative and found.dtype.itemsize <= 8
    assert are_counts(found.data)


@pytest.mark.parametrize("kind", ["O", "U3", "S3", "c16", "M8[s]", "m8[s]"])
def test_what_is_no_number_is_refused_in_one_line(kind: str) -> None:
    with pytest.raises(CtcflowError, match="give raw counts as numbers"):
        as_csr(np.array([[0, 1]]).astype(kind))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *[("u8", value) for value in (2**64 - 1, 2**63, 2**63 - 1, LARGEST_EXACT + 1)],
        *[("i8", value) for value in (2**63 - 1, LARGEST_EXACT + 1)],
        *[("f8", value) for value in (2.0**64, 2.0**53 + 2, 1e300, np.inf)],
        ("f4", 2.0**60),
    ],
)
def test_values_beyond_all_counts_are_told_before_they_wrap(kind: str, value: float) -> None:
    values = np.array([1, value, 2], dtype=kind)
    assert beyond(values).startswith("values up to ")
    assert not are_counts(values)


@pytest.mark.parametrize(("kind", "value"), [("i1", -1), ("i8", -(2**63)), ("f8", -1), ("f8", 0.5)])
def test_negative_and_broken_numbers_are_no_counts(kind: str, value: float) -> None:
    assert not are_counts(np.array([1, value], dtype=kind))


@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "u4", "i8", "u8", "f4", "f8"])
def test_entries_that_are_there_twice_do_not_wrap_when_they_are_summed(kind: str) -> None:
    data = np.full(3, 100).astype(kind)
    twice = sparse.csr_matrix((data, np.zeros(3, dtype=np.int32), np.array([0, 3])), shape=(1, 2))
    assert summed(twice).toarray().tolist() == [[300, 0]]
    assert twice.nnz == 3  # the caller's is as it was


@pytest.mark.parametrize("kind", [*NUMBERS, "O", "U3"])
def test_nothing_is_within_all_bounds(kind: str) -> None:
    none = np.zeros(0, dtype=kind)
    assert beyond(none) == ""
    assert are_counts(none) == (none.dtype.kind in "biuf")


@pytest.mark.parametrize("value", [2**63, 2**64 - 1, LARGEST_EXACT + 1])
def test_a_matrix_market_file_with_a_huge_value(tmp_path: Path, value: int) -> None:
    """It became a negative number of 64 bits."""
    head = f"%%MatrixMarket matrix coordinate integer general\n2 1 2\n1 1 3\n2 1 {value}\n"
    (tmp_path / "matrix.mtx").write_text(head)
    (tmp_path / "barcodes.tsv").write_text("AAAC-1\n")
    (tmp_path / "genes.tsv").write_text("ENSG00000119888\tEPCAM\nENSG00000170421\tKRT8\n")
    with pytest.raises(CtcflowError, match="values up to 9|values up to 1.8"):
        read_counts(tmp_path, format=None, genes=shipped_table("genes"))
