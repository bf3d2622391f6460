"""Parameters of the steps that process one sample, and the base class of all parameter models.

Parameters of the other steps are in `params`, which also explains how these models are used.
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
        # YAML reads yes, no, on and off as true and false, which pydantic would convert to 1 and 0.
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
    unspliced: Literal["refuse", "add", "leave out"] = "refuse"
    """With alevin-fry's columns of spliced, unspliced (`-U`) and ambiguous (`-A`) counts: `add`
    sums all three, as Cell Ranger counts since version 7; `leave out` sums spliced and ambiguous
    ones, as it did before."""
    not_genes: tuple[str, ...] = ()
    """Names of features that are kept apart from the genes, such as a transgene or a virus."""


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
    """`estimate` measures the ambient RNA and passes it to `score`; `correct` also removes it from
    the counts that `normalize`, `reduce` and `cluster` use."""
    ambient_umis: Annotated[int, Field(ge=1)] = 100
    """With unfiltered droplets: those with up to this many counts are taken for ambient RNA (counts
    per barcode)."""
    empty_fdr: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """With unfiltered droplets: false-discovery rate of the test for a cell (fraction)."""
    doublet_rate: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Share of droplets with two cells or more; null to derive it from the chemistry and the number
    of cells (fraction)."""
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
    """Size factors, and moments per gene that later steps combine over samples."""

    target_umis: Annotated[float, Field(gt=0)] = 10_000.0
    """Counts are divided by (total counts of the cell / this number) before log1p (counts per
    cell)."""


class ScoreParams(Params):
    """Lineage, lines of evidence, copy number and signature scores, from its own sample only."""

    panel: Annotated[str, Field(min_length=1)] = "auto"
    """Tumour panel: the name of a set in the panel table, or `auto` (the set named like the row's
    `cancer_type`, else all sets, with a correction for testing several)."""
    min_leukocytes: Annotated[int, Field(ge=1)] = 50
    """Below this number of leukocytes the shipped prior replaces the sample's own rates (cells)."""
    prior_umis: Annotated[float, Field(gt=0)] = 50_000.0
    """Weight of the shipped blood rates against the sample's own leukocytes (pseudo-counts of one
    lineage profile)."""
    min_reference: Annotated[int, Field(ge=1)] = 50
    """Fewest leukocytes of a coarse lineage that serve as a reference for copy number (cells)."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the random numbers (leukocytes thinned for the null of copy number)."""


class SampleSteps(Params):
    """One section per step that sees one sample; `params.StepsParams` has all steps."""

    ingest: IngestParams = IngestParams()
    qc: QCParams = QCParams()
    normalize: NormalizeParams = NormalizeParams()
    score: ScoreParams = ScoreParams()
