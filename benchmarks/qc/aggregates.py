"""Coverage of the enrichment intervals, and how often random doublets are called enriched.

    python -m benchmarks.qc.aggregates [OUT.tsv]

Droplets are filled by independent Poisson loading of tumour cells, four blood lineages and attached
pairs; homotypic doublets and droplets with three kinds of cell occur as they do in a tube. Which
kinds are in a droplet is counted, not assumed: the counts are one multinomial draw over all
combinations of kinds, which is what drawing droplet by droplet gives.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ctcflow.stats.calls.aggregates import (
    Empty,
    empty_from_doublets,
    empty_from_rate,
    enrichment,
    shared_confidence,
)

LINEAGES = ("neutrophil", "monocyte", "platelet", "lymphocyte")
KINDS = 1 + len(LINEAGES)
PATTERNS = (np.arange(2**KINDS)[:, None] >> np.arange(KINDS)) & 1
"""Row: combination of kinds; column 0: tumour cell, then the lineages."""
CONFIDENCE = 0.95
FEW = 5
"""Tumour cells, in singles."""


class Sample(NamedTuple):
    both: np.ndarray
    """Droplets with a tumour cell and exactly one lineage, by lineage."""
    tumour: int
    singlets: np.ndarray
    n_doublets: int
    """Droplets with exactly two lineages and no tumour cell."""
    n_droplets: int
    rate: float
    """Share of droplets with two cells or more, were all loaded singly."""
    ratio: np.ndarray
    """The truth, by lineage."""


def pattern_probabilities(cells: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Of each combination of kinds: loads of single cells and of attached pairs per droplet."""
    probability = np.zeros(2**KINDS)
    probability[0] = 1.0
    units = [(1 << kind, load) for kind, load in enumerate(cells)]
    units += [(1 | (2 << lineage), load) for lineage, load in enumerate(pairs)]
    for bits, load in units:
        with_unit = np.zeros_like(probability)
        np.add.at(with_unit, np.arange(2**KINDS) | bits, probability)
        probability = probability * np.exp(-load) + with_unit * -np.expm1(-load)
    return probability


def draw(rng: np.random.Generator, *, random_only: bool) -> Sample:
    n_cells = np.exp(rng.uniform(np.log(500), np.log(20_000)))
    n_tumour = np.exp(rng.uniform(0, np.log(200)))
    load = rng.uniform(0.02, 0.25)
    shares = rng.dirichlet(np.full(len(LINEAGES), 1.0))
    droplets = int(n_cells / load)
    cells = np.concatenate([[n_tumour], n_cells * shares]) / droplets
    ratio = np.ones(len(LINEAGES))
    if not random_only:
        ratio = np.exp(rng.uniform(0, np.log(20), len(LINEAGES)))
    # The load of pairs that multiplies the expected number by the ratio.
    excess = (ratio - 1) * np.expm1(cells[0]) * np.expm1(cells[1:])
    pairs = np.log1p(excess * np.exp(-cells[0] - cells[1:]))
    counts = rng.multinomial(droplets, pattern_probabilities(cells, pairs))
    n_lineages = PATTERNS[:, 1:].sum(axis=1)
    alone = 2 << np.arange(len(LINEAGES))
    total = cells.sum()
    return Sample(
        counts[alone + 1],
        int(counts[1]),
        counts[alone],
        int(counts[(n_lineages == 2) & (PATTERNS[:, 0] == 0)].sum()),
        int(counts[1:].sum()),
        float(1 - total / np.expm1(total)),
        ratio,
    )


def measure(sample: Sample, empty: Empty) -> list[dict[str, float | bool]]:
    rows: list[dict[str, float | bool]] = []
    for lineage, truth in enumerate(sample.ratio):
        row: dict[str, float | bool] = {"few": sample.tumour <= FEW}
        for name, confidence in (
            ("each", CONFIDENCE),
            ("all", shared_confidence(CONFIDENCE, n_partners=len(LINEAGES))),
        ):
            estimate = enrichment(
                int(sample.both[lineage]),
                tumour=sample.tumour,
                partner=int(sample.singlets[lineage]),
                singlets=sample.singlets,
                empty=empty,
                confidence=confidence,
            )
            row[f"covered_{name}"] = estimate.low <= truth <= estimate.high
            row[f"claimed_{name}"] = estimate.low > 1
        rows.append(row)
    return rows


def run(n_samples: int, seed: int) -> pd.DataFrame:
    """One row per loading, truth and confidence."""
    rows = []
    for random_only in (True, False):
        for number in range(n_samples // 2):
            rng = np.random.default_rng([seed, random_only, number])
            sample = draw(rng, random_only=random_only)
            loadings = {
                "rate given": empty_from_rate(sample.n_droplets, rate=sample.rate),
                "rate from doublets": empty_from_doublets(
                    sample.singlets, n_doublets=sample.n_doublets
                ),
            }
            for loading, empty in loadings.items():
                rows += [
                    {"loading": loading, "random": random_only, "sample": number, **row}
                    for row in measure(sample, empty)
                ]
    table = pd.DataFrame(rows)
    result = []
    for (loading, random_only), part in table.groupby(["loading", "random"], sort=False):
        for name in ("each", "all"):
            by_sample = part.groupby("sample")
            result.append(
                {
                    "loading": loading,
                    "samples": "random doublets only" if random_only else "enriched 1 to 20 times",
                    "interval": f"95 % {name}",
                    "n_samples": part["sample"].nunique(),
                    "coverage_of_intervals": part[f"covered_{name}"].mean(),
                    f"coverage_up_to_{FEW}_tumour_cells": part.loc[
                        part["few"], f"covered_{name}"
                    ].mean(),
                    "samples_all_covered": by_sample[f"covered_{name}"].all().mean(),
                    "samples_with_a_claim": by_sample[f"claimed_{name}"].any().mean(),
                }
            )
    return pd.DataFrame(result)


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_suffix(".tsv")
    table = run(2000, seed=0).round(4)
    print(table.to_string(index=False))
    table.to_csv(out, sep="\t", index=False)


if __name__ == "__main__":
    main()
