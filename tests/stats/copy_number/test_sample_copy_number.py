"""Candidates and references of a sample, and results in the rows of the judged cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from ctcflow.stats.copy_number.aneuploidy import NormalTissue
from ctcflow.stats.copy_number.sample_copy_number import (
    LINEAGES,
    Roles,
    SampleCopyNumber,
    roles,
    sample_copy_number,
)

TYPES = ("CD4 T", "NK", "B", "Monocyte", "Platelet", "Neutrophil", "Fibroblast")
ARMS = 20
PER_ARM = 100


def test_leukocytes_of_three_lineages_are_the_reference_and_evidence_makes_a_candidate() -> None:
    cases = [  # type, leukocyte, p_identity, p_panel -> judged, reference
        ("CD4 T", True, 0.5, 1.0, False, "T and NK"),
        ("NK", True, 0.5, 0.02, False, "T and NK"),
        ("B", True, 0.005, 1.0, False, "B"),  # the tail of the leukocytes themselves
        ("Monocyte", True, 0.5, 0.5, False, "myeloid"),
        ("Monocyte", True, 0.5, 1e-6, True, None),  # shows the panel: an aggregate
        ("Platelet", True, 0.5, 1.0, False, None),
        ("Neutrophil", True, 0.5, 1.0, False, None),
        ("CD4 T", False, 0.005, 1.0, True, None),
        ("CD4 T", False, 0.5, 0.005, True, None),
        ("CD4 T", False, 0.5, 0.5, False, None),
        ("B", False, 0.01, 1.0, True, None),
    ]
    kind, leukocyte, identity, panel, judged, reference = zip(*cases, strict=True)
    found = roles(
        TYPES,
        lineage=np.array([TYPES.index(name) for name in kind]),
        is_leukocyte=np.array(leukocyte),
        p_identity=np.array(identity),
        p_panel=np.array(panel),
    )
    assert found.candidates.tolist() == list(judged)
    named = [LINEAGES[code] if code >= 0 else None for code in found.lineage]
    assert named == list(reference)
    assert not (found.candidates & (found.lineage >= 0)).any()


def _sample() -> tuple[sparse.csr_matrix, np.ndarray, pd.DataFrame, Roles]:
    """Three lineages of 60, and among them 6 cells with four arms gained and three lost."""
    rng = np.random.default_rng(4)
    genes = ARMS * PER_ARM
    rates = np.clip(rng.lognormal(0.0, 0.7, genes), 0.1, 5.0) * np.exp(
        0.3 * rng.normal(size=(3, genes))
    )
    copies = np.repeat([1.5] * 4 + [1.0] * 10 + [0.5] * 3 + [1.0] * 3, PER_ARM)
    drawn = [3000 * rate / rate.sum() * np.ones((60, 1)) for rate in rates]
    tumour = copies * rates.mean(axis=0)
    drawn.append(3000 * tumour / tumour.sum() * np.ones((6, 1)))
    lineage = np.repeat([0, 1, 2, -1], [60, 60, 60, 6])
    order = rng.permutation(lineage.size)
    counts = rng.poisson(np.vstack(drawn))[order]
    names = np.array([f"g{i}" for i in range(genes)], dtype=object)
    table = pd.DataFrame(
        {
            "symbol": names,
            "chromosome": np.repeat(np.arange(1, ARMS + 1), PER_ARM).astype(str),
            "arm": "q",
            "start": np.tile(np.arange(PER_ARM), ARMS),
        }
    )
    return sparse.csr_matrix(counts), names, table, Roles(lineage[order] < 0, lineage[order])


def _first_four(of: Roles) -> sparse.csr_matrix:
    """A group of the first candidates."""
    rows = np.flatnonzero(of.candidates)[:4]
    shape = (1, of.candidates.size)
    return sparse.csr_matrix((np.ones(rows.size), (np.zeros(rows.size, int), rows)), shape=shape)


def _judge(of: Roles | None = None, fewest: int = 50) -> tuple[SampleCopyNumber, Roles]:
    counts, names, table, own = _sample()
    like_none = np.full((of or own).candidates.sum() + 1, -1)
    found = sample_copy_number(
        counts,
        names=names,
        genes=table,
        usable=np.ones(names.size, dtype=bool),
        of=of or own,
        together=_first_four(of or own),
        normal=NormalTissue(np.ones((0, names.size)), like_none),
        fewest=fewest,
        seed=0,
    )
    return found, own


def test_results_are_in_the_rows_of_the_judged_and_nan_elsewhere() -> None:
    found, own = _judge()
    assert (~np.isnan(found.p) == own.candidates).all()
    assert (~np.isnan(found.aneuploidy) == own.candidates).all()
    assert (~np.isnan(found.arm_log2_ratio).any(axis=1) == own.candidates).all()
    assert (found.p[own.candidates] < 0.01).all()
    assert found.p_together.shape == (1,)
    assert found.p_together[0] < 1e-4
    assert found.arms == [f"{number}q" for number in range(1, ARMS + 1)]
    mean = found.arm_log2_ratio[own.candidates].mean(axis=0)
    assert mean[:4].min() > 0.2
    assert mean[14:17].max() < -0.3
    assert found.arm_log2_ratio.dtype == np.float32
    assert found.record | {"arms": [], "null_cells": 0} == {
        "candidates": 6,
        "judged": 6,
        "reference_cells": {"T and NK": 60, "B": 60, "myeloid": 60},
        "null_cells": 0,
        "arms": [],
        "reason": "",
    }


@pytest.mark.parametrize("n", [0, 1, 2])
def test_a_cell_is_judged_the_same_whichever_others_are(n: int) -> None:
    every, own = _judge()
    rows = np.flatnonzero(own.candidates)[:n]
    few = np.zeros_like(own.candidates)
    few[rows] = True
    found, _ = _judge(Roles(few, own.lineage))
    assert found.arms == every.arms
    np.testing.assert_array_equal(found.p[rows], every.p[rows])
    np.testing.assert_array_equal(found.arm_log2_ratio[rows], every.arm_log2_ratio[rows])
    assert np.isnan(found.p).sum() == found.p.size - n


def test_too_few_leukocytes_of_a_lineage_is_a_reason_and_all_is_missing() -> None:
    found, _ = _judge(fewest=61)
    assert found.record["reason"] == "no lineage has 61 reference cells, needs 2 lineages"
    assert (found.record["candidates"], found.record["judged"]) == (6, 0)
    assert np.isnan(found.p).all() and np.isnan(found.aneuploidy).all()
    assert found.arms == [] and found.arm_log2_ratio.shape == (186, 0)
