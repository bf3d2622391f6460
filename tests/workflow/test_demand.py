"""Sizes from the headers of files, and the memory and time that jobs request."""

from __future__ import annotations

import gzip
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from ctcflow.contracts import STEPS
from ctcflow.formats.detect import locate
from ctcflow.formats.read import read_counts
from ctcflow.formats.size import Size, size_of
from ctcflow.formats.tables import VALUES_AT_ONCE
from ctcflow.simulate.cohort import FormatName, SimulateParams, simulate
from ctcflow.stats.droplets.doublets import FEWEST_CELLS
from ctcflow.steps import cluster
from ctcflow.workflow import demand
from ctcflow.workflow.for_rules import Workflow

ROOT = Path(__file__).parents[2]
LINES = demand.read_lines(ROOT / "workflow" / "demand.tsv")


@pytest.fixture(scope="module")
def every_format(tmp_path_factory: pytest.TempPathFactory, tables: dict[str, pd.DataFrame]) -> Path:
    """One sample of 80 cells per format."""
    folder = tmp_path_factory.mktemp("formats") / "run"
    formats = get_args(FormatName)
    params = SimulateParams(
        n_patients=0,
        n_healthy=len(formats),
        cells_per_sample=80,
        n_genes=2000,
        formats=formats,
        empty_droplets=100,
    )
    simulate(folder, params, tables["genes"], tables["rates"], 1)
    return folder


def test_sizes_are_those_of_the_counts(every_format: Path, tables: dict[str, pd.DataFrame]) -> None:
    sheet = pd.read_csv(every_format / "config" / "samples.tsv", sep="\t")
    seen = set()
    for row in sheet.itertuples():
        path = every_format / "config" / row.path
        source = locate(path, format=None)
        counts = read_counts(path, format=None, genes=tables["genes"]).adata
        found = size_of(source)
        seen.add(source.format)
        if source.format == "table":
            # of a sample of the text: the right order of magnitude
            assert 0.8 < found.values / counts.X.nnz < 1.25
        else:
            assert found == Size(counts.n_obs, counts.X.nnz)
    assert len(seen) > 4


def test_a_compressed_table_is_as_large_as_its_text(tmp_path: Path) -> None:
    counts = np.random.default_rng(0).poisson(0.1, size=(900, 2000))
    text = pd.DataFrame(counts).to_csv()
    (tmp_path / "counts.csv").write_text(text)
    (tmp_path / "counts.csv.gz").write_bytes(gzip.compress(text.encode()))
    for name in ("counts.csv", "counts.csv.gz"):
        found = size_of(locate(tmp_path / name, format=None))
        assert 0.9 < found.values / np.count_nonzero(counts) < 1.2
        assert 0.9 < found.entries / counts.size < 1.2


@pytest.mark.parametrize("name", ["counts.h5", "counts.h5ad", "counts.csv", "matrix.mtx.gz"])
@pytest.mark.parametrize("content", [b"\x00" * 4000, b"\x89HDF\r\n\x1a\n", b"\x1f\x8b\x08", b"%"])
def test_damaged_files_have_a_size_too(tmp_path: Path, name: str, content: bytes) -> None:
    for file in (name, "features.tsv", "barcodes.tsv"):
        (tmp_path / file).write_bytes(content)
    found = size_of(locate(tmp_path / name, format=None))
    assert found.cells >= 0
    assert found.values >= 0


def test_limits_are_those_of_the_steps() -> None:
    # written twice: a Snakefile that is parsed must not import what the steps import
    assert demand.FEW == FEWEST_CELLS
    assert demand.SKETCH == cluster.SKETCH
    assert demand.TEXT == VALUES_AT_ONCE


def test_axes_are_sums_and_the_largest() -> None:
    sizes = [Size(40_000, 80_000_000), Size(60_000, 20_000_000)]
    assert demand.axes(sizes, beside=5_000_000) == [1, 1, 0.1, 100, 80, 50, 5]
    assert demand.axes([Size(20, 0)])[1] == 0.4
    assert demand.axes([]) == [1, 0, 0, 0, 0, 0, 0]


def test_every_step_has_lines_and_asks_for_more_each_time() -> None:
    assert set(LINES) == {(step, of) for step in (*STEPS, "export") for of in ("MiB", "s")}
    assert min(min(line) for line in LINES.values()) >= 0
    where = demand.axes([Size(5000, 6_000_000)])
    for step in STEPS:
        asked = [demand.memory(LINES, step, where, attempt=n) for n in (1, 2, 3)]
        assert asked[0] % 100 == 0
        assert asked[0] < asked[1] < asked[2]
        assert asked[2] == pytest.approx(2.25 * asked[0], rel=0.2)
        minutes = [demand.minutes(LINES, step, where, attempt=n) for n in (1, 2)]
        assert 10 <= minutes[0] < minutes[1]


def test_a_step_that_was_not_measured_asks_for_what_no_step_exceeds() -> None:
    where = demand.axes([Size(cells=5_000, values=5_000_000)], beside=1_000_000)
    for of, asked in (("MiB", demand.memory), ("s", demand.minutes)):
        known = [asked(LINES, step, where, attempt=1) for step, kind in LINES if kind == of]
        assert asked(LINES, "new", where, attempt=1) >= max(known)


def test_lines_are_above_every_measured_job_and_below_twice_what_it_took() -> None:
    jobs = pd.read_csv(ROOT / "docs" / "demand.tsv", sep="\t")
    assert {*STEPS, "export"} == {*jobs["step"]}
    assert jobs["cells"].max() > 0.99  # millions
    for step, part in jobs.groupby("step"):
        line = part[[*demand.AXES]].to_numpy() @ LINES[step, "MiB"]
        assert (line / part["MiB"]).min() > 1.095, step
        assert (line / part["MiB"]).max() < 2.01, step


def test_ingest_asks_by_the_entries_of_a_table_up_to_what_it_holds_at_once(
    every_format: Path,
) -> None:
    found = Workflow({}, run=every_format, results="results")
    beside = {
        row.sample: found.axes("ingest", SimpleNamespace(sample=row.sample))[-1] * 1e6
        for row in found.sheet
    }
    tables = {row.sample for row in found.sheet if locate(row.path, format=None).format == "table"}
    assert tables
    for sample, entries in beside.items():
        if sample in tables:
            assert 0.8 < entries / (80 * 2000) < 1.25
        else:
            assert entries == 0
    found._sizes = {source: Size(1, 1, 10**9) for source in found._sizes}
    assert found.axes("ingest", SimpleNamespace(sample=tables.pop()))[-1] == demand.TEXT / 1e6
