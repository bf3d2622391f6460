"""Explain, in words, all that a finished run has found about one droplet."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd

from ctcflow import keys, numbers
from ctcflow.errors import CtcflowError
from ctcflow.evidence.lines import LINES
from ctcflow.files import io
from ctcflow.records.call import Call
from ctcflow.records.run import Params, RunRecord

_SUFFIX: Final = re.compile(r"-\d+$")
"""Suffix of a barcode: the number of the library, added by Cell Ranger."""
_COUNTED: Final = (
    (keys.TOTAL_COUNTS, "counts"),
    (keys.N_GENES_BY_COUNTS, "genes"),
    (keys.PCT_COUNTS_MT, "% mitochondrial"),
    (keys.PCT_COUNTS_HB, "% haemoglobin"),
    (keys.PCT_COUNTS_PLATELET, "% platelet genes"),
    (keys.DOUBLET_SCORE, "doublet score"),
)


def explain(folder: Path, sample: str, barcode: str) -> list[str]:
    """Say what a droplet was called, and why.

    Parameters
    ----------
    folder
        Folder of a run in which `call` has finished.
    sample
        Name of the sample, as in `results/call/cells.tsv.gz`.
    barcode
        Barcode as in that table; its suffix (`-1`) may be left out if that is unambiguous.

    Returns
    -------
    Lines.

    Raises
    ------
    CtcflowError
        There are no calls, the sample or the barcode does not exist, or several barcodes differ
        only in the suffix that was left out.
    """
    results = folder / "results"
    call = results / "call" / "call.h5ad"
    if not call.is_file():
        raise CtcflowError(f"`{folder}` has no results/call/call.h5ad: run `ctcflow run {folder}`")
    called = io.read_h5ad(call)
    facts = io.record(called, keys.CALL, Call)
    names = [str(record["sample"]) for record in facts.get("samples") or []]
    if sample not in names:
        raise CtcflowError(f"no sample `{sample}` in {call}: it has {_nearest(sample, names)}")
    obs = called.obs
    of_sample = obs[keys.SAMPLE.key] == sample
    droplets = io.read_h5ad(results / "qc" / f"{sample}.h5ad").obs
    listed = [record for record in facts.get("set_aside") or [] if record["sample"] == sample]
    known = [*obs.loc[of_sample, keys.BARCODE.key], *droplets.index]
    known += [str(record["barcode"]) for record in listed]
    barcode = _whole(barcode, known, sample)
    aside = [record for record in listed if record["barcode"] == barcode]
    is_droplet = of_sample & (obs[keys.BARCODE.key] == barcode)
    kept = is_droplet.any()
    kind = str(obs.loc[is_droplet, keys.CLASS.key].iloc[0]) if kept else "not among the kept cells"
    lines = [f"{sample} {barcode}: {kind}"]
    if kept:
        lines += _evidence(obs[is_droplet].iloc[0], _params(called))
    if barcode in droplets.index:
        lines += _quality(droplets.loc[barcode])
    for record in aside:
        lines += _shown("set aside", f"{record['reason']}; {record['evidence']}")
    if kept:
        lines += _scores(called, int(is_droplet.to_numpy().argmax()))
    return lines


def _whole(barcode: str, known: Sequence[str], sample: str) -> str:
    """Complete a barcode whose suffix was left out."""
    if barcode in known:
        return barcode
    ends = sorted({name for name in known if _SUFFIX.sub("", name) == barcode})
    if len(ends) == 1:
        return ends[0]
    if ends:
        raise CtcflowError(
            f"`{barcode}` is {len(ends)} droplets of sample `{sample}`: name one of"
            f" {', '.join(ends[:5])}"
        )
    raise CtcflowError(
        f"no droplet `{barcode}` in sample `{sample}`: it has"
        f" {_nearest(barcode, list(dict.fromkeys(known)))}"
    )


def _params(called: Any) -> Params:
    steps = io.record(called, keys.CTCFLOW, RunRecord).get("steps") or {}
    return steps["call"]["params"] if "call" in steps else {}


def _evidence(cell: pd.Series, params: Params) -> list[str]:
    p, q = (numbers.probability(cell[slot.key]) for slot in (keys.P, keys.Q))
    limits = ""
    if params:
        limits = f" (a call needs q <= {params['fdr']:g} and p <= {params['max_p']:g})"
    lines = _shown("why", numbers.text(cell[keys.REASON.key]))
    lines += _shown("p, q", f"{p}, {q}{limits}")
    for line in LINES:
        lines += _shown(line.label.lower(), line.says(cell))
    for slot, label in (
        (keys.MALIGNANCY, "malignancy"),
        (keys.PHENOTYPE, "phenotype"),
    ):
        lines += _shown(label, numbers.text(cell[slot.key]))
    verdict = numbers.text(cell[keys.VERDICT.key])
    if verdict:
        before = numbers.text(cell[keys.CLASS_BEFORE_REVIEW.key])
        by = numbers.text(cell[keys.REVIEWER.key])
        lines += _shown("review", f"{verdict} by {by}; the machine said {before}")
    return lines


def _quality(droplet: pd.Series) -> list[str]:
    measures = [
        f"{numbers.short(droplet[slot.key])} {label}"
        for slot, label in _COUNTED
        if numbers.number_or_none(droplet[slot.key]) is not None
    ]
    kept = "kept" if droplet[keys.KEEP.key] else "set aside"
    flags = numbers.text(droplet[keys.QC_FLAG.key]).replace(";", "; ")
    rescued = flags and droplet[keys.KEEP.key]
    why = (
        f" (rescued by tumour evidence from: {flags})"
        if rescued
        else f" ({flags})"
        if flags
        else ""
    )
    lines = _shown("quality", f"{kept}{why}: {', '.join(measures)}")
    return lines + _shown("remarks", numbers.text(droplet[keys.QC_REMARK.key]).replace(";", "; "))


def _scores(called: Any, row: int) -> list[str]:
    scores = called.obsm.get(keys.SIGNATURES.key)
    if not isinstance(scores, pd.DataFrame):
        return []
    cell = scores.iloc[row]
    words = [f"{name.replace('_', ' ')} {numbers.short(cell[name])}" for name in scores.columns]
    return _shown("scores", ", ".join(words))


def _shown(label: str, text: str) -> list[str]:
    return [f"  {label:<12} {text}"] if text else []


def _nearest(name: str, known: Sequence[str]) -> str:
    """A few known names, most similar to the given one first."""
    close = difflib.get_close_matches(name, known[:100_000], n=3, cutoff=0.7)
    shown = close or list(known[:3])
    more = len(known) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")
