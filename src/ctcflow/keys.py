"""Names of all slots that steps read or write."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True)
class Slot:
    """One place in an AnnData: the container and the key in it."""

    container: str
    key: str
    meaning: str = field(default="", compare=False)
    """For the page of slots, where it is no constant of this module with a sentence below it."""

    def __str__(self) -> str:
        return f"{self.container}/{self.key}" if self.key else self.container


# ---- ingest
COUNTS: Final = Slot("X", "")
"""Raw counts, cells x genes, CSR int32."""
GENE_ID: Final = Slot("var", "gene_id")
"""Ensembl id of the gene, empty where unknown."""
INGEST: Final = Slot("uns", "ingest")
"""JSON: format, notes of the reader, and what was renamed, summed, rounded or dropped."""
OTHER_FEATURES: Final = Slot("obsm", "other_features")
"""Counts of features that are neither human genes nor in `obsm/protein` or `obsm/hashtag` (peaks,
guides, mouse genes), CSR; where there are any."""
OTHER_FEATURE_NAMES: Final = Slot("uns", "other_features")
"""JSON: `name`, `id`, `type` of the columns of obsm/other_features."""
OTHER_SPECIES_TYPE: Final = "Gene Expression of another species"
"""`type` of a feature that is a gene, but not a human one."""

PROTEIN: Final = Slot("obsm", "protein")
"""Counts of surface proteins, a DataFrame of cells x antibodies, int32 (int64 where counts need
it); columns named as in the file (a repeated name is numbered, `/` is `|`); where measured."""
PROTEIN_FEATURES: Final = Slot("uns", "protein_features")
"""JSON: `name`, `id`, `type` of the columns of obsm/protein, as in the file."""
HASHTAG: Final = Slot("obsm", "hashtag")
"""Counts of hashtags (antibodies or oligos that mark the sample a cell is from), as obsm/protein;
where there are any."""
HASHTAG_FEATURES: Final = Slot("uns", "hashtag_features")
"""JSON: `name`, `id`, `type` of the columns of obsm/hashtag, as in the file."""

# ---- of every file
CTCFLOW: Final = Slot("uns", "ctcflow")
"""JSON: the row of the sample sheet, and one record per step."""
SAMPLE: Final = Slot("obs", "sample")
"""Name of the sample (cohort files only)."""
BARCODE: Final = Slot("obs", "barcode")
"""Barcode within the sample (cohort files only)."""

# ---- qc
TOTAL_COUNTS: Final = Slot("obs", "total_counts")
"""Counts of human genes (molecules, or reads where the data have no UMIs)."""
N_GENES_BY_COUNTS: Final = Slot("obs", "n_genes_by_counts")
"""Human genes with a count."""
PCT_COUNTS_MT: Final = Slot("obs", "pct_counts_mt")
"""Percent of counts in mitochondrial genes; NaN where the reference has none."""
PCT_COUNTS_RIBO: Final = Slot("obs", "pct_counts_ribo")
"""Percent of counts in genes of ribosomal proteins."""
PCT_COUNTS_HB: Final = Slot("obs", "pct_counts_hb")
"""Percent of counts in haemoglobin genes."""
PCT_COUNTS_PLATELET: Final = Slot("obs", "pct_counts_platelet")
"""Percent of counts in genes of platelets."""
PCT_OTHER_SPECIES: Final = Slot("obs", "pct_other_species")
"""Percent of the gene counts that are another species' (xenografts)."""
COARSE_LINEAGE: Final = Slot("obs", "coarse_lineage")
"""Lineage whose limits hold for the droplet; `other` where blood identity is missing."""
TUMOUR_EVIDENCE: Final = Slot("obs", "tumour_evidence")
"""More panel genes than blood of that depth shows, or blood identity missing (p at or below 0.01,
so one leukocyte in a hundred has it too). Such a cell is kept more readily; it is not a call."""
DOUBLET_SCORE: Final = Slot("obs", "doublet_score")
"""Probability of a doublet of two kinds of cell; NaN where not run."""
PREDICTED_DOUBLET: Final = Slot("obs", "predicted_doublet")
"""Doublet score above one half; flagged, never set aside for it."""
AGGREGATE_CANDIDATE: Final = Slot("obs", "aggregate_candidate")
"""Likely doublet with tumour evidence: a CTC that came with a leukocyte, or with one by chance."""
QC_FLAG: Final = Slot("obs", "qc_flag")
"""Reasons to set aside, separated by `;`; empty for none."""
QC_REMARK: Final = Slot("obs", "qc_remark")
"""Unusual properties that are no reason to set the cell aside, separated by `;`."""
KEEP: Final = Slot("obs", "keep")
"""False for cells that are set aside."""
AMBIENT_PROFILE: Final = Slot("var", "ambient_profile")
"""Share of counts per gene in the ambient RNA; NaN where it was not measured."""
CORRECTED: Final = Slot("layers", "corrected")
"""Counts corrected for ambient RNA, CSR; only where `qc.ambient` is `correct`."""
QC: Final = Slot("uns", "qc")
"""JSON: limits, distributions, ambient RNA, unfiltered droplets, ledger, what was not run."""

# ---- normalize
SIZE_FACTOR: Final = Slot("obs", "size_factor")
"""Log-normalised values are log1p(counts / size factor)."""
MEAN: Final = Slot("var", "lognorm_mean")
"""Mean of the log-normalised values; NaN where there are too few cells."""
VARIANCE: Final = Slot("var", "lognorm_variance")
"""Variance of the log-normalised values."""
CLIPPED_VARIANCE: Final = Slot("var", "clipped_variance")
"""Variance of the raw counts, standardised and clipped (seurat_v3)."""
VARIABLE_RANK: Final = Slot("var", "variable_rank")
"""Rank of the gene by clipped variance, 0 first; NaN for genes without variance."""

NORMALIZE: Final = Slot("uns", "normalize")
"""JSON: cells, and what was not run and why."""

# ---- score
LINEAGE: Final = Slot("obs", "lineage")
"""Best-fitting blood lineage, whatever the cell is."""
P_IDENTITY: Final = Slot("obs", "p_identity")
"""Probability that a leukocyte of this lineage and depth lacks so much of its blood identity."""
P_PANEL: Final = Slot("obs", "p_panel")
"""Probability that a leukocyte of this lineage and depth expresses so much of any of the tumour
panels that were tested."""
TUMOUR_PANEL: Final = Slot("obs", "tumour_panel")
"""Panel that `p_panel` comes from; empty where no gene of it is seen."""
EVIDENCE: Final = Slot("obs", "evidence")
"""Both lines of evidence together, before calibration (-log10 units)."""
PANEL_GENES: Final = Slot("obs", "panel_genes")
"""Genes of that panel seen, separated by `,`."""
N_PANEL_GENES: Final = Slot("obs", "n_panel_genes")
"""Genes of that panel seen."""
OTHER_TYPE: Final = Slot("obs", "other_type")
"""Normal type, not of blood, that the cell looks most like; empty for cells with no line of
evidence."""
OTHER_GROUP: Final = Slot("obs", "other_group")
"""Group of that type: `stroma`, `epithelium`, `skin`, `endocrine`, `melanocyte`, `neuron` or
`germ`."""
P_STROMA: Final = Slot("obs", "p_stroma")
"""Probability that a normal cell of stroma or endothelium resembles its own type so little; NaN for
cells with no line of evidence."""
P_STROMA_PANEL: Final = Slot("obs", "p_stroma_panel")
"""Probability that a normal cell of stroma or endothelium expresses so much of the first tumour
panel; NaN for cells with no line of evidence."""
OVER_OTHER_TISSUE: Final = Slot("obs", "over_other_tissue")
"""Log-likelihood ratio of the best type of `other_group` over the best type of all other groups;
NaN for cells with no line of evidence."""
OVER_BLOOD: Final = Slot("obs", "over_blood")
"""Log-likelihood ratio per count of the best type outside blood over the best blood type; NaN for
cells with no line of evidence."""
IS_LEUKOCYTE: Final = Slot("obs", "is_leukocyte")
"""Used as a null cell: blood identity as expected, no tumour evidence."""
ANEUPLOIDY: Final = Slot("obs", "aneuploidy")
"""Mean square deviation of the chromosome arms from the median of null cells, in units of the null
cells' spread; NaN where not judged."""
P_COPY_NUMBER: Final = Slot("obs", "p_copy_number")
"""Probability that a diploid cell of unknown type looks as aneuploid; NaN where not judged."""
COPY_NUMBER: Final = Slot("obsm", "copy_number")
"""Log2 dosage against the sample's leukocytes, cells x chromosome arms (`1p`); NaN where not
judged, no columns where it could not run."""
N_ALIKE: Final = Slot("obs", "n_alike")
"""Number of cells that are judged together with this cell because they cannot be told from it,
itself included; 1 where it is judged alone."""
ALIKE: Final = Slot("obsm", "alike")
"""Lines of evidence for the summed counts of these cells, named as in obs; NaN, 1 or empty where
a cell is judged alone."""
PARTNER_LINEAGE: Final = Slot("obs", "partner_lineage")
"""Blood lineage whose genes are least expected in addition to a tumour cell; empty where none is
unexpected."""
P_PARTNER: Final = Slot("obs", "p_partner")
"""Probability that a tumour cell alone in its droplet, with ambient RNA, shows so much of a blood
lineage; NaN where not judged."""
TISSUE_COUNTS: Final = Slot("obsm", "tissue_counts")
"""Counts in the marker genes of tissues of origin, then in all other genes, CSR; rows of cells with
no line of evidence are empty."""
SIGNATURES: Final = Slot("obsm", "signatures")
"""Signature scores, cells x signatures, each from the cell alone (UCell)."""
SIGNATURES_Z: Final = Slot("obsm", "signatures_z")
"""Signature scores of calls in standard deviations from the mean of all calls; NaN for others."""
SCORE: Final = Slot("uns", "score")
"""JSON: panel, genes present, leukocytes used, what was not run and why."""

# ---- call
CLASS: Final = Slot("obs", "class")
"""`CTC`, `CTC aggregate`, `non-blood other`, `uncertain` or `blood`."""
P: Final = Slot("obs", "p")
"""Calibrated probability of so much evidence in a blood cell."""
Q: Final = Slot("obs", "q")
"""Benjamini-Hochberg q of `p` within the sample."""
PARTNER: Final = Slot("obs", "partner")
"""Lineage of the leukocyte in a `CTC aggregate`."""
MALIGNANCY: Final = Slot("obs", "malignancy")
"""`aneuploid`, `diploid as far as seen` or `not seen`; of calls only."""
PHENOTYPE: Final = Slot("obs", "phenotype")
"""`epithelial`, `hybrid`, `mesenchymal` or empty; of calls only."""
REASON: Final = Slot("obs", "reason")
"""Why the class is what it is, in words."""
CLASS_BEFORE_REVIEW: Final = Slot("obs", "class_before_review")
"""Class before the reviewer's verdict; empty without a verdict."""
VERDICT: Final = Slot("obs", "verdict")
"""A reviewer's `confirm` or `veto`, `confirm; veto` where reviewers disagree; empty for none."""
REVIEWER: Final = Slot("obs", "reviewer")
"""Who gave the verdict, separated by `; `."""
CALL: Final = Slot("uns", "call")
"""JSON: counts per sample and draw, ledger, set-aside cells, calibration."""

# ---- reduce
HIGHLY_VARIABLE: Final = Slot("var", "highly_variable")
"""Gene takes part in the principal components: variable over the samples, or of a tumour panel."""
HIGHLY_VARIABLE_NBATCHES: Final = Slot("var", "highly_variable_nbatches")
"""Samples in which the gene is among the `reduce.n_genes` most variable ones."""
MEANS: Final = Slot("var", "means")
"""Mean of the log-normalised values over all cells; a gene that a sample lacks counts as zero."""
VARIANCES: Final = Slot("var", "variances")
"""Variance of the same values."""
VARIANCES_NORM: Final = Slot("var", "variances_norm")
"""Variance of the raw counts, standardised and clipped (seurat_v3), mean over samples."""
PANEL: Final = Slot("var", "panel")
"""Gene of a tumour panel; kept in the matrix of the cohort whether variable or not."""
X_PCA: Final = Slot("obsm", "X_pca")
"""Principal components, float32, cells x components."""
LOADINGS: Final = Slot("varm", "PCs")
"""Loading of each gene on each component; 0 for genes that are not used."""
REDUCE: Final = Slot("uns", "reduce")
"""JSON: samples, cells, genes, variance of each component."""

# ---- integrate
BATCH: Final = Slot("obs", "batch_used")
"""Batch that the embedding was corrected for."""
X_INTEGRATED: Final = Slot("obsm", "X_integrated")
"""The components, corrected for batches; nearest neighbours are sought here."""
INTEGRATE: Final = Slot("uns", "integrate")
"""JSON: method, batches, confounding, mixing and what is kept before and after."""
CORRECTION: Final = Slot("uns", "correction")
"""Arrays needed to map new samples: `cluster_sizes` (k,) and `cluster_sums` (k, components) of
Harmony's soft clusters; `lineages` (l,) and `lineage_means` (l, components) of `linear`, after
correction; each is empty where that method was not fitted."""

# ---- cluster
X_UMAP: Final = Slot("obsm", "X_umap")
"""Map in two dimensions, for display only."""
CONNECTIVITIES: Final = Slot("obsp", "connectivities")
"""Strength of the tie between two neighbours, 0 to 1, symmetric."""
DISTANCES: Final = Slot("obsp", "distances")
"""Distance to each of the nearest neighbours."""
CLUSTER: Final = Slot("obs", "cluster")
"""Leiden cluster at the chosen resolution; other resolutions are `leiden_<resolution>`."""
CELL_TYPE: Final = Slot("obs", "cell_type")
"""Type of the cluster, with the borders between types drawn by the markers around the cell; the
class itself for cells that are not `blood`."""
TYPE_MARKER: Final = Slot("var", "cell_type_marker")
"""Gene of a marker set of a cell type; kept in the matrix of the cohort whether variable or not."""
TYPE_LOADINGS: Final = Slot("varm", "cell_type_loadings")
"""Weight of each gene in the score of each cell type that a cluster has; columns as in
`cell_type_scores`."""
TYPE_SCORES: Final = Slot("obsm", "cell_type_scores")
"""Marker score of each cell type that a cluster has, averaged over the neighbours of the cell;
columns are `scored_types` of uns `cluster`."""
COUNTS_LAYER: Final = Slot("layers", "counts")
"""Counts that X was computed from (corrected for ambient RNA where `qc.ambient` is `correct`), CSR
int32; only where `cluster.genes` keeps all genes."""
SCORE_PREFIX: Final = "score_"
"""Signature scores are columns of obs in the files of the cohort: `score_<signature>`."""
NEIGHBORS: Final = Slot("uns", "neighbors")
"""As scanpy has it: the keys of obsp, and in `params` n_neighbors, metric and use_rep."""
PCA: Final = Slot("uns", "pca")
"""As scanpy has it: `variance`, `variance_ratio`, `params`."""
HVG: Final = Slot("uns", "hvg")
"""As scanpy has it: the flavor of var `highly_variable`."""
LOG1P: Final = Slot("uns", "log1p")
"""As scanpy has it: says that X is log1p, natural logarithm."""
RANKED: Final = Slot("uns", "rank_genes_groups")
"""As scanpy has it, of `cluster`: `names`, `scores` (AUC), `logfoldchanges` (log2), and `pvals` and
`pvals_adj`, which are NaN: the clusters were made from the same counts. Absent for one cluster."""
CLASS_COLOURS: Final = Slot("uns", "class_colors")
"""Colours of the categories of `class`, those of the report."""
TYPE_COLOURS: Final = Slot("uns", "cell_type_colors")
"""Colours of the categories of `cell_type`."""
CLUSTER_COLOURS: Final = Slot("uns", "cluster_colors")
"""Colours of the categories of `cluster`."""
MARKERS: Final = Slot("uns", "markers")
"""JSON: marker genes per cluster, of all genes."""
CONDITIONS: Final = Slot("uns", "conditions")
"""JSON, a list per column: genes between conditions per cell type, over patients."""
CLUSTERING: Final = Slot("uns", "cluster")
"""JSON: sketch, resolutions, number of clusters, stability, margins of the cell types, those that
are scored, what was not run."""

# ---- project
CONFIDENCE: Final = Slot("obs", "cell_type_confidence")
"""Share of the nearest reference cells (by weight) that have this cell type, times the share of the
reference's components that the sample's genes cover (fraction); low where the markers around the
cell point to another type than its neighbours in the reference have; NaN where not mapped."""
NOVELTY: Final = Slot("obs", "novelty")
"""Distance of the cell from the reference: 0 is usual at its depth, above 1 the cell is novel."""
PROJECT: Final = Slot("uns", "project")
"""JSON: the reference, missing genes, method, novel cells, what was not run and why."""
