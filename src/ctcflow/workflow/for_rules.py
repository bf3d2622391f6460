"""What the Snakefile needs: configuration, samples, parameters and digests of code.

This is imported when the workflow is parsed, at every start and for every cluster job, so it may
only import the standard library and the configuration.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from ctcflow.contracts import READS, STEPS
from ctcflow.errors import CtcflowError, of_system
from ctcflow.files import bundle
from ctcflow.files.digests import short_hash
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
from ctcflow.workflow.count_files import CountFiles, Of, in_words
from ctcflow.workflow.kept_code import KeptCode
from ctcflow.workflow.sources import brought_to, check_storage, droplets_of, source_of

_SMALL: Final = 10_000_000
"""Bytes of input below which a cohort step takes less time than its submission to a cluster."""


class Workflow:
    """One run: its configuration and samples, and the inputs and resources of its rules.

    Parameters
    ----------
    raw
        The configuration as merged by Snakemake.
    run
        Working directory of the run.
    results
        Folder of the results, relative to it.
    storage
        Turns an address in remote storage into an input (Snakemake's `storage`).
    conda
        True if jobs run in the environment that conda makes from `workflow/envs`.
    results_elsewhere
        Provider of the storage of the results, if they are not on this machine.
    keeps
        Whether what was found out about files may be kept for the next start: not in a dry run, nor
        in a process that Snakemake has started for one job.

    Raises
    ------
    SystemExit
        There is a mistake in the configuration, the sheet or the verdicts; the message is one line.
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
        conda: bool = False,
        results_elsewhere: str | None = None,
        keeps: bool = False,
    ) -> None:
        self._sizes: dict[Source | Stored, Size] = {}
        try:
            self._resources, self._rules = shipped("resources"), shipped("workflow")
            self.config = load_config(raw)
            self.own_tables = own_tables(self.config, run)
            samples = load_samples(run / self.config.samples, self.config)
            self._samples = {sample.sample: sample for sample in samples}
            self._sources = {sample.sample: source_of(sample) for sample in samples}
            self._droplets = {sample.sample: droplets_of(sample) for sample in samples}
            self.verdicts = [] if self.config.verdicts is None else [run / self.config.verdicts]
            for path in self.verdicts:
                load_verdicts(path, self._sources)
            self.references = _references(self.config, run)
            sources = [
                *self._sources.values(),
                *(x for droplets in self._droplets.values() for x in droplets),
            ]
            check_storage(sources, storage)
            self._keeps = keeps
            self.count_files = CountFiles(run, None if results_elsewhere else run / results)
            if keeps:
                self._see_count_files()
                self.refuse_copies()
        except CtcflowError as error:
            raise SystemExit(f"error: {error}") from error
        except OSError as error:
            refused = of_system(error)
            if refused is None:
                raise
            raise SystemExit(f"error: {refused}") from refused
        self._results = results
        self._code = KeptCode(run, package(), self._resources)
        self._command = code_in_use.command(run, conda=conda)
        self._storage = storage

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
        """Number of barcodes of all samples, as far as the headers of their files tell."""
        return sum(self._size(source).cells for source in self._sources.values())

    @property
    def sample_pattern(self) -> str:
        """Regular expression that matches the names of the samples."""
        return "|".join(map(re.escape, self._samples))

    def counts_files(self, wildcards: Any) -> list[Any]:
        """Objects in remote storage that the counts of a sample are read from.

        Files on this machine are no inputs of rules: Snakemake would repeat a step for another
        path or time stamp of the same content, and take braces in a path for a wildcard.
        """
        return self._inputs(self._sources[wildcards.sample])

    def counts_path(self, wildcards: Any, files: Any) -> str:
        """`path` of a sample; if it is in remote storage, the local copy of its `files`."""
        return brought_to(self._samples[wildcards.sample].path, files)

    def droplet_files(self, wildcards: Any) -> list[Any]:
        """As `counts_files`, of the unfiltered droplets of a sample; empty where not given."""
        return [f for source in self._droplets[wildcards.sample] for f in self._inputs(source)]

    def droplet_path(self, wildcards: Any, files: Any) -> str | None:
        """`raw_path` of a sample, or the local copy of its `files`; None where not given."""
        path = self._samples[wildcards.sample].raw_path
        return None if path is None else brought_to(path, files)

    def _inputs(self, source: Source | Stored) -> list[Any]:
        if isinstance(source, Source):
            return []
        return [self._storage(address) for address in source.addresses]

    def read_from(self, step: str, sample: str) -> Of | None:
        """Count files on this machine that a step reads of a sample; None where there are none."""
        found = {"ingest": [self._sources[sample]], "qc": self._droplets[sample]}[step]
        files = [path for source in found if isinstance(source, Source) for path in source.files]
        named = {"ingest": "data", "qc": "unfiltered"}[step]
        return Of(step, sample, named, tuple(files)) if files else None

    def all_read(self) -> list[Of]:
        """The count files on this machine of all samples, in the order of the sheet."""
        found = [self.read_from(step, name) for step in ("ingest", "qc") for name in self._samples]
        return [of for of in found if of is not None]

    def _see_count_files(self) -> None:
        for of in self.all_read():
            self.count_files.token(of)
        for sentence in in_words(self.count_files.replaced):
            print(sentence, file=sys.stderr)
        self.count_files.save()

    def refuse_copies(self) -> None:
        """Refuse a sample that is a copy of another one; samples without a cell may be alike.

        Raises
        ------
        CtcflowError
            Two samples have the same counts.
        """
        counts = [self.read_from("ingest", name) for name in self._samples]
        pair = self.count_files.copies(
            [of for of in counts if of is not None],
            has_cells=lambda of: self._size(self._sources[of.sample]).cells > 0,
        )
        if pair is not None:
            first, second = pair
            raise CtcflowError(
                f"samples `{first.sample}` and `{second.sample}` have the same counts"
                f" (`{first.files[0]}` and `{second.files[0]}`): remove one, or correct its path"
            )

    def content(self, step: str) -> Callable[[Any], str]:
        """Function that returns a word for the content of the count files that a step reads."""

        def token(wildcards: Any) -> str:
            of = self.read_from(step, wildcards.sample)
            return "" if of is None else self.count_files.token(of)

        return token

    @property
    def targets(self) -> list[str]:
        """Files that a run makes by default.

        Intermediate files are included, because Snakemake does not rebuild a missing intermediate
        whose downstream output exists. If a job failed after a parameter was changed, the next run
        would otherwise find nothing to do and leave the old results.
        """
        steps = [*SAMPLE_STEPS, "project"] if self.references else SAMPLE_STEPS
        files = [f"{step}/{sample}.h5ad" for step in steps for sample in self.samples]
        files += ["call/call.h5ad", "call/ctc.tsv", "report/report.html"]
        files += (
            ["project/cells.tsv.gz"]
            if self.references
            else ["reduce/reduce.h5ad", "integrate/integrate.h5ad"]
        )
        files += [f"{'gather' if self.references else 'cluster'}/cohort.h5ad"]
        return [*(f"{self._results}/{name}" for name in files), *self.exports]

    def result(self, step: str) -> str:
        """Path of a step's file in its rule; for a sample step, with the wildcard `{sample}`."""
        row = STEPS[step]
        whole = "cohort" if row.delivered else step
        name = "{sample}" if row.scope == "sample" else whole
        return f"<results>/{step}/{name}.h5ad"

    def inputs(self, step: str) -> dict[str, Any]:
        """Named inputs of the rule of a step."""
        return {name: files for kind in READS[step] for name, files in kind.sources(self).items()}

    def given(self, step: str) -> Callable[[Any, Any], list[str]]:
        """Function that returns the inputs of a step as arguments of its command."""
        return lambda wildcards, input: [
            word for kind in READS[step] for word in kind.words(self, wildcards, input)
        ]

    @property
    def exports(self) -> list[str]:
        """The file of all raw counts; empty if it was not asked for."""
        full = self.config.export == "full"
        return [f"{self._results}/cluster/cohort_counts.h5ad"] if full else []

    def row(self, wildcards: Any) -> str:
        """Metadata of a sample as JSON."""
        return sample_row(self._samples[wildcards.sample])

    def params(self, step: str) -> str | Callable[[Any], str]:
        """Parameters of a step as JSON; for a sample step, a function of the wildcards."""
        if step not in SAMPLE_STEPS:
            return step_params(self.config, step)
        return lambda wildcards: step_params(self.config, step, self._samples[wildcards.sample])

    @property
    def is_small(self) -> bool:
        """Whether cohort steps are so small that they run locally instead of being submitted."""
        sources = [
            *self._sources.values(),
            *(x for droplets in self._droplets.values() for x in droplets),
        ]
        on_disk = [source for source in sources if isinstance(source, Source)]
        files = [*(path for source in on_disk for path in source.files), *self.references]
        return len(on_disk) == len(sources) and sum(f.stat().st_size for f in files) < _SMALL

    @cached_property
    def _lines(self) -> demand.Lines:
        return demand.read_lines(self._rules / "demand.tsv")

    def memory(self, step: str) -> Callable[[Any, int], int]:
        """Memory that a job of a step requests, by attempt (MiB)."""
        return lambda wildcards, attempt: demand.memory(
            self._lines, step, self.axes(step, wildcards), attempt=attempt
        )

    def minutes(self, step: str) -> Callable[[Any, int], int]:
        """Time that a job of a step requests, by attempt (minutes)."""
        return lambda wildcards, attempt: demand.minutes(
            self._lines, step, self.axes(step, wildcards), attempt=attempt
        )

    def seconds(self, step: str) -> Callable[[Any], float]:
        """Predicted time of a job of a step on two cores (seconds)."""
        return lambda wildcards: demand.seconds(self._lines, step, self.axes(step, wildcards))

    def axes(self, step: str, wildcards: Any) -> list[float]:
        """Predictors of memory and time of a job, from the headers of the input files."""
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
        """Stored raw counts that the cohort file has in addition to the normalised values."""
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
                self._sizes[source] = size_of_bytes(
                    sum(stored_object.size() for stored_object in objects)
                )
        return self._sizes[source]

    def code(self, step: str) -> str:
        """Digest of the code that a step runs, and of the tables, verdicts and reference it reads.

        The user's own are among them by their content, whatever their paths and time stamps.
        """
        names = dict.fromkeys(name for kind in READS[step] for name in kind.tables)
        shipped_tables = [self._resources / SHIPPED[name] for name in names]
        code = self._code.of(step, shipped_tables)
        if self._keeps:
            self._code.save()
        own = b"".join(
            self.own_tables[name].read_bytes() for name in names if name in self.own_tables
        )
        own += b"".join(kind.content(self) for kind in READS[step])
        return f"{code}-{short_hash(own)}" if own else code

    def command(self, wildcards: Any, input: Any) -> str:
        """Command with which a job starts `ctcflow`.

        It takes `input` so that Snakemake does not record the command as a parameter of the
        results: another environment gives the same results, and must not re-run the jobs.
        """
        return self._command


def _references(config: Config, run: Path) -> list[Path]:
    """The frozen reference, if there is one; refuses one that cannot be used."""
    if config.reference is None:
        return []
    path = run / config.reference
    bundle.check_scale(bundle.read_manifest(path), config.normalize.target_umis)
    return [path]
