"""What the file of each tool shares: read the samples, judge each, write calls and seconds.

Imported inside the environments of the tools, so it needs NumPy, pandas and SciPy only and neither
ctcflow nor the rest of the benchmarks. A tool's file is run as

    python -m benchmarks.peers.NAME INPUTS OUTPUT [PATTERN]

with a pattern of sample names where only some are wanted. It writes per sample `OUTPUT/SAMPLE.tsv`:
barcode and one column of 0 and 1 per way of deciding. `OUTPUT/seconds.tsv` has what each sample
took, imports not counted; `OUTPUT/SAMPLE.error` the message where the tool stopped.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

Bools = npt.NDArray[np.bool_]


class Sample(NamedTuple):
    """Raw counts of one sample."""

    name: str
    counts: sp.csr_matrix
    genes: pd.DataFrame
    """Chromosome, start and end by symbol; missing where a symbol has no known place."""
    barcodes: pd.Index
    reference: Bools
    """Cells that are declared normal."""

    @property
    def has_labels(self) -> bool:
        """Are the normal cells declared by author labels, not by markers?"""
        return self.name.startswith("tcells_")


Verdicts = Mapping[str, "Bools | Exception"]
"""Called or not by way of deciding, or what stopped that way."""
Judge = Callable[[Sample], Verdicts]


def read(folder: Path) -> Sample:
    genes = pd.read_csv(
        folder / "genes.tsv", sep="\t", index_col="symbol", dtype={"chromosome": str}
    )
    cells = pd.read_csv(folder / "cells.tsv", sep="\t")
    counts = sp.csr_matrix(sp.load_npz(folder / "counts.npz"))
    return Sample(
        folder.name, counts, genes, pd.Index(cells["barcode"]), cells["reference"].to_numpy(bool)
    )


def as_anndata(sample: Sample) -> Any:
    """The sample as AnnData of the environment's version: counts, places, obs `reference`."""
    import anndata

    reference = np.where(sample.reference, "normal", "other")
    obs = pd.DataFrame({"reference": pd.Categorical(reference)}, index=sample.barcodes.to_numpy())
    return anndata.AnnData(sample.counts.astype(np.float32), obs=obs, var=sample.genes.copy())


def log_normalised(sample: Sample) -> Any:
    """AnnData of the logarithm of one plus counts per 10,000; genes without counts left out."""
    import scanpy

    adata = as_anndata(sample)
    scanpy.pp.filter_genes(adata, min_cells=3)
    scanpy.pp.normalize_total(adata, target_sum=1e4)
    scanpy.pp.log1p(adata)
    return adata


def each(ways: Mapping[str, Callable[[], Bools]]) -> dict[str, Bools | Exception]:
    """Decide in every way, also where another one stops."""
    found: dict[str, Bools | Exception] = {}
    for way, decide in ways.items():
        try:
            found[way] = decide()
        except Exception as problem:
            traceback.print_exc()
            found[way] = problem
    return found


def keep(sample: Sample, verdicts: Verdicts, output: Path) -> str:
    """Write calls and messages; gives a line about both."""
    calls = {
        way: verdict for way, verdict in verdicts.items() if not isinstance(verdict, Exception)
    }
    stopped = [
        f"{way}: {type(verdict).__name__}: {verdict}".removeprefix(": ")
        for way, verdict in verdicts.items()
        if isinstance(verdict, Exception)
    ]
    if stopped:
        (output / f"{sample.name}.error").write_text("; ".join(stopped))
    if calls:
        table = pd.DataFrame({"barcode": sample.barcodes})
        table = table.assign(**{way: verdict.astype(int) for way, verdict in calls.items()})
        table.to_csv(output / f"{sample.name}.tsv", sep="\t", index=False)
    return f"{ {way: int(verdict.sum()) for way, verdict in calls.items()} } {' '.join(stopped)}"


def run(judge: Judge) -> None:
    """Judge every sample that has no calls yet, in the order of their names."""
    inputs, output, pattern = Path(sys.argv[1]), Path(sys.argv[2]), [*sys.argv[3:], "*"][0]
    output.mkdir(parents=True, exist_ok=True)
    for folder in sorted(path.parent for path in inputs.glob(f"{pattern}/counts.npz")):
        if any((output / f"{folder.name}.{end}").exists() for end in ("tsv", "error")):
            continue
        sample = read(folder)
        start = time.perf_counter()
        try:
            verdicts = judge(sample)
        except Exception as problem:
            traceback.print_exc()
            verdicts = {"": problem}
        seconds = time.perf_counter() - start
        with (output / "seconds.tsv").open("a") as file:
            file.write(f"{sample.name}\t{seconds:.2f}\n")
        print(sample.name, keep(sample, verdicts, output), f"{seconds:.1f} s", flush=True)
