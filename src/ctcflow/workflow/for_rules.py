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

from ctcflow.contracts import READS, STEPS
from ctcflow.errors import CtcflowError
from ctcflow.files import bundle
from ctcflow.files.shipped import package, shipped
from ctcflow.files.tables import SHIPPED
from ctcflow.formats.detect import Source
from ctcflow.formats.remote import Stored
from ctcflow.formats.size import Size, size_of, size_of_bytes
from ctcflow.settings.config import (
    Config,
    load_config,
    load_samples,
    own_tables,
    sample_row,
    step_params,
)
from ctcflow.settings.params import MOST_COUNTS
from ctcflow.settings.review import load_verdicts
from ctcflow.settings.sample import SAMPLE_STEPS, Sample
from ctcflow.workflow import code_in_use, demand
from ctcflow.workflow.sources import brought_to, check_storage, droplets_of, source_of
from ctcflow.workflow.step_code import step_code

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

    rule_files: Final = (*STEPS, "export")
    """Files of rules, by name: one per step, and that of the export of all counts."""

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
            self.verdicts = [] if self.config.verdicts is None else [run / self.config.verdicts]
            for path in self.verdicts:
                load_verdicts(path, self._sources)
            self.references = _references(self.config, run)
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
        self._storage, self.local = storage, local
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

    def counts_files(self, wildcards: Any) -> list[Any]:
        """Files that the counts of a sample are read from."""
        return self._inputs(self._sources[wildcards.sample])

    def counts_path(self, wildcards: Any, files: Any) -> str:
        """`path` of a sample; of one in a storage, where its `files` were brought to."""
        return brought_to(self._samples[wildcards.sample].path, files)

    def droplet_files(self, wildcards: Any) -> list[Any]:
        """Files that the unfiltered droplets of a sample are read from; none where not given."""
        return [f for source in self._droplets[wildcards.sample] for f in self._inputs(source)]

    def droplet_path(self, wildcards: Any, files: Any) -> str | None:
        """`raw_path` of a sample, or where its `files` were brought to; None where not given."""
        path = self._samples[wildcards.sample].raw_path
        return None if path is None else brought_to(path, files)

    def _inputs(self, source: Source | Stored) -> list[Any]:
        if isinstance(source, Stored):
            return [self._storage(address) for address in source.addresses]
        return [self.local(str(path)) for path in source.files]

    @property
    def targets(self) -> list[str]:
        """What a run makes when nothing else is asked for.

        Files on the way are named too: Snakemake does not make a file again that is missing while
        what came of it is there. Where a job failed after a parameter was changed, the next run
        would otherwise find nothing to do and leave the old results.
        """
        steps = [*SAMPLE_STEPS, "project"] if self.references else SAMPLE_STEPS
        found = [f"{step}/{sample}.h5ad" for step in steps for sample in self.samples]
        found += ["call/call.h5ad", "call/ctc.tsv", "report/report.html"]
        found += (
            ["project/cells.tsv.gz"]
            if self.references
            else ["reduce/reduce.h5ad", "integrate/integrate.h5ad"]
        )
        found += [f"{'gather' if self.references else 'cluster'}/cohort.h5ad"]
        return [*(f"{self._results}/{name}" for name in found), *self.exports]

    def result(self, step: str) -> str:
        """The file of a step, as its rule names it; of a sample step with `{sample}` in it."""
        row = STEPS[step]
        whole = "cohort" if row.delivered else step
        name = "{sample}" if row.scope == "sample" else whole
        return f"<results>/{step}/{name}.h5ad"

    def inputs(self, step: str) -> dict[str, Any]:
        """Named inputs of the rule of a step."""
        return {name: files for kind in READS[step] for name, files in kind.sources(self).items()}

    def given(self, step: str) -> Callable[[Any, Any], list[str]]:
        """Inputs of a step as its command names them."""
        return lambda wildcards, input: [
            word for kind in READS[step] for word in kind.words(self, wildcards, input)
        ]

    @property
    def exports(self) -> list[str]:
        """File of all raw counts; none where not asked for."""
        full = self.config.export == "full"
        return [f"{self._results}/cluster/cohort_counts.h5ad"] if full else []

    def row(self, wildcards: Any) -> str:
        """Metadata of a sample as JSON."""
        return sample_row(self._samples[wildcards.sample])

    def params(self, step: str) -> str | Callable[[Any], str]:
        """Parameters of a step as JSON; of a sample step per sample."""
        if step not in SAMPLE_STEPS:
            return step_params(self.config, step)
        return lambda wildcards: step_params(self.config, step, self._samples[wildcards.sample])

    @property
    def is_small(self) -> bool:
        """Whether the steps of the cohort run where Snakemake runs, and are not submitted."""
        sources = [
            *self._sources.values(),
            *(x for given in self._droplets.values() for x in given),
        ]
        found = [source for source in sources if isinstance(source, Source)]
        files = [*(path for source in found for path in source.files), *self.references]
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
            beside = sum(path.stat().st_size for path in self.references)
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
        read = [name for kind in READS[step] for name in kind.tables]
        names = [name for name in dict.fromkeys(read) if name not in self.own_tables]
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
