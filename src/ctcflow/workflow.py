"""What the Snakefile asks for: configuration, samples, parameters and digests of code.

Imported when the workflow is parsed, on every start and for every job of a cluster: standard
library and the configuration only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from ctcflow import bundle, code_in_use, demand
from ctcflow.config import (
    Config,
    load_config,
    load_samples,
    own_tables,
    sample_row,
    step_params,
)
from ctcflow.contracts import tables_of
from ctcflow.errors import CtcflowError
from ctcflow.formats.detect import Source
from ctcflow.formats.remote import Stored
from ctcflow.formats.size import Size, size_of, size_of_bytes
from ctcflow.params import MOST_COUNTS
from ctcflow.review import load_verdicts
from ctcflow.sample import SAMPLE_STEPS, Sample
from ctcflow.shipped import package, shipped
from ctcflow.sources import brought_to, check_storage, droplets_of, source_of
from ctcflow.step_code import step_code
from ctcflow.tables import SHIPPED

_SMALL: Final = 10_000_000
"""Bytes of input up to which a step of the cohort costs less than its submission to a cluster."""


class Workflow:
    """One run: its configuration and samples, and what rules read from them.

    Parameters
    ----------
    raw
        The configuration as Snakemake merged it.
    run
        Working directory of the run.
    results
        Folder of the results below it.
    storage
        Makes an input of an address in a storage (Snakemake's `storage`).
    local
        Marks an input that is on this machine wherever results are (Snakemake's `local`).
    conda
        Jobs run in the environment that conda makes of `workflow/envs`.

    Raises
    ------
    SystemExit
        A mistake in the configuration, the sheet or the verdicts; its one line is the message.
    """

    def __init__(
        self,
        raw: Mapping[str, Any],
        *,
        run: Path,
        results: str,
        storage: Callable[[str], Any] = str,
        local: Callable[[str], str] = str,
        conda: bool = False,
    ) -> None:
        try:
            self._resources, self._rules = shipped("resources"), shipped("workflow")
            self.config = load_config(raw)
            self.own_tables = own_tables(self.config, run)
            samples = load_samples(run / self.config.samples, self.config)
            self._sources = {sample.sample: source_of(sample) for sample in samples}
            self._droplets = {sample.sample: droplets_of(sample) for sample in samples}
            self._verdicts = [] if self.config.verdicts is None else [run / self.config.verdicts]
            for path in self._verdicts:
                load_verdicts(path, self._sources)
            self._references = _references(self.config, run)
            found = [
                *self._sources.values(),
                *(x for given in self._droplets.values() for x in given),
            ]
            check_storage(found, storage)
        except CtcflowError as error:
            raise SystemExit(f"error: {error}") from error
        self._samples = {sample.sample: sample for sample in samples}
        self._results = results
        self._command = code_in_use.command(run, conda=conda)
        self._storage, self._local = storage, local
        self._sizes: dict[Source | Stored, Size] = {}

    @property
    def samples(self) -> list[str]:
        """Names in the order of the sheet."""
        return list(self._samples)

    @property
    def sheet(self) -> list[Sample]:
        """Rows of the sheet."""
        return list(self._samples.values())

    @property
    def cells(self) -> int:
        """Barcodes of all samples, as far as the heads of their files tell."""
        return sum(self._size(source).cells for source in self._sources.values())

    @property
    def sample_pattern(self) -> str:
        """Regular expression of the names of the samples."""
        return "|".join(map(re.escape, self._samples))

    def files(self, wildcards: Any) -> list[str]:
        """Files that the counts of a sample are read from."""
        return self._inputs(self._sources[wildcards.sample])

    def path(self, wildcards: Any, input: Any) -> str:
        """`path` of a sample; of one in a storage, where its files were brought to."""
        return brought_to(self._samples[wildcards.sample].path, input.get("data"))

    def unfiltered_files(self, wildcards: Any) -> list[str]:
        """Files that the unfiltered droplets of a sample are read from; none where not given."""
        return [f for source in self._droplets[wildcards.sample] for f in self._inputs(source)]

    def unfiltered(self, wildcards: Any, input: Any) -> list[str]:
        """The input of `qc` that names the unfiltered droplets; none where not given."""
        path = self._samples[wildcards.sample].raw_path
        return [] if path is None else [f"unfiltered={brought_to(path, input.get('unfiltered'))}"]

    def _inputs(self, source: Source | Stored) -> list[Any]:
        if isinstance(source, Stored):
            return [self._storage(address) for address in source.addresses]
        return [self._local(str(path)) for path in source.files]

    @property
    def targets(self) -> list[str]:
        """What a run makes when nothing else is asked for.

        Files on the way are named too: Snakemake does not make a file again that is missing while
        what came of it is there. Where a job failed after a parameter was changed, the next run
        would otherwise find nothing to do and leave the old results.
        """
        steps = [*SAMPLE_STEPS, "project"] if self._references else SAMPLE_STEPS
        found = [f"{step}/{sample}.h5ad" for step in steps for sample in self.samples]
        found += ["call/call.h5ad", "call/ctc.tsv", "report/report.html"]
        found += (
            ["project/cells.tsv.gz"]
            if self._references
            else ["reduce/reduce.h5ad", "integrate/integrate.h5ad"]
        )
        return [*(f"{self._results}/{name}" for name in found), self.cohort, *self.exports]

    @property
    def cohort(self) -> str:
        """The file of all cells: of `gather` in a run with a frozen reference."""
        return f"{self._results}/{'gather' if self._references else 'cluster'}/cohort.h5ad"

    @property
    def reference_file(self) -> list[str]:
        """The frozen reference; none where not given."""
        return [self._local(str(path)) for path in self._references]

    @property
    def reference_path(self) -> Path | None:
        """The frozen reference; None where not given."""
        return self._references[0] if self._references else None

    @property
    def reference(self) -> list[str]:
        """The input of `call` and `project` that names the reference; none where not given."""
        return [f"reference={path}" for path in self._references]

    @property
    def verdict_files(self) -> list[str]:
        """File of a reviewer's verdicts; none where not given."""
        return [self._local(str(path)) for path in self._verdicts]

    @property
    def verdicts(self) -> list[str]:
        """The input of `call` that names the verdicts; none where not given."""
        return [f"verdicts={path}" for path in self._verdicts]

    @property
    def exports(self) -> list[str]:
        """File of all raw counts; none where not asked for."""
        full = self.config.export == "full"
        return [f"{self._results}/cluster/cohort_counts.h5ad"] if full else []

    def row(self, wildcards: Any) -> str:
        """Metadata of a sample as JSON."""
        return sample_row(self._samples[wildcards.sample])

    def table_files(self, step: str) -> list[str]:
        """The user's own tables that a step reads.

        Shipped ones are no input of a rule: where they are, and when they were installed, says
        nothing of what is in them. Their digest is in `code`.
        """
        return [self._local(str(path)) for path in self._tables(step).values()]

    def tables(self, step: str) -> list[str]:
        """The inputs of a step that name the user's own tables; it finds the shipped ones."""
        return [f"{name}={path}" for name, path in self._tables(step).items()]

    def _tables(self, step: str) -> dict[str, Path]:
        return {name: self.own_tables[name] for name in tables_of(step) if name in self.own_tables}

    def params(self, step: str) -> str | Callable[[Any], str]:
        """Parameters of a step as JSON; of a sample step per sample."""
        if step not in SAMPLE_STEPS:
            return step_params(self.config, step)
        return lambda wildcards: step_params(self.config, step, self._samples[wildcards.sample])

    def layers(self, *steps: str) -> Callable[[Any, Any], list[str]]:
        """Inputs of a cohort step, one per step and not one per sample: a command has a limit."""
        first = f"{self.samples[0]}.h5ad"
        return lambda wildcards, input: [
            f"{step}={str(input.get(step)[0]).removesuffix(first)}{{sample}}.h5ad" for step in steps
        ]

    @property
    def is_small(self) -> bool:
        """Whether the steps of the cohort run where Snakemake runs, and are not submitted."""
        sources = [
            *self._sources.values(),
            *(x for given in self._droplets.values() for x in given),
        ]
        found = [source for source in sources if isinstance(source, Source)]
        files = [*(path for source in found for path in source.files), *self._references]
        return len(found) == len(sources) and sum(f.stat().st_size for f in files) < _SMALL

    @cached_property
    def _lines(self) -> demand.Lines:
        return demand.read_lines(self._rules / "demand.tsv")

    def memory(self, step: str) -> Callable[[Any, int], int]:
        """Memory that a job of a step asks for at an attempt (MiB)."""
        return lambda wildcards, attempt: demand.memory(
            self._lines, step, self.axes(step, wildcards), attempt=attempt
        )

    def minutes(self, step: str) -> Callable[[Any, int], int]:
        """Time that a job of a step asks for at an attempt (minutes)."""
        return lambda wildcards, attempt: demand.minutes(
            self._lines, step, self.axes(step, wildcards), attempt=attempt
        )

    def seconds(self, step: str) -> Callable[[Any], float]:
        """Time that a job of a step took where it was measured, on two cores (seconds)."""
        return lambda wildcards: demand.seconds(self._lines, step, self.axes(step, wildcards))

    def axes(self, step: str, wildcards: Any) -> list[float]:
        """What memory and time of a job are reckoned from, from the heads of the input files."""
        names = [wildcards.sample] if step in (*SAMPLE_STEPS, "project") else self.samples
        beside = 0
        if step == "ingest":
            beside = min(self._size(self._sources[names[0]]).entries, demand.TEXT)
        elif step == "qc":
            beside = sum(self._size(source).values for source in self._droplets[names[0]])
        elif step in ("call", "project", "gather"):
            beside = sum(path.stat().st_size for path in self._references)
        elif step == "cluster":
            beside = self._counts_delivered
        return demand.axes([self._size(self._sources[name]) for name in names], beside=beside)

    @property
    def _counts_delivered(self) -> int:
        """Stored counts that the file of the cohort holds beside its values."""
        genes = self.config.cluster.genes
        values = sum(self._size(source).values for source in self._sources.values())
        delivered = genes == "full" or (genes == "auto" and values <= MOST_COUNTS)
        return values if delivered else 0

    def _size(self, source: Source | Stored) -> Size:
        if source not in self._sizes:
            if isinstance(source, Source):
                self._sizes[source] = size_of(source)
            else:
                objects = [self._storage(x).flags["storage_object"] for x in source.addresses]
                self._sizes[source] = size_of_bytes(sum(found.size() for found in objects))
        return self._sizes[source]

    def code(self, step: str) -> str:
        """Digest of the modules that a step runs and of the shipped tables that it reads."""
        names = [name for name in tables_of(step) if name not in self.own_tables]
        return step_code(package(), step, [self._resources / SHIPPED[name] for name in names])

    def command(self, wildcards: Any, input: Any) -> str:
        """How a job starts `ctcflow`.

        It takes `input` so that Snakemake does not keep it with the results: the same results come
        from another environment, and are not made again there.
        """
        return self._command


def _references(config: Config, run: Path) -> list[Path]:
    """The frozen reference, where there is one and it can be used."""
    if config.reference is None:
        return []
    path = run / config.reference
    bundle.check_scale(bundle.read_manifest(path), config.normalize.target_umis)
    return [path]
