"""Every parameter of every step: name, type, bounds, default and one sentence with its unit.

Those of steps that process one sample are in `sample_params`. `config/defaults.yaml`,
`workflow/schemas/config.schema.json` and the table in `docs/parameters.md` are generated from these
models (`python -m ctcflow schema`). Both modules import pydantic only.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from ctcflow.settings.sample_params import Params, SampleSteps

MOST_COUNTS: Final = 20_000_000
"""Largest number of stored counts for which `cluster.genes: auto` delivers all genes (values)."""


class CallParams(Params):
    """Decide what each cell is, with an error rate."""

    fdr: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Cells are called at a Benjamini-Hochberg q at or below this, per sample (fraction)."""
    max_p: Annotated[float, Field(gt=0, lt=1)] = 0.001
    """No cell with a larger p is called, whatever its q (probability); a sample made of tumour
    cells only has a q near p."""
    few_leukocytes: Annotated[int, Field(ge=0)] = 50
    """A sample with fewer null leukocytes is flagged (cells)."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Confidence of the exact intervals on counts (fraction)."""
    dispersion: Annotated[float, Field(ge=1)] | None = None
    """Variance over mean of replicate counts, for negative-binomial intervals; null to measure it
    on replicate draws, else on healthy and blank draws, where there are enough (no unit)."""


class ReduceParams(Params):
    """Variable genes of the cohort and exact principal components; one sample in memory at once."""

    n_genes: Annotated[int, Field(ge=10)] = 2000
    """Number of variable genes (genes)."""
    include_panel: bool = True
    """Use panel genes whether variable or not, so that rare tumour cells separate from blood."""
    exclude: tuple[
        Literal[
            "mitochondrial",
            "ribosomal",
            "haemoglobin",
            "immunoglobulin_tcr",
            "sex",
            "dissociation",
        ],
        ...,
    ] = ("mitochondrial", "ribosomal", "haemoglobin", "immunoglobulin_tcr", "sex")
    """Technical genes that are not used: sets of the table of technical genes."""
    n_components: Annotated[int, Field(ge=2, le=200)] = 30
    """Number of principal components (components)."""


class HarmonyParams(Params):
    """Harmony (Korsunsky 2019, doi:10.1038/s41592-019-0619-0), fitted on leukocytes."""

    method: Literal["harmony"] = "harmony"
    """Name of the method."""
    theta: Annotated[float, Field(ge=0)] = 2.0
    """Strength of the diversity penalty (no unit)."""
    max_iterations: Annotated[int, Field(ge=1)] = 10
    """Largest number of rounds (rounds)."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the random numbers."""


class LinearParams(Params):
    """One shift per batch with the lineage of the leukocytes held fixed: limma's removeBatchEffect
    (Ritchie 2015, doi:10.1093/nar/gkv007).
    """

    method: Literal["linear"] = "linear"
    """Name of the method."""


class NoIntegrationParams(Params):
    """Leave the principal components as they are."""

    method: Literal["none"] = "none"
    """Name of the method."""


class IntegrateParams(Params):
    """Remove differences between batches from the embedding."""

    method: Annotated[
        HarmonyParams | LinearParams | NoIntegrationParams, Field(discriminator="method")
    ] = HarmonyParams()
    """The method and its parameters."""
    batch: Literal["batch", "sample", "chemistry", "patient"] = "batch"
    """Column of the sample sheet that names the batch; a row without a value is a batch of its
    own."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the random numbers (permuted samples, and cells that mixing is measured on)."""


class ModularityParams(Params):
    """Modularity in igraph's C core: the fast one."""

    method: Literal["modularity"] = "modularity"
    """Name of the quality function."""


class ResolutionQualityParams(Params):
    """Quality functions of leidenalg that have a resolution; slower."""

    method: Literal["rb_configuration", "rber", "cpm"] = "rb_configuration"
    """Name of the quality function; useful resolutions of `cpm` are below 0.1."""


class NoResolutionQualityParams(Params):
    """Quality functions of leidenalg that have no resolution; slower."""

    method: Literal["surprise", "significance"] = "surprise"
    """Name of the quality function."""


class ClusterParams(Params):
    """Neighbours, Leiden clusters, UMAP, cell types and markers of the cohort."""

    n_neighbors: Annotated[int, Field(ge=2, le=200)] = 15
    """Neighbours per cell, itself included (cells)."""
    quality: Annotated[
        ModularityParams | ResolutionQualityParams | NoResolutionQualityParams,
        Field(discriminator="method"),
    ] = ModularityParams()
    """The quality function whose communities Leiden finds."""
    resolutions: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = (
        0.25,
        0.5,
        0.75,
        1.0,
    )
    """Leiden resolutions that are computed (no unit)."""
    resolution: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"
    """The resolution used for cell types and markers: one of `resolutions`, or `auto` for the
    finest whose stability is at least nine tenths of the best (no unit)."""
    min_dist: Annotated[float, Field(ge=0, le=1)] = 0.3
    """UMAP: smallest distance between points (no unit)."""
    genes: Literal["auto", "full", "panel"] = "auto"
    """Genes of `cohort.h5ad`: `full` for all, with raw counts in layers `counts`; `panel` for
    variable genes, panel genes and cell-type markers, without counts; `auto` for `full` up to 20
    million stored counts, else `panel`."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the random numbers."""

    @model_validator(mode="after")
    def _resolution_is_computed(self) -> Self:
        if self.resolution != "auto" and self.resolution not in self.resolutions:
            computed = ", ".join(f"{value:g}" for value in self.resolutions)
            raise ValueError(
                f"resolution is {self.resolution:g}: must be auto or one of resolutions"
                f" ({computed})"
            )
        if isinstance(self.quality, NoResolutionQualityParams) and len(self.resolutions) > 1:
            raise ValueError(
                f"quality `{self.quality.method}` knows no resolution: give one number as"
                " resolutions, such as [1.0]"
            )
        return self


class ReportParams(Params):
    """The HTML report."""

    title: Annotated[str, Field(min_length=1, max_length=200)] = "Circulating tumour cells"
    """Title of the page."""


class FreezeParams(Params):
    """Freeze a finished run as a reference for mapping new samples; only run on request."""

    n_neighbors: Annotated[int, Field(ge=1, le=200)] = 15
    """Nearest cells of the reference that give a new cell its label and its place on the map
    (cells)."""
    novel_share: Annotated[float, Field(gt=0, lt=0.5)] = 0.001
    """Share of the reference's own leukocytes that exceed each of the two limits of novelty, each
    compared with other samples only (fraction)."""
    null_cells: Annotated[int, Field(ge=100)] = 10_000
    """Largest number of leukocytes on which the limits of novelty are measured (cells)."""


class ProjectParams(Params):
    """Map one sample onto a frozen reference, in a run with `reference`; no parameters."""


class GatherParams(Params):
    """Combine the mapped samples into one table, in a run with `reference`; no parameters."""


class StepsParams(SampleSteps):
    """One section per step."""

    call: CallParams = CallParams()
    reduce: ReduceParams = ReduceParams()
    integrate: IntegrateParams = IntegrateParams()
    cluster: ClusterParams = ClusterParams()
    report: ReportParams = ReportParams()
    freeze: FreezeParams = FreezeParams()
    project: ProjectParams = ProjectParams()
    gather: GatherParams = GatherParams()
