"""What `ingest` will say of count files, seen by `check` where reading them takes seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ctcflow import keys
from ctcflow.errors import CtcflowError
from ctcflow.files import io
from ctcflow.files.shipped import shipped
from ctcflow.files.tables import SHIPPED
from ctcflow.formats.detect import Source
from ctcflow.records.ingest import Ingest
from ctcflow.settings.config import step_params
from ctcflow.settings.sample import Sample
from ctcflow.settings.sample_params import IngestParams
from ctcflow.stats.panels.panel import panels_to_test
from ctcflow.workflow.for_rules import Workflow
from ctcflow.workflow.sources import source_of

if TYPE_CHECKING:
    import pandas as pd

_MOST_SAMPLES: Final = 10
_MOST_BYTES: Final = 20_000_000
"""Samples, and bytes of their files together, that are read."""


def what_is_read(run: Workflow) -> list[str]:
    """Read small count files as `ingest` will.

    Parameters
    ----------
    run
        Configuration and sheet.

    Returns
    -------
    A sentence for each sample that was read, in the order of the sheet, and one for all others.

    Raises
    ------
    CtcflowError
        `ingest` will refuse a file; the message names its sample.
    """
    chosen = _small(run)
    if not chosen:
        return []
    genes = io.read_table(run.own_tables.get("genes", shipped("resources") / SHIPPED["genes"]))
    panels = io.read_gene_sets(
        run.own_tables.get("panels", shipped("resources") / SHIPPED["panels"])
    )
    sentences = [_sentence(run, sample, genes, panels) for sample in chosen]
    others = len(run.sheet) - len(chosen)
    more = f"{others} more or larger files are read by `ingest`"
    return [*sentences, *([more] if others else [])]


def _small(run: Workflow) -> list[Sample]:
    chosen, left = list[Sample](), _MOST_BYTES
    for sample in run.sheet:
        source = source_of(sample)
        if not isinstance(source, Source) or len(chosen) == _MOST_SAMPLES:
            continue
        size = sum(path.stat().st_size for path in source.files)
        if size <= left:
            chosen.append(sample)
            left -= size
    return chosen


def _sentence(run: Workflow, sample: Sample, genes: pd.DataFrame, panels: pd.DataFrame) -> str:
    from ctcflow.formats.read import read_counts
    from ctcflow.stats.counts.gene_sets import genes_of_sets
    from ctcflow.steps.ingest import ingest

    params = IngestParams.model_validate_json(step_params(run.config, "ingest", sample))
    score = json.loads(step_params(run.config, "score", sample))
    try:
        counts = read_counts(
            Path(sample.path), format=sample.format, genes=genes, matrix=sample.matrix
        ).adata
        read = ingest(counts, genes, params=params)
    except CtcflowError as error:
        raise CtcflowError(f"sample `{sample.sample}`: {error}") from error
    record = io.record(read, keys.INGEST, Ingest)
    chosen = panels_to_test(
        genes_of_sets(panels), wanted=score["panel"], cancer=sample.cancer_type or ""
    )
    members = frozenset().union(*chosen.values())
    there = len(members & set(read.var_names))
    said = [
        f"{record['n_cells']:,} cells x {record['n_genes']:,} genes, of which"
        f" {record['genes_recognised']:,} are known and {record['mt_genes']} mitochondrial",
        f"{there} of {len(members)} panel genes",
        *record["notes"],
    ]
    return f"{sample.sample} ({record['format']}): {'; '.join(said)}"
