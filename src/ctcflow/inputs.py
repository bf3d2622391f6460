"""The kinds of input that a step can have: how each is found in a run, named, and read.

A row of `contracts.STEPS` lists them in the order of the step's arguments. From this list follow
the inputs of the step's rule, the arguments of its command, the objects that its function gets, and
the digests that are recorded. This module is imported when Snakemake parses the workflow, so `read`
methods import their libraries themselves.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, override

from ctcflow.errors import CtcflowError
from ctcflow.files.shipped import shipped
from ctcflow.files.tables import GENE_SETS, SHIPPED
from ctcflow.records.run import RunRecord

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    from anndata import AnnData

_MOST_MISSING: Final = 0.1
"""Largest share of the sample's genes that may be missing from its unfiltered droplets."""


class Run(Protocol):
    """What the inputs need to know about a run; implemented by `workflow.for_rules.Workflow`."""

    own_tables: dict[str, Path]
    verdicts: list[Path]
    references: list[Path]

    @property
    def samples(self) -> list[str]:
        """Names in the order of the sheet."""

    def result(self, step: str) -> str:
        """Path of a step's file, with the placeholder `{sample}` if there is one per sample."""

    def counts_files(self, wildcards: Any) -> list[Any]:
        """Files of the counts of a sample."""

    def counts_path(self, wildcards: Any, files: Any) -> str:
        """Path of the counts as in the sheet, or of their local copy."""

    def droplet_files(self, wildcards: Any) -> list[Any]:
        """Files of the unfiltered droplets of a sample."""

    def droplet_path(self, wildcards: Any, files: Any) -> str | None:
        """Path of the unfiltered droplets as in the sheet, or of their local copy."""


class Given(NamedTuple):
    """The inputs as given on the command line."""

    paths: Mapping[str, str]
    """Path of each input by name; for a cohort, with the placeholder `{sample}`."""
    samples: tuple[str, ...]
    """Names of the cohort's samples, in the order of the sheet; empty for a sample step."""
    row: Mapping[str, Any]
    """Row of the sample sheet (`ingest` only)."""

    def path(self, name: str) -> Path:
        """Path of an input.

        Raises
        ------
        CtcflowError
            No input of this name was given.
        """
        if name not in self.paths:
            raise CtcflowError(
                f"no input `{name}` was given (given: {', '.join(self.paths) or 'none'}):"
                f" add --in {name}=PATH"
            )
        return Path(self.paths[name])


@dataclass(frozen=True)
class Input(ABC):
    """One input of a step."""

    begins = False
    """Whether the record of a sample starts with this input."""

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Its names on the command line (`--in NAME=PATH`)."""

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the shipped tables that it reads unless the user gives another one."""
        return ()

    @abstractmethod
    def sources(self, run: Run) -> dict[str, Any]:
        """Named inputs of a rule: files, or a function from wildcards to files.

        Files of the user on this machine are none: see `Workflow.counts_files` and `content`.
        """

    def content(self, run: Run) -> bytes:
        """What stands for the content of a file that the configuration names; empty for none."""
        return b""

    def words(self, run: Run, wildcards: Any, input: Any) -> list[str]:
        """`NAME=PATH` for each name, for the command of a rule."""
        return [f"{name}={input.get(name)}" for name in self.names]

    def files(self, given: Given) -> dict[str, list[Path]]:
        """Files whose digests are recorded."""
        return {name: [given.path(name)] for name in self.names}

    @abstractmethod
    def read(self, given: Given, first: AnnData | None) -> Any:
        """Read the input.

        Parameters
        ----------
        given
            The inputs as given on the command line.
        first
            The object of the step's first input; None if this is the first.
        """


@dataclass(frozen=True)
class Counts(Input):
    """The counts of one library, in any format: an AnnData."""

    begins = True
    names = ("data",)

    @override
    def sources(self, run: Run) -> dict[str, Any]:
        return {"data": run.counts_files}

    @override
    def words(self, run: Run, wildcards: Any, input: Any) -> list[str]:
        return [f"data={run.counts_path(wildcards, input.get('data'))}"]

    @override
    def files(self, given: Given) -> dict[str, list[Path]]:
        from ctcflow.formats.detect import input_files

        return {"data": input_files(given.path("data"), format=given.row.get("format"))}

    @override
    def read(self, given: Given, first: AnnData | None) -> AnnData:
        from ctcflow.formats.read import read_counts

        genes = _read_table("genes", given)
        row = given.row
        path, matrix = given.path("data"), row.get("matrix")
        return read_counts(path, format=row.get("format"), genes=genes, matrix=matrix).adata


@dataclass(frozen=True)
class Droplets(Input):
    """All droplets of the library, over the sample's genes: an AnnData; None where not given."""

    names = ("unfiltered",)
    tables = ("genes",)

    @override
    def sources(self, run: Run) -> dict[str, Any]:
        return {"unfiltered": run.droplet_files}

    @override
    def words(self, run: Run, wildcards: Any, input: Any) -> list[str]:
        path = run.droplet_path(wildcards, input.get("unfiltered"))
        return [] if path is None else [f"unfiltered={path}"]

    @override
    def files(self, given: Given) -> dict[str, list[Path]]:
        if "unfiltered" not in given.paths:
            return {}
        from ctcflow.formats.detect import input_files

        files = input_files(given.path("unfiltered"), format=None)
        return {"unfiltered": files, "genes": [_table_path("genes", given)]}

    @override
    def read(self, given: Given, first: AnnData | None) -> AnnData | None:
        if first is None or "unfiltered" not in given.paths:
            return None
        from ctcflow.formats.read import read_counts
        from ctcflow.steps.ingest import ingest

        genes = _read_table("genes", given)
        # RNA only: for a million droplets, a dense table of proteins would be too large
        path = given.path("unfiltered")
        counts = read_counts(path, format=None, genes=genes, genes_only=True).adata
        droplets = ingest(counts, genes, params=_params_of_ingest(first))
        places = droplets.var_names.get_indexer(first.var_names)
        missing = int((places < 0).sum())
        if missing > _MOST_MISSING * first.n_vars:
            raise CtcflowError(
                f"`{given.paths['unfiltered']}` lacks {missing} of the {first.n_vars} genes of the"
                " sample: give the unfiltered matrix of the same library as raw_path"
            )
        return _with_genes(droplets, places, first)


@dataclass(frozen=True)
class Layers(Input):
    """Files of the steps of one sample, merged into one AnnData."""

    steps: tuple[str, ...]
    """The first is the base."""
    kept: bool = True
    """Only the cells that `qc` kept."""
    lognorm: bool = False
    """Log-normalised values instead of counts."""
    corrected: bool = False
    """Counts corrected for ambient RNA, where `qc` wrote them. `score` does not use them, because
    its null distribution includes ambient RNA."""

    @property
    @override
    def names(self) -> tuple[str, ...]:
        return self.steps

    @override
    def sources(self, run: Run) -> dict[str, Any]:
        return {step: run.result(step) for step in self.steps}

    @override
    def read(self, given: Given, first: AnnData | None) -> AnnData:
        from ctcflow.files.sample_files import load_sample

        return load_sample(
            {step: given.path(step) for step in self.steps},
            kept=self.kept,
            lognorm=self.lognorm,
            corrected=self.corrected,
        )


@dataclass(frozen=True)
class Samples(Input):
    """Files of sample steps, only cells that `qc` kept: a `Cohort`, read one sample at a time."""

    steps: tuple[str, ...]
    """The first is the base."""
    lognorm: bool = False
    """Log-normalised values instead of counts."""
    corrected: bool = False
    """Counts corrected for ambient RNA, where `qc` wrote them."""

    @property
    @override
    def names(self) -> tuple[str, ...]:
        return self.steps

    @override
    def sources(self, run: Run) -> dict[str, Any]:
        return {
            step: [run.result(step).replace("{sample}", sample) for sample in run.samples]
            for step in self.steps
        }

    @override
    def words(self, run: Run, wildcards: Any, input: Any) -> list[str]:
        # one argument per step, not per sample: the length of a command line is limited
        end = f"{run.samples[0]}.h5ad"
        folders = {step: str(input.get(step)[0]).removesuffix(end) for step in self.steps}
        return [f"{step}={folder}{{sample}}.h5ad" for step, folder in folders.items()]

    @override
    def files(self, given: Given) -> dict[str, list[Path]]:
        patterns = {step: str(given.path(step)) for step in self.steps}
        return {
            step: [Path(pattern.replace("{sample}", sample)) for sample in given.samples]
            for step, pattern in patterns.items()
        }

    @override
    def read(self, given: Given, first: AnnData | None) -> Any:
        from ctcflow.files.sample_files import Cohort

        patterns = {step: str(given.path(step)) for step in self.steps}
        return Cohort(given.samples, patterns, self.lognorm, self.corrected)


@dataclass(frozen=True)
class Finished(Input):
    """Files of cohort steps, merged into one AnnData."""

    steps: tuple[str, ...]
    """The first is the base."""

    @property
    @override
    def names(self) -> tuple[str, ...]:
        return self.steps

    @override
    def sources(self, run: Run) -> dict[str, Any]:
        return {step: run.result(step) for step in self.steps}

    @override
    def read(self, given: Given, first: AnnData | None) -> AnnData:
        from ctcflow.files.sample_files import load_sample

        paths = {step: given.path(step) for step in self.steps}
        return load_sample(paths, kept=False, lognorm=False, corrected=False)


@dataclass(frozen=True)
class OnDisk(Input):
    """The file of a cohort step: an AnnData whose X stays on disk."""

    step: str
    of_a_mapped_run: str | None = None
    """The step whose file is read instead in a run with a frozen reference."""

    @property
    @override
    def names(self) -> tuple[str, ...]:
        return (self.step,)

    @override
    def sources(self, run: Run) -> dict[str, Any]:
        mapped = self.of_a_mapped_run if run.references else None
        return {self.step: run.result(mapped or self.step)}

    @override
    def read(self, given: Given, first: AnnData | None) -> AnnData:
        from ctcflow.files.io import read_h5ad

        return read_h5ad(given.path(self.step), x_on_disk=True)


@dataclass(frozen=True)
class Table(Input):
    """A gene set or reference table, the user's own or the shipped one: a DataFrame."""

    name: str

    @property
    @override
    def names(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    @override
    def tables(self) -> tuple[str, ...]:
        return (self.name,)

    @override
    def sources(self, run: Run) -> dict[str, Any]:
        # No table is an input of the rule, because its path and time stamp say nothing about its
        # content. Its content is part of the digest of the code that the step runs.
        return {}

    @override
    def words(self, run: Run, wildcards: Any, input: Any) -> list[str]:
        own_table = run.own_tables.get(self.name)
        return [] if own_table is None else [f"{self.name}={own_table}"]

    @override
    def files(self, given: Given) -> dict[str, list[Path]]:
        return {self.name: [_table_path(self.name, given)]}

    @override
    def read(self, given: Given, first: AnnData | None) -> pd.DataFrame:
        return _read_table(self.name, given)


@dataclass(frozen=True)
class FromConfig(Input):
    """A file that the configuration may name; without it the step gets None."""

    @abstractmethod
    def paths(self, run: Run) -> Sequence[Path]:
        """The file, or none."""

    @override
    def sources(self, run: Run) -> dict[str, Any]:
        return {}

    @override
    def content(self, run: Run) -> bytes:
        return b"".join(path.read_bytes() for path in self.paths(run))

    @override
    def words(self, run: Run, wildcards: Any, input: Any) -> list[str]:
        (name,) = self.names
        return [f"{name}={path}" for path in self.paths(run)]

    @override
    def files(self, given: Given) -> dict[str, list[Path]]:
        return {name: [given.path(name)] for name in self.names if name in given.paths}


@dataclass(frozen=True)
class Verdicts(FromConfig):
    """A reviewer's verdicts on cells of the cohort: a DataFrame; None where not given."""

    names = ("verdicts",)

    @override
    def paths(self, run: Run) -> Sequence[Path]:
        return run.verdicts

    @override
    def read(self, given: Given, first: AnnData | None) -> pd.DataFrame | None:
        if "verdicts" not in given.paths:
            return None
        import pandas as pd

        from ctcflow.settings.review import Verdict, load_verdicts

        verdicts = load_verdicts(given.path("verdicts"), given.samples)
        return pd.DataFrame(verdicts, columns=list(Verdict._fields), dtype=object)


@dataclass(frozen=True)
class Reference(FromConfig):
    """A frozen reference: a `bundle.Reference`; a run without one does not map."""

    names = ("reference",)

    @override
    def paths(self, run: Run) -> Sequence[Path]:
        return run.references

    @override
    def content(self, run: Run) -> bytes:
        from ctcflow.files.bundle import listing

        return b"".join(listing(path) for path in self.paths(run))

    @override
    def read(self, given: Given, first: AnnData | None) -> Any:
        from ctcflow.files.bundle import read

        return read(given.path("reference"))


@dataclass(frozen=True)
class Controls(Reference):
    """The controls recorded in a frozen reference; None where the run has no reference."""

    @override
    def read(self, given: Given, first: AnnData | None) -> dict[str, Any] | None:
        if "reference" not in given.paths:
            return None
        from ctcflow.files.bundle import read_manifest

        return dict(read_manifest(given.path("reference"))["controls"])


def _table_path(name: str, given: Given) -> Path:
    return Path(given.paths.get(name, shipped("resources") / SHIPPED[name]))


def _read_table(name: str, given: Given) -> pd.DataFrame:
    from ctcflow.files import io

    path = _table_path(name, given)
    return io.read_gene_sets(path) if name in GENE_SETS else io.read_table(path)


def _params_of_ingest(adata: AnnData) -> Any:
    from ctcflow import keys
    from ctcflow.files import io
    from ctcflow.settings.sample_params import IngestParams

    record = io.record(adata, keys.CTCFLOW, RunRecord)
    return IngestParams.model_validate(record["steps"]["ingest"]["params"])


def _with_genes(droplets: AnnData, places: npt.NDArray[np.intp], adata: AnnData) -> AnnData:
    import anndata
    from scipy import sparse

    # an extra last column of zeros stands in for genes that the droplets lack
    empty = sparse.csr_matrix((droplets.n_obs, 1), dtype=droplets.X.dtype)
    padded = sparse.hstack([droplets.X, empty]).tocsr()
    columns = [place if place >= 0 else droplets.n_vars for place in places]
    same = columns == list(range(droplets.n_vars))
    return anndata.AnnData(
        X=droplets.X if same else padded[:, columns], obs=droplets.obs[[]], var=adata.var[[]]
    )
