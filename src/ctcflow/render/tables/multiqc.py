"""Tables of quality control in the form that MultiQC collects (Ewels 2016).

doi:10.1093/bioinformatics/btw354; the format is its "custom content": comments in YAML, then a
table whose first column is the name of the sample.
"""

from __future__ import annotations

import json

import pandas as pd

_SAMPLES = ("sample", "cells", "n_CTC", "n_aggregate", "n_uncertain", "median_umis", "ambient")
_LIMITS = ("min_umis", "min_genes", "max_pct_mt")


def multiqc(
    *, samples: pd.DataFrame, ledger: pd.DataFrame, limits: pd.DataFrame
) -> dict[str, bytes]:
    """Write the tables, by path below the folder of the report.

    Parameters
    ----------
    samples, ledger, limits
        Tables of `render.tables.of_run`.
    """
    reasons, stages = ledger["reason"].astype(str), ledger["stage"].astype(str)
    # the rows of the ledger that add up to the cells of the input
    ends = ((stages == "qc") & reasons.str.startswith("set aside: ")) | (stages == "call")
    fates = ledger.assign(fate=reasons.str.removeprefix("class: "))[ends]
    per_fate = fates.pivot_table(
        index="sample", columns="fate", values="cells", aggfunc="sum", sort=False, fill_value=0
    )
    lineages = limits.assign(
        sample=limits["sample"].astype(str) + " " + limits["lineage"].astype(str)
    )
    tables = {
        "samples": _content(
            "samples",
            "Cells and calls per sample; ambient is the share of counts from outside the cells.",
            "table",
            samples[list(_SAMPLES)],
        ),
        "ledger": _content(
            "ledger", "What became of every cell that came in.", "bargraph", per_fate.reset_index()
        ),
        "limits": _content(
            "limits",
            "Limits of quality control, per coarse lineage of a sample.",
            "table",
            lineages[["sample", *_LIMITS]],
        ),
    }
    return {f"multiqc/ctcflow_{name}_mqc.tsv": text for name, text in tables.items()}


def _content(name: str, description: str, kind: str, table: pd.DataFrame) -> bytes:
    about = {
        "id": f"ctcflow_{name}",
        "section_name": f"ctcflow: {name}",
        "description": description,
        "plot_type": kind,
    }
    # a JSON string is a valid YAML string
    head = "".join(f"# {key}: {json.dumps(value)}\n" for key, value in about.items())
    named = table.rename(columns={"sample": "Sample"})
    rows: str = named.to_csv(sep="\t", index=False, lineterminator="\n", float_format="%.6g")
    return (head + rows).encode()
