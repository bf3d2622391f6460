"""The report: an HTML page, its figures, and tables for MultiQC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from markupsafe import Markup

from ctcflow import keys, numbers
from ctcflow.files import io
from ctcflow.records.call import Call, SampleQuality
from ctcflow.records.cluster import Clustering, Conditions
from ctcflow.records.integrate import Integrate
from ctcflow.records.run import Params, RunRecord, StepRecord
from ctcflow.render import copy_number
from ctcflow.render.page import (
    answer,
    cohort,
    methods,
    provenance,
    sections,
)
from ctcflow.render.page import (
    quality as quality_page,
)
from ctcflow.render.page.environment import fill
from ctcflow.render.page.whole_page import whole_page
from ctcflow.render.tables import multiqc
from ctcflow.render.tables import of_run as tables
from ctcflow.render.tables.records import records_table
from ctcflow.settings.params import ReportParams, StepsParams

if TYPE_CHECKING:
    from anndata import AnnData

    from ctcflow.render.page.explorer import Parts

FILES: Final[tuple[str, ...]] = (
    "report.html",
    "figures/umap.png",
    "figures/qc.png",
    "figures/calls.png",
    "figures/mixing.png",
    "figures/calibration.png",
    "figures/droplets.png",
    "figures/copy_number.png",
    "figures/umap.svg",
    "multiqc/ctcflow_samples_mqc.tsv",
    "multiqc/ctcflow_ledger_mqc.tsv",
    "multiqc/ctcflow_limits_mqc.tsv",
)

_NAVIGATION: Final = (
    ("calls", "The calls"),
    ("copy-number", "Copy number"),
    ("calibration", "Calibration"),
    ("aggregates", "Aggregates"),
    ("map", "Map"),
    ("quality", "Quality"),
    ("set-aside", "Set aside"),
    ("mixing", "Batches"),
    ("clusters", "Clusters"),
    ("not-run", "Not run"),
    ("methods", "Methods"),
    ("parameters", "Parameters"),
    ("provenance", "Versions and input"),
)
_LIBRARIES: Final = ("anndata", "numpy", "scipy", "harmonypy", "igraph")
"""Libraries whose versions affect the numbers most; they are named in the report."""


def report(adata: AnnData, call: AnnData, *, params: ReportParams) -> dict[str, bytes]:
    """Write the page, its figures, and tables for MultiQC.

    Parameters
    ----------
    adata
        Result of `cluster`: obs `sample`, `class`, `cell_type`, `cluster`, `batch_used` (else
        `batch` of the sheet); obsm `X_umap` (n_cells, 2), absent or NaN where it was not run. uns,
        each a JSON object: `integrate` (`method`, `mixing` and `conservation`: `before` and `after`
        with one number per metric, `iLISI_of_random`, `separability`, `batches`, `confounding`:
        records with `words`), `cluster` (`resolutions`: records of `resolution`, `n_clusters`,
        `stability`; `resolution`; `sketch`: `cells`, `of`; `cell_types`: records of `cluster`,
        `second`, `margin`; `not_run`: records of `what`, `reason`), `markers` (see
        `render.tables.of_run.markers_table`),
        `ctcflow` (`steps`: step -> `version`, `params`, `inputs`, `cells_in`, `cells_out`);
        `reduce`, `integrate` and `cluster` may have `reason`. Anything may be missing.
    call
        Result of `call`: see `render.tables.of_run`.
    params
        Title of the page.

    Returns
    -------
    dict[str, bytes]
        The files of `FILES`, by path below the folder of the report. The same input gives the
        same bytes.
    """
    facts = io.record(call, keys.CALL, Call)
    copies = copy_number.judged(call.obs, call.obsm.get(keys.COPY_NUMBER.key))
    from ctcflow.render.report_figures import drawings  # matplotlib takes half a second to import

    figures = drawings(adata, call, facts, copies)
    steps = _steps(adata, call)
    draws = answer.draws_of(facts.get("draws") or [], facts.get("samples") or [])
    missing = tables.not_run_table(call, adata)
    first = answer.first_screen(
        draws,
        facts.get("healthy") or {},
        facts.get("dispersion") or {},
        _notes(facts, missing),
        _confidence(steps),
    )
    called = tables.ctc_table(call)
    calls = sections.calls(called, figures["figures/calls.png"], _cards(adata, call, called, steps))
    around = _explorer(adata)
    main = [
        first,
        calls,
        copy_number.section(copies, figures["figures/copy_number.png"], facts.get("not_run") or []),
        sections.calibration(facts.get("calibration") or {}, figures["figures/calibration.png"]),
        quality_page.aggregates(tables.aggregates_table(call)),
        cohort.maps(figures["figures/umap.png"], around.markup),
        _quality(call, facts.get("qc") or [], figures),
        sections.set_aside(tables.set_aside_table(call)),
        cohort.mixing(io.record(adata, keys.INTEGRATE, Integrate), figures["figures/mixing.png"]),
        _clusters(adata),
        provenance.not_run(missing),
        _methods(adata, steps),
        provenance.parameters(steps, StepsParams().model_dump(mode="json")),
        provenance.versions(steps),
    ]
    page = whole_page(params.title, _NAVIGATION, main, libraries=around.library)
    return {"report.html": page, **figures, **_for_multiqc(call)}


def _clusters(adata: AnnData) -> Markup:
    clustering = io.record(adata, keys.CLUSTERING, Clustering)
    resolutions = records_table(clustering.get("resolutions"), ("resolution",))
    return cohort.clusters(adata.obs, tables.markers_table(adata), clustering, resolutions)


def _for_multiqc(call: AnnData) -> dict[str, bytes]:
    return multiqc.multiqc(
        samples=tables.samples_table(call),
        ledger=tables.ledger_table(call),
        limits=tables.limits_table(call),
    )


def _cards(adata: AnnData, call: AnnData, called: pd.DataFrame, steps: provenance.Steps) -> Markup:
    from ctcflow.render.page.cards import MOST_CARDS, cards, rows_of
    from ctcflow.render.report_figures import coordinates_of

    shown = called.head(MOST_CARDS)
    rows, in_map = rows_of(call.obs, shown), rows_of(adata.obs, shown)
    whole_map = coordinates_of(adata)
    places = None
    if whole_map is not None:
        places = np.where((in_map >= 0)[:, None], whole_map[np.maximum(in_map, 0)], np.nan)
    arms = call.obsm.get(keys.COPY_NUMBER.key)
    other = call.obs.get(keys.OTHER_TYPE.key, pd.Series("", index=call.obs.index))
    return cards(
        shown.assign(other_type=other.astype(object).to_numpy(dtype=object)[rows]),
        n_called=len(called),
        places=places,
        whole_map=whole_map,
        arms=arms.iloc[rows][copy_number.along_genome(arms)]
        if isinstance(arms, pd.DataFrame)
        else None,
        params=_params_of_call(steps),
    )


def _explorer(adata: AnnData) -> Parts:
    from ctcflow.render.page.explorer import explorer
    from ctcflow.render.report_figures import coordinates_of

    return explorer(adata.obs, coordinates_of(adata))


def _methods(adata: AnnData, steps: provenance.Steps) -> Markup:
    clustering = io.record(adata, keys.CLUSTERING, Clustering)
    compared: list[str] | None = io.record(adata, keys.CONDITIONS, Conditions).get("gene")
    return methods.methods(
        steps,
        versions={name: version(name) for name in _LIBRARIES},
        resolution=numbers.text(clustering.get("resolution")),
        compared=bool(compared),
        mapped="project" in steps or "gather" in steps,
    )


def _quality(
    call: AnnData, records: Sequence[SampleQuality], figures: Mapping[str, bytes]
) -> Markup:
    from ctcflow.render.figures import barcodes
    from ctcflow.render.figures.lineages import are_umis

    with_droplets = barcodes.with_droplets(records)
    droplets = None
    if with_droplets:
        note = barcodes.not_shown(len(with_droplets))
        droplets = quality_page.droplets_figure(figures["figures/droplets.png"], note)
    return quality_page.quality(
        figures["figures/qc.png"],
        droplets,
        limits=tables.limits_table(call),
        ambient=tables.ambient_table(call),
        ledger=tables.ledger_table(call),
        ingest=tables.ingest_table(call),
        read_counts=[numbers.text(r.get("sample")) for r in records if not are_umis(r)],
    )


def _steps(adata: AnnData, call: AnnData) -> provenance.Steps:
    """Merge the records of both files, in the order of the steps."""
    merged: dict[str, StepRecord] = {}
    for source in (call, adata):
        merged.update(io.record(source, keys.CTCFLOW, RunRecord).get("steps") or {})
    order = [*StepsParams.model_fields]
    names = sorted(merged, key=lambda name: order.index(name) if name in order else len(order))
    return {name: merged[name] for name in names}


def _confidence(steps: provenance.Steps) -> float | None:
    return numbers.number_or_none(_params_of_call(steps).get("confidence"))


def _params_of_call(steps: provenance.Steps) -> Params:
    """Parameters of `call`; empty where they were not recorded."""
    record = steps.get("call")
    return (record.get("params") or {}) if record else {}


def _notes(facts: Call, missing: pd.DataFrame) -> list[Markup]:
    notes = [answer.no_control_note(facts.get("samples") or [], facts.get("healthy") or {})]
    if len(missing):
        what = numbers.plural(len(missing), "analysis")
        what = what.replace("analysiss", "analyses")
        verb = "was" if len(missing) == 1 else "were"
        notes.append(fill("notes/not_run", what=what, verb=verb))
    return [note for note in notes if note is not None]
