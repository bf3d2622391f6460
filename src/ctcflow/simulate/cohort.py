"""A cohort with known truth: its design, its donors and batches, and the files of a run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse

from ctcflow.errors import CtcflowError
from ctcflow.simulate.blood import Rates, draw_sample
from ctcflow.simulate.donors import Batch, Donor, biology, draw_batch, draw_donor
from ctcflow.simulate.files import FORMATS, Library, draw_barcodes, write_whole
from ctcflow.simulate.profiles import Species, species

Share = Annotated[float, Field(ge=0, le=1)]
FormatName = Literal["10x_mtx", "10x_h5", "h5ad", "table", "10x_mtx_v2", "starsolo", "h5mu"]

_CHEMISTRIES: Final = ("10x 3' v3", "10x 3' v2")
_CANCER: Final = "breast"
_DAYS_BETWEEN_DRAWS: Final = 28


class SimulateParams(BaseModel):
    """A cohort of blood draws with known truth."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    n_patients: Annotated[int, Field(ge=0)] = 2
    """Number of patients with a tumour (donors)."""
    n_healthy: Annotated[int, Field(ge=0)] = 2
    """Number of healthy donors, one draw each (donors)."""
    draws_per_patient: Annotated[int, Field(ge=1)] = 1
    """Number of draws of each patient, 28 days apart (draws)."""
    cells_per_sample: Annotated[int, Field(ge=0)] = 800
    """Number of droplets with at least one cell in each sample (droplets)."""
    n_genes: Annotated[int, Field(ge=200, le=30_000)] = 8000
    """Number of genes that are expressed; marker genes and genes of known rates come first
    (genes)."""
    ctc_rate: Share = 0.01
    """Share of tumour cells among the cells of a patient (fraction)."""
    aggregate_rate: Share = 0.002
    """Share of a patient's droplets with a tumour cell and a blood cell attached (fraction)."""
    doublet_rate: Share = 0.03
    """Share of droplets with two cells that met by chance (fraction)."""
    n_batches: Annotated[int, Field(ge=1)] = 2
    """Number of batches, given to samples in turn (batches)."""
    ambient: Share = 0.05
    """Counts of ambient RNA in each droplet, relative to `median_umis` (fraction)."""
    empty_droplets: Annotated[int, Field(ge=0)] = 0
    """Droplets without cells per sample; above 0, unfiltered matrices are written (droplets)."""
    median_umis: Annotated[float, Field(gt=0)] = 3000.0
    """Typical counts of a mononuclear cell (counts per cell)."""
    dispersion: Annotated[float, Field(ge=0, le=10)] = 0.2
    """Variance among cells of one kind beyond Poisson, over the squared mean (no unit)."""
    formats: Annotated[tuple[FormatName, ...], Field(min_length=1)] = (
        "10x_mtx",
        "10x_h5",
        "h5ad",
        "table",
        "10x_mtx_v2",
        "starsolo",
        "h5mu",
    )
    """File formats, given to samples in turn."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the random numbers."""


class Job(NamedTuple):
    """One sample to simulate and write."""

    row: dict[str, str | int | float]
    """Its row of the sample sheet, without paths."""
    format: str
    donor: Donor
    batch: Batch
    rates: Rates
    seed: np.random.SeedSequence


def simulate(
    out: Path,
    params: SimulateParams,
    genes: pd.DataFrame,
    rates: pd.DataFrame,
    n_threads: int,
    silent: Collection[str] = (),
) -> None:
    """Write a cohort: data, truth, sample sheet and configuration.

    The same seed gives the same bytes at any number of threads. A sample depends on the seed,
    on its donor and on its batch, not on the cells of other samples.

    Parameters
    ----------
    out
        Folder to write to: `config/`, `data/`, `truth.tsv` (one line per droplet with cells) and
        `truth_clones.tsv` (chromosome arms gained and lost). The configuration is written last.
    params
        Size and rates of the cohort.
    genes
        Columns gene_id, symbol, chromosome, arm.
    rates
        Column symbol and one column per cell type, counts per million.
    n_threads
        Number of samples that are simulated at a time, each in a process of its own.
    silent
        Symbols of genes that are in the files though no cell expresses them, if they are not among
        the genes that are simulated: those of the tumour panels.

    Raises
    ------
    CtcflowError
        There are no donors, or `out` already has a sample sheet or configuration.
    """
    config = out / "config"
    for file in (config / "samples.tsv", config / "config.yaml"):
        if file.exists():
            raise CtcflowError(
                f"{out}: found {file.relative_to(out)}, so a run lives here already; "
                "choose another folder, or remove it"
            )
    if params.n_patients + params.n_healthy == 0:
        raise CtcflowError("simulate: found 0 patients and 0 healthy donors; ask for one or more")
    truth = out / ".truth.part"
    _refuse_of_others(out, truth)
    kinds = species(genes, rates, params.n_genes, silent=silent)
    jobs = _jobs(kinds, params)
    shutil.rmtree(truth, ignore_errors=True)
    truth.mkdir(parents=True)
    rows = list(_run(jobs, kinds, out, n_threads))
    write_whole(out / "truth.tsv", lambda path: _join(path, truth, rows))
    clones = pd.DataFrame(
        [(d.name, arm, change) for d in _donors_of(jobs) for arm, change in d.arms.items()],
        columns=["patient", "arm", "change"],
    )
    write_whole(out / "truth_clones.tsv", lambda path: _write_tsv(path, clones))
    write_whole(config / "samples.tsv", lambda path: _write_tsv(path, pd.DataFrame(rows)))
    text = "samples: config/samples.tsv\n"
    write_whole(config / "config.yaml", lambda path: path.write_bytes(text.encode()))
    # last: where it is, what is beside it was left by an interrupted `simulate`
    shutil.rmtree(truth)


def _refuse_of_others(out: Path, truth: Path) -> None:
    """Refuse to replace what no interrupted `simulate` has left.

    Raises
    ------
    CtcflowError
        The folder has something of a name that would be written.
    """
    links = [path for path in (out / "data", truth) if path.is_symlink()]
    if truth.is_dir() and not links:
        return
    names = ("data", "truth.tsv", "truth_clones.tsv", truth.name)
    found = links or [out / name for name in names if os.path.lexists(out / name)]
    if found:
        raise CtcflowError(
            f"{out}: found {found[0].name}, which is not of an interrupted `ctcflow simulate`:"
            " choose another folder, or move it away"
        )


def _jobs(kinds: Species, params: SimulateParams) -> list[Job]:
    """List the draws of each donor, and assign batches and formats to them in turn."""
    patient_seeds, healthy_seeds, batch_seeds = np.random.SeedSequence(params.seed).spawn(3)
    batches = [draw_batch(kinds, seed) for seed in batch_seeds.spawn(params.n_batches)]
    jobs: list[Job] = []
    for is_patient, seeds, number in (
        (True, patient_seeds, params.n_patients),
        (False, healthy_seeds, params.n_healthy),
    ):
        n_draws = params.draws_per_patient if is_patient else 1
        for k, seed in enumerate(seeds.spawn(number)):
            name = f"{'P' if is_patient else 'H'}{k + 1:0{len(str(number))}d}"
            donor_seed, *draws = seed.spawn(1 + n_draws)
            donor = draw_donor(name, is_patient, kinds, donor_seed)
            for draw, draw_seed in enumerate(draws):
                jobs.append(_job(donor, draw, draw_seed, batches, len(jobs), params))
    return jobs


def _job(
    donor: Donor,
    draw: int,
    seed: np.random.SeedSequence,
    batches: list[Batch],
    position: int,
    params: SimulateParams,
) -> Job:
    batch = position % len(batches)
    row: dict[str, str | int | float] = {
        "sample": f"{donor.name}_d{draw * _DAYS_BETWEEN_DRAWS}" if donor.patient else donor.name,
        "path": "",
        "raw_path": "",
        "patient": donor.name,
        "day": draw * _DAYS_BETWEEN_DRAWS,
        "role": "patient" if donor.patient else "healthy",
        "batch": f"batch{batch + 1}",
        "chemistry": _CHEMISTRIES[batch % len(_CHEMISTRIES)],
        "cancer_type": _CANCER if donor.patient else "",
        "volume_ml": 7.5,
        "fraction_loaded": 0.5,
        "expected_cells": params.cells_per_sample,
    }
    rates = Rates(
        n_droplets=params.cells_per_sample,
        n_empty=params.empty_droplets,
        ctc=params.ctc_rate if donor.patient else 0.0,
        aggregate=params.aggregate_rate if donor.patient else 0.0,
        doublet=params.doublet_rate,
        ambient=params.ambient,
        median_umis=params.median_umis * batches[batch].depth,
        dispersion=params.dispersion,
    )
    name = params.formats[position % len(params.formats)]
    return Job(row, name, donor, batches[batch], rates, seed)


def _donors_of(jobs: list[Job]) -> list[Donor]:
    return list({job.donor.name: job.donor for job in jobs}.values())


def _library(counts: sparse.csr_matrix, barcodes: npt.NDArray[np.str_], kinds: Species) -> Library:
    """The counts with the genes that no cell expresses, as the last ones."""
    columns = ["gene_id", "symbol"]
    genes = pd.concat([kinds.genes[columns], kinds.silent[columns]], ignore_index=True)
    whole = sparse.csr_matrix(counts, copy=True)
    whole.resize(counts.shape[0], len(genes))
    return Library(whole, barcodes, genes)


def _run(
    jobs: list[Job], kinds: Species, out: Path, n_threads: int
) -> Iterator[dict[str, str | int | float]]:
    """Simulate the samples and yield their rows of the sheet, in order."""
    if n_threads <= 1 or len(jobs) <= 1:
        for job in jobs:
            yield _make(job, kinds, out)
        return
    # spawned processes inherit no locks and no state of this one
    with ProcessPoolExecutor(
        min(n_threads, len(jobs)), get_context("spawn"), _start, (kinds, out)
    ) as pool:
        yield from pool.map(_make_in_worker, jobs)


_worker: dict[str, tuple[Species, Path]] = {}
"""Arguments that a worker process was started with."""


def _start(kinds: Species, out: Path) -> None:
    _worker["given"] = (kinds, out)


def _make_in_worker(job: Job) -> dict[str, str | int | float]:
    return _make(job, *_worker["given"])


def _make(job: Job, kinds: Species, out: Path) -> dict[str, str | int | float]:
    """Simulate one sample, write its files and its part of the truth, and return its row."""
    names, cells = job.seed.spawn(2)
    drawn = draw_sample(
        biology(kinds, job.donor, job.batch), job.rates, np.random.default_rng(cells)
    )
    n_cells, n_empty = drawn.counts.shape[0], drawn.empty.shape[0]
    codes = draw_barcodes(n_cells + n_empty, np.random.default_rng(names))
    # The whitelist is sorted, and so are the barcodes of every delivered matrix.
    order = np.argsort(codes[:n_cells])
    barcodes = codes[:n_cells][order]
    library = _library(drawn.counts[order], barcodes, kinds)
    sample, form = str(job.row["sample"]), FORMATS[job.format]
    folder = out / "data" / sample

    def write(path: Path) -> None:
        _target(path, form.path, form.write, library)
        if job.rates.n_empty:
            stacked = sparse.vstack([drawn.counts[order], drawn.empty], format="csr")
            all_codes = np.concatenate([barcodes, codes[n_cells:]])
            by_code = np.argsort(all_codes)
            raw = _library(stacked[by_code], all_codes[by_code], kinds)
            _target(path, form.raw_path, form.write_raw, raw)

    write_whole(folder, write)
    suffix = "" if job.format == "starsolo" else "-1"
    truth = drawn.truth.iloc[order]
    truth.insert(0, "sample", sample)
    truth.insert(1, "barcode", [f"{code}{suffix}" for code in barcodes])
    _write_tsv(out / ".truth.part" / f"{sample}.tsv", truth)
    row = {**job.row, "path": f"../data/{sample}/{form.path}"}
    row["raw_path"] = f"../data/{sample}/{form.raw_path}" if job.rates.n_empty else ""
    return row


def _target(
    folder: Path, name: str, write: Callable[[Path, Library], None], library: Library
) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, library)


def _join(path: Path, parts: Path, rows: list[dict[str, str | int | float]]) -> None:
    """Concatenate the truth of all samples into one file, one sample in memory at a time."""
    with path.open("wb") as whole:
        for k, row in enumerate(rows):
            with (parts / f"{row['sample']}.tsv").open("rb") as part:
                header = part.readline()
                if k == 0:
                    whole.write(header)
                shutil.copyfileobj(part, whole)


def _write_tsv(path: Path, table: pd.DataFrame) -> None:
    table.to_csv(path, sep="\t", index=False, lineterminator="\n", encoding="utf-8")
