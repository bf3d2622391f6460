"""A methods text for a paper, generated from the records of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from markupsafe import Markup

from ctcflow import numbers
from ctcflow.records.run import Params
from ctcflow.render.page.environment import fill
from ctcflow.render.page.provenance import Steps

_INTEGRATION: Final = {
    "harmony": "Batches were corrected by Harmony (doi:10.1038/s41592-019-0619-0) that was fitted"
    " on leukocytes; every other cell follows the mean correction of the leukocytes of its sample",
    "linear": "Batches were corrected by one shift each with the lineage of the leukocytes held"
    " fixed (doi:10.1093/nar/gkv007)",
    "none": "Batches were not corrected",
}


def methods(
    steps: Steps, *, versions: Mapping[str, str], resolution: str, compared: bool, mapped: bool
) -> Markup:
    """Write a paragraph for each part of the analysis that was run.

    Parameters
    ----------
    steps
        Record of each step that ran: `version`, `params`.
    versions
        Version of each library that the text names.
    resolution
        Leiden resolution of the clusters; empty if there are none.
    compared
        True if conditions were compared.
    mapped
        True if samples were mapped onto a frozen reference.
    """
    params = {name: dict(record.get("params") or {}) for name, record in steps.items()}
    parts = [
        *_cells(params),
        *_calls(params),
        *_cohort(params, resolution, compared=compared, mapped=mapped),
    ]
    ran = sorted({numbers.text(record.get("version")) for record in steps.values()} - {""})
    used = ", ".join(f"{name} {version}" for name, version in versions.items())
    parts.append(f"ctcflow {' and '.join(ran) or 'of unknown version'} was used, with {used}.")
    return fill("sections/methods", parts=parts)


def _cells(params: Mapping[str, Params]) -> list[str]:
    parts = []
    if "qc" in params:
        qc = params["qc"]
        parts.append(
            "Quality control measured limits per coarse lineage on the cells of each sample:"
            " medians and median absolute deviations, with floors of"
            f" {numbers.count(qc.get('min_umis'))}"
            f" counts and {numbers.count(qc.get('min_genes'))} genes and a mitochondrial limit"
            f" between {numbers.short(qc.get('min_mt_limit'))} and"
            f" {numbers.short(qc.get('max_mt_limit'))} % of counts. Cells that lack blood"
            " identity or show genes of a tumour panel beyond what blood shows were kept. Likely"
            " doublets (simulated doublets, doi:10.1016/j.cels.2018.11.005, and exclusive pairs of"
            " genes, doi:10.1093/bioinformatics/btz698) were marked and kept. Ambient RNA was"
            " estimated from the unfiltered droplets where they were given, else from genes that a"
            " lineage cannot express (doi:10.1093/gigascience/giaa151), and"
            + (
                " taken out of the counts of the map and the clusters."
                if qc.get("ambient") == "correct"
                else " is part of the null of the calls; counts were not changed."
            )
        )
    if "normalize" in params:
        target = numbers.count(params["normalize"].get("target_umis"))
        parts.append(
            f"Counts were scaled to {target} per cell and log1p-transformed for maps and clusters;"
            " calls are made from the raw counts."
        )
    return parts


def _calls(params: Mapping[str, Params]) -> list[str]:
    if "call" not in params:
        return []
    call = params["call"]
    return [
        "Cells were judged by two lines of evidence from disjoint genes: the likelihood of the"
        " counts under reference profiles of normal human cells (Cell Profile Library, CC-BY"
        " 4.0), of blood and of other tissue, compared with the sample's own leukocytes thinned"
        " to the same depth (with those of four public files where a sample has too few: see what"
        " was not run), and the exact probability that a blood cell of that lineage, depth"
        " and sample shows so many genes of a tumour panel. A cell that is no leukocyte is a CTC"
        " only where it is none of stroma, endothelium or skin either, by the same profiles. p"
        " is twice the smaller of the p of missing blood identity and of both together, weakened"
        " by the tail of the sample's null cells (generalised Pareto distribution,"
        " doi:10.2307/1269343); q is that of Benjamini and Hochberg"
        " (doi:10.1111/j.2517-6161.1995.tb02031.x) within the sample. A call"
        f" needs q <= {numbers.short(call.get('fdr'))} and p <="
        f" {numbers.probability(call.get('max_p'))}. Copy number from expression, arm by arm"
        " against the leukocytes of the sample, decides what a significant cell is and is no part"
        " of p.",
        "Counts per draw have exact intervals of"
        f" {numbers.short(100 * (numbers.number_or_none(call.get('confidence')) or 0.0))} %"
        " (Poisson, doi:10.1093/biomet/28.3-4.437; negative binomial where the dispersion of"
        " replicate draws is known).",
    ]


def _cohort(
    params: Mapping[str, Params], resolution: str, *, compared: bool, mapped: bool
) -> list[str]:
    if mapped:
        return [
            "Samples were mapped onto a frozen reference by Symphony"
            " (doi:10.1038/s41467-021-25957-x), with the shift of each soft cluster shrunk to that"
            " of the whole sample; clusters are votes of the nearest cells of the reference, and"
            " cell types follow from markers averaged over the nearest cells of reference and"
            " sample."
        ]
    parts = []
    if "reduce" in params:
        reduce = params["reduce"]
        parts.append(
            f"{numbers.count(reduce.get('n_genes'))} variable genes were chosen per sample and over"
            " samples as in seurat_v3 (doi:10.1016/j.cell.2019.05.031), and"
            f" {numbers.count(reduce.get('n_components'))} principal components computed exactly"
            " from the cross-product of all cells."
        )
    if "integrate" in params:
        method = (params["integrate"].get("method") or {}).get("method")
        if method in _INTEGRATION:
            parts.append(f"{_INTEGRATION[method]}. Calls do not depend on it.")
    if "cluster" in params and resolution:
        neighbours = numbers.count(params["cluster"].get("n_neighbors"))
        parts.append(
            f"Clusters are communities of a graph of {neighbours} nearest neighbours (Leiden,"
            f" doi:10.1038/s41598-019-41695-z, resolution {resolution}), their stability the"
            " adjusted Rand index of subsamples (doi:10.1007/BF01908075); the map is UMAP"
            " (doi:10.21105/joss.00861) and serves display only. Markers are ranked by AUC, without"
            " p, since clusters come from the same counts."
        )
    if compared:
        parts.append(
            "Conditions were compared per cell type over patients, on sums of counts, by DESeq2"
            " (doi:10.1186/s13059-014-0550-8; PyDESeq2, doi:10.1093/bioinformatics/btad547)."
        )
    return parts
