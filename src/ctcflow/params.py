"""Every parameter of every step: name, type, bounds, default and one sentence with its unit.

`config/defaults.yaml`, `workflow/schemas/config.schema.json` and the table in `docs/parameters.md`
are generated from these models (`python -m ctcflow schema`). This module imports pydantic only.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Params(BaseModel):
    """Immutable, no unknown keys; the docstring of a field is its description."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    @model_validator(mode="before")
    @classmethod
    def _numbers_are_not_truth_values(cls, data: object) -> object:
        # YAML reads yes, no, on and off as true and false; pydantic would take those as 1 and 0.
        if not isinstance(data, dict):
            return data
        numbers = {n for n, field in cls.model_fields.items() if field.annotation in (int, float)}
        return {
            key: str(value).lower() if isinstance(value, bool) and key in numbers else value
            for key, value in data.items()
        }


class IngestParams(Params):
    """Read one library of any format into one validated count matrix."""

    counts: Literal["integer", "expected"] = "integer"
    """`integer` refuses values that are not whole numbers; `expected` (RSEM, kallisto) rounds them
    and records it."""


class QCParams(Params):
    """Measure cells and flag those to set aside, by limits of each coarse lineage."""

    min_umis: Annotated[int, Field(ge=0)] = 100
    """Floor of the lower limit on counts: cells with fewer are set aside whatever they are (counts
    per cell; not used where the data are reads)."""
    max_min_umis: Annotated[int, Field(ge=0)] = 150
    """Ceiling of the lower limit on counts; `min_umis` where that is higher (counts per cell)."""
    min_genes: Annotated[int, Field(ge=0)] = 50
    """Floor of the lower limit on detected genes; a fifth of it for platelets and erythrocytes
    (genes per cell)."""
    max_min_genes: Annotated[int, Field(ge=0)] = 100
    """Ceiling of the lower limit on detected genes; `min_genes` where that is higher (genes per
    cell)."""
    lower_mads: Annotated[float, Field(gt=0)] = 4.0
    """The lower limits are a lineage's median less this many scaled median absolute deviations, of
    logarithms."""
    upper_mads: Annotated[float, Field(gt=0)] = 5.0
    """Cells above their lineage's median plus this many scaled median absolute deviations of log
    counts or genes get a remark; they are kept."""
    mt_mads: Annotated[float, Field(gt=0)] = 5.0
    """The mitochondrial limit is a lineage's median plus this many scaled median absolute
    deviations."""
    min_mt_limit: Annotated[float, Field(ge=0, le=100)] = 15.0
    """Floor of the mitochondrial limit (percent of counts)."""
    max_mt_limit: Annotated[float, Field(ge=0, le=100)] = 50.0
    """Ceiling of the mitochondrial limit, and the limit of cells that are not blood (percent of
    counts)."""
    damage_mads: Annotated[float, Field(gt=0)] = 3.0
    """Cells with fewer than half their lineage's median counts are set aside as damaged where the
    log odds of a mitochondrial count lie this many scaled median absolute deviations above its
    median."""
    ambient: Literal["estimate", "correct"] = "estimate"
    """`estimate` measures the ambient RNA and hands it to `score`; `correct` also takes it out of
    the counts that `normalize`, `reduce` and `cluster` see."""
    ambient_umis: Annotated[int, Field(ge=1)] = 100
    """With unfiltered droplets: those with up to this many counts are taken for ambient RNA (counts
    per barcode)."""
    empty_fdr: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """With unfiltered droplets: false-discovery rate of the test for a cell (fraction)."""
    doublet_rate: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Share of droplets with two cells or more; empty for that of the chemistry and its cells
    (fraction)."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the random numbers (simulated doublets, droplets and resampled cells)."""

    @model_validator(mode="after")
    def _limits_in_order(self) -> Self:
        if self.min_mt_limit > self.max_mt_limit:
            raise ValueError(
                f"min_mt_limit is {self.min_mt_limit:g} and max_mt_limit is "
                f"{self.max_mt_limit:g}: the first must not be above the second"
            )
        return self


class NormalizeParams(Params):
    """Size factors, and moments per gene that later steps add up over samples."""

    target_umis: Annotated[float, Field(gt=0)] = 10_000.0
    """Counts are divided by (total counts of the cell / this number) before log1p (counts per
    cell)."""


class ScoreParams(Params):
    """Lineage, lines of evidence, copy number and signature scores, from its own sample only."""

    panel: Annotated[str, Field(min_length=1)] = "auto"
    """Tumour panel: the name of a set in the panel table, or `auto` (the set named like the row's
    `cancer_type`, else `pan_epithelial`)."""
    min_leukocytes: Annotated[int, Field(ge=1)] = 50
    """Below this number of leukocytes the shipped prior replaces the sample's own rates (cells)."""
    prior_umis: Annotated[float, Field(gt=0)] = 50_000.0
    """Weight of the shipped blood rates against the sample's own leukocytes (pseudo-counts of one
    lineage profile)."""
    min_reference: Annotated[int, Field(ge=1)] = 50
    """Leukocytes from which a coarse lineage is a reference for copy number (cells)."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the random numbers (leukocytes thinned for the null of copy number)."""


class CallParams(Params):
    """Decide what each cell is, with an error rate."""

    fdr: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Cells are called at a Benjamini-Hochberg q at or below this, per sample (fraction)."""
    max_p: Annotated[float, Field(gt=0, lt=1)] = 0.0002
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
    """Panel genes are used whether variable or not, so that rare tumour cells have a direction."""
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
    """Quality functions of leidenalg that know a resolution; slower."""

    method: Literal["rb_configuration", "rber", "cpm"] = "rb_configuration"
    """Name of the quality function; useful resolutions of `cpm` are below 0.1."""


class NoResolutionQualityParams(Params):
    """Quality functions of leidenalg that know no resolution; slower."""

    method: Literal["surprise", "significance"] = "surprise"
    """Name of the quality function."""


class ClusterParams(Params):
    """Neighbours, communities, map, cell types and markers of the cohort."""

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
    """The page that people read."""

    title: Annotated[str, Field(min_length=1, max_length=200)] = "Circulating tumour cells"
    """Title of the page."""


class FreezeParams(Params):
    """Freeze a finished run as a reference that new samples are mapped onto; run on request."""

    n_neighbors: Annotated[int, Field(ge=1, le=200)] = 15
    """Nearest cells of the reference that give a new cell its label and its place on the map
    (cells)."""
    novel_share: Annotated[float, Field(gt=0, lt=0.5)] = 0.001
    """Share of the reference's own leukocytes, each judged without its sample, above each of the
    two limits of novelty (fraction)."""
    null_cells: Annotated[int, Field(ge=100)] = 10_000
    """Leukocytes that the limits of novelty are measured on, at most (cells)."""


class ProjectParams(Params):
    """Map one sample onto a frozen reference, in a run with `reference`, which says all else."""


class GatherParams(Params):
    """Lay the mapped samples below each other, in a run with `reference`."""


class StepsParams(Params):
    """One section per step."""

    ingest: IngestParams = IngestParams()
    qc: QCParams = QCParams()
    normalize: NormalizeParams = NormalizeParams()
    score: ScoreParams = ScoreParams()
    call: CallParams = CallParams()
    reduce: ReduceParams = ReduceParams()
    integrate: IntegrateParams = IntegrateParams()
    cluster: ClusterParams = ClusterParams()
    report: ReportParams = ReportParams()
    freeze: FreezeParams = FreezeParams()
    project: ProjectParams = ProjectParams()
    gather: GatherParams = GatherParams()
