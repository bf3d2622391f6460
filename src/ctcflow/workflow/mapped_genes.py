"""Check which samples of a run can be mapped onto its reference, by the names of their genes."""

from __future__ import annotations

from ctcflow.files import bundle
from ctcflow.formats.detect import Source
from ctcflow.workflow.for_rules import Workflow
from ctcflow.workflow.sources import source_of


def remarks(run: Workflow) -> list[str]:
    """Say which of the reference's genes each sample lacks, before the first job.

    Former symbols, which only `ingest` can resolve, count as missing here.

    Parameters
    ----------
    run
        Configuration and sheet.

    Returns
    -------
    A sentence for each sample that lacks a gene; none without a reference.
    """
    if not run.references:
        return []
    # imported only if there is a reference, because these import scientific libraries
    import numpy as np

    from ctcflow.formats.genes import gene_names
    from ctcflow.stats.counts.missing_genes import seen_share
    from ctcflow.steps.project import FEWEST_SEEN

    reference = bundle.read_genes(run.references[0])
    sentences = []
    for sample in run.sheet:
        source = source_of(sample)
        names = gene_names(source) if isinstance(source, Source) else None
        if names is None:
            continue
        pairs = zip(reference.genes, reference.gene_ids, strict=True)
        seen = np.array([str(gene) in names or str(gene_id) in names for gene, gene_id in pairs])
        lacks = int((~seen).sum())
        if not lacks:
            continue
        share = seen_share(reference.loadings, seen=seen)
        ends = (
            "they are not seen, and the confidence of its cell types is lowered"
            if share >= FEWEST_SEEN
            else "it will not be mapped; its calls do not depend on that"
        )
        sentences.append(
            f"{sample.sample} lacks {lacks:,} of the {seen.size:,} genes of the reference, the"
            f" others hold {share:.0%} of its components: {ends}"
        )
    return sentences
