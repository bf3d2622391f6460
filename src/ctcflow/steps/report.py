"""The page that people read, and its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from ctcflow import keys
from ctcflow.params import ReportParams, StepsParams
from ctcflow.render import (
    answer,
    cohort,
    copy_number,
    html,
    methods,
    numbers,
    provenance,
    quality_page,
    sections,
    tables,
)
from ctcflow.render.html import Markup
from ctcflow.render.records import facts, records_table

if TYPE_CHECKING:
    from anndata import AnnData

FILES: Final[tuple[str, ...]] = (
    "report.html",
    "figures/umap.png",
    "figures/umap.svg",
    "figures/qc.png",
    "figures/calls.png",
    "figures/mixing.png",
    "figures/calibration.png",
    "figures/droplets.png",
    "figures/copy_number.png",
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
_PANELS: Final = {
    keys.CLASS.key: "By class",
    keys.SAMPLE.key: "By sample",
    keys.CELL_TYPE.key: "By cell type",
    keys.BATCH.key: "By batch",
    "batch": "By batch",
}
_LIBRARIES: Final = ("anndata", "numpy", "scipy", "harmonypy", "igraph")
"""Those that numbers depend on most."""
_COUNTED: Final = ("count", "count_low", "count_high")


def report(adata: AnnData, call: AnnData, *, params: ReportParams) -> dict[str, bytes]:
    """Write the page and its figures.

    Parameters
    ----------
    adata
        What `cluster` leaves: obs `sample`, `class`, `cell_type`, `cluster`, `batch_used` (else
        `batch` of the sheet); obsm `X_umap` (n_cells, 2), absent or NaN where it was not run. uns,
        each a JSON object: `integrate` (`method`, `mixing` and `conservation`: `before` and `after`
        with one number per metric, `iLISI_of_random`, `separability`, `batches`, `confounding`:
        records with `words`), `cluster` (`resolutions`: records of `resolution`, `n_clusters`,
        `stability`; `resolution`; `sketch`: `cells`, `of`; `cell_types`: records of `cluster`,
        `second`, `margin`; `not_run`: records of `what`, `reason`), `markers` (see
        `render.tables.markers_table`),
        `ctcflow` (`steps`: step -> `version`, `params`, `inputs`, `cells_in`, `cells_out`);
        `reduce`, `integrate` and `cluster` may have `reason`. Anything may be missing.
    call
        What `call` leaves: see `render.tables`.
    params
        Title of the page.

    Returns
    -------
    dict[str, bytes]
        The files of `FILES`, by path below the folder of the report. The same input gives the
        same bytes.
    """
    found = facts(call, keys.CALL)
    copies = copy_number.judged(call.obs, call.obsm.get(keys.COPY_NUMBER.key))
    figures = _figures(adata, call, found, copies)
    steps = _steps(adata, call)
    draws = answer.draws_of(found.get("draws") or [], found.get("samples") or [])
    missing = tables.not_run_table(call, adata)
    first = answer.first_screen(
        draws,
        found.get("healthy") or {},
        found.get("dispersion") or {},
        _notes(found, missing),
        _confidence(steps),
    )
    calls = sections.calls(tables.ctc_table(call), figures["figures/calls.png"])
    clustering = facts(adata, keys.CLUSTERING)
    main = [
        first,
        calls,
        copy_number.section(copies, figures["figures/copy_number.png"], found.get("not_run") or []),
        sections.calibration(found.get("calibration") or {}, figures["figures/calibration.png"]),
        quality_page.aggregates(tables.aggregates_table(call)),
        cohort.maps(figures["figures/umap.png"]),
        _quality(call, found.get("qc") or [], figures),
        sections.set_aside(tables.set_aside_table(call)),
        cohort.mixing(facts(adata, keys.INTEGRATE), figures["figures/mixing.png"]),
        cohort.clusters(
            adata.obs,
            tables.markers_table(adata),
            clustering,
            records_table(clustering.get("resolutions"), ("resolution",)),
        ),
        provenance.not_run(missing),
        _methods(adata, steps, clustering),
        provenance.parameters(steps, StepsParams().model_dump(mode="json")),
        provenance.versions(steps),
    ]
    return {"report.html": html.page(params.title, _NAVIGATION, main), **figures}


def _methods(
    adata: AnnData, steps: Mapping[str, Mapping[str, Any]], clustering: Mapping[str, Any]
) -> Markup:
    compared = facts(adata, keys.CONDITIONS)
    return methods.methods(
        steps,
        versions={name: version(name) for name in _LIBRARIES},
        resolution=numbers.text(clustering.get("resolution")),
        compared=any(len(column) > 0 for column in compared.values()),
        mapped="project" in steps or "gather" in steps,
    )


def _quality(
    call: AnnData, records: Sequence[Mapping[str, Any]], figures: Mapping[str, bytes]
) -> Markup:
    from ctcflow.render import barcodes

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
        read_counts=[numbers.text(r.get("sample")) for r in records if r.get("umis") is False],
    )


def _figures(
    adata: AnnData, call: AnnData, found: Mapping[str, Any], copies: copy_number.Judged
) -> dict[str, bytes]:
    # Matplotlib takes half a second to import, and every command imports this module.
    from ctcflow.render import atlas, barcodes, figures, heat_map, marks
    from ctcflow.render.quality import quality

    coordinates = _coordinates(adata)
    reason = numbers.text(facts(adata, keys.CLUSTERING).get("reason")) or "no map"
    panels = {name: title for name, title in _PANELS.items() if name in adata.obs}
    if keys.BATCH.key in panels:
        panels.pop("batch", None)
    draws = answer.draws_of(found.get("draws") or [], found.get("samples") or [])
    observed = (found.get("calibration") or {}).get("observed") or []
    with marks.drawing():
        umap = atlas.umap(adata.obs, coordinates, panels, reason)
        records = found.get("qc") or []
        qc = quality(records, _samples(adata, found))
        calls = figures.evidence(_evidence(call.obs), _counts(draws))
        mixing = figures.mixing(_metrics(facts(adata, keys.INTEGRATE)))
        calibration = figures.calibration(observed, "no null cells to calibrate on")
        droplets = barcodes.droplets(records)
        copied = heat_map.heat_map(copies)
        drawn = (umap, qc, calls, mixing, calibration, droplets, copied)
        pngs = [marks.written(figure, "png") for figure in drawn]
        svg = marks.written(umap, "svg")
    return dict(zip(FILES[1:], [pngs[0], svg, *pngs[1:]], strict=True))


def _coordinates(adata: AnnData) -> npt.NDArray[np.float64] | None:
    found = adata.obsm.get(keys.X_UMAP.key)
    if found is None:
        return None
    return np.asarray(found, dtype=np.float64)[:, :2]


def _samples(adata: AnnData, found: Mapping[str, Any]) -> tuple[str, ...]:
    """Names in the order of `call`, then any that only the cohort has."""
    named = [numbers.text(record.get("sample")) for record in found.get("samples") or []]
    seen = adata.obs.get(keys.SAMPLE.key, [])
    return tuple(dict.fromkeys([*named, *sorted({str(name) for name in seen})]))


def _evidence(obs: pd.DataFrame) -> pd.DataFrame:
    wanted = (keys.CLASS.key, keys.P_IDENTITY.key, keys.P_PANEL.key)
    return pd.DataFrame({name: obs.get(name, np.nan) for name in wanted}, index=obs.index)


def _counts(draws: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    rows = [
        {
            "name": " ".join(
                part
                for part in (numbers.text(draw.get("patient")), numbers.text(draw.get("draw")))
                if part
            )
            or ", ".join(draw["names"]),
            **{key: numbers.number_or_none(draw.get(key)) for key in _COUNTED},
        }
        for draw in draws
    ]
    return pd.DataFrame(rows, columns=["name", *_COUNTED]).astype(dict.fromkeys(_COUNTED, float))


def _metrics(integration: Mapping[str, Any]) -> list[tuple[str, float, float]]:
    found = []
    for metrics in ("mixing", "conservation"):
        sides = integration.get(metrics) or {}
        before, after = sides.get("before") or {}, sides.get("after") or {}
        for name in dict.fromkeys([*before, *after]):
            found.append((str(name).replace("_", " "), _value(before, name), _value(after, name)))
    apart = integration.get("separability")
    if apart:
        shares = (_value(apart, "before"), _value(apart, "after"))
        found.append(("neighbours of CTCs that are CTCs", *shares))
    return found


def _value(found: Mapping[str, Any], name: str) -> float:
    value = numbers.number_or_none(found.get(name))
    return np.nan if value is None else value


def _steps(adata: AnnData, call: AnnData) -> dict[str, Mapping[str, Any]]:
    """Merge what both files record, in the order of the flow."""
    merged: dict[str, Mapping[str, Any]] = {}
    for source in (call, adata):
        merged.update(facts(source, keys.CTCFLOW).get("steps") or {})
    order = [*StepsParams.model_fields]
    names = sorted(merged, key=lambda name: order.index(name) if name in order else len(order))
    return {name: merged[name] for name in names}


def _confidence(steps: Mapping[str, Mapping[str, Any]]) -> float | None:
    given = (steps.get("call", {}).get("params") or {}).get("confidence")
    return numbers.number_or_none(given)


def _notes(found: Mapping[str, Any], missing: pd.DataFrame) -> list[Markup]:
    notes = [answer.no_control_note(found.get("samples") or [], found.get("healthy") or {})]
    if len(missing):
        link = html.tag("a", "with the reasons below", attributes={"href": "#not-run"})
        what = numbers.plural(len(missing), "analysis")
        what = what.replace("analysiss", "analyses")
        verb = "was" if len(missing) == 1 else "were"
        notes.append(html.join([f"{what} {verb} not run, ", link, "."]))
    return [note for note in notes if note is not None]
