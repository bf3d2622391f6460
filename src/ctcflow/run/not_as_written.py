"""Find values of the sample sheet that a run will not use as written, and what it uses instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from ctcflow.settings.config import Config
from ctcflow.settings.mistakes import closest
from ctcflow.settings.sample import Sample

_CELLSEARCH: Final = "cellsearch"


def not_as_written(samples: Sequence[Sample], config: Config, panels: Sequence[str]) -> list[str]:
    """List, one sentence each, values of the sheet that are not used as written.

    Parameters
    ----------
    samples
        Rows of the sheet.
    config
        Configuration of the run.
    panels
        Names of the tumour panels.
    """
    return [
        *_cancer_types(samples, config, panels),
        *_chemistries(samples, config),
        *_volumes(samples),
        *_recoveries(samples),
        *_enrichments(samples),
        *_batches(samples, config),
    ]


def some(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def by(samples: Sequence[Sample], value: Callable[[Sample], Any]) -> dict[Any, list[str]]:
    """Group names of samples by a value; samples without it are left out."""
    groups: dict[Any, list[str]] = {}
    for sample in samples:
        if value(sample) is not None:
            groups.setdefault(value(sample), []).append(sample.sample)
    return groups


def _draws(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        found.setdefault(sample.draw, []).append(sample)
    return found


def _of(sample: Sample, config: Config, step: str, name: str) -> Any:
    """The value of a step's parameter for one sample."""
    overrides = sample.overrides.get(step, {})
    return overrides[name] if name in overrides else getattr(getattr(config, step), name)


def _cancer_types(
    samples: Sequence[Sample], config: Config, panels: Sequence[str]
) -> Iterator[str]:
    by_type = by(
        samples, lambda x: x.cancer_type and (x.cancer_type, _of(x, config, "score", "panel"))
    )
    for (cancer, panel), names in by_type.items():
        if panel == "auto" and cancer not in panels:
            near = closest(cancer, panels, cutoff=0.6)
            meant = f" (did you mean {near}?)" if near else ""
            yield (
                f"cancer_type {cancer} of {some(names)}: no panel has this name{meant}; all panels"
                f" are looked at ({', '.join(panels)})"
            )
        elif panel not in ("auto", cancer):
            yield f"cancer_type {cancer} of {some(names)}: score.panel is {panel}, and it is used"


def _chemistries(samples: Sequence[Sample], config: Config) -> Iterator[str]:
    from ctcflow.stats.droplets.doublets import expected_rate

    def is_given(sample: Sample) -> bool:
        return _of(sample, config, "qc", "doublet_rate") is not None

    def is_known(sample: Sample) -> bool:
        return expected_rate(1, chemistry=sample.chemistry or "") is not None

    unknown = [x for x in samples if x.chemistry and not is_known(x) and not is_given(x)]
    for chemistry, names in by(unknown, lambda x: x.chemistry).items():
        yield (
            f"chemistry {chemistry} of {some(names)}: its rate of doublets is not known (those of"
            " names with 10x are); likely doublets are not looked for, unless qc.doublet_rate is"
            " given"
        )
    without = [x.sample for x in samples if x.expected_cells and (is_given(x) or not is_known(x))]
    if without:
        yield (
            f"expected_cells of {some(without)}: it gives a rate of doublets with a chemistry of"
            " 10x and without qc.doublet_rate only; it is not used"
        )


def _volumes(samples: Sequence[Sample]) -> Iterator[str]:
    draws = _draws(samples)
    shares = {name: [x.fraction_loaded for x in lanes] for name, lanes in draws.items()}
    with_volume = [name for name, lanes in draws.items() if lanes[0].volume_ml is not None]
    alone = [name for name in with_volume if None in shares[name]]
    if alone:
        yield (
            f"volume_ml of {some(alone)}: fraction_loaded is not given beside it, for each lane;"
            " counts are not given per mL"
        )
    without = [
        name for name, fractions in shares.items() if any(fractions) and name not in with_volume
    ]
    if without:
        yield (
            f"fraction_loaded of {some(without)}: there is no volume_ml beside it; counts are not"
            " given per mL"
        )
    for name in with_volume:
        total = sum(share or 0.0 for share in shares[name])
        if total > 1 and None not in shares[name]:
            yield f"fraction_loaded of draw {name}: its lanes have {total:g} together; 1 is used"


def _recoveries(samples: Sequence[Sample]) -> Iterator[str]:
    for name, lanes in _draws(samples).items():
        recoveries = {lane.recovery for lane in lanes}
        if recoveries == {None}:
            continue
        if len(recoveries) > 1:
            yield f"recovery of draw {name}: its lanes do not agree; counts are not corrected"
        elif lanes[0].volume_ml is None or any(x.fraction_loaded is None for x in lanes):
            yield f"recovery of draw {name}: it corrects counts per mL, and there are none"


def _enrichments(samples: Sequence[Sample]) -> Iterator[str]:
    from ctcflow.stats.calls.cutoffs import CUTOFFS

    for name, names in by(samples, lambda x: x.enrichment).items():
        plain = name.strip().lower()
        if plain != _CELLSEARCH and re.sub("[^a-z]", "", plain) == _CELLSEARCH:
            yield f"enrichment {name} of {some(names)}: it is not read as CellSearch; no cut-off"
    cellsearch_samples = [x for x in samples if (x.enrichment or "").strip().lower() == _CELLSEARCH]
    without = [
        x.sample for x in cellsearch_samples if (x.cancer_type or "").strip().lower() not in CUTOFFS
    ]
    if without:
        yield (
            f"enrichment CellSearch of {some(without)}: cut-offs are known for"
            f" {', '.join(CUTOFFS)} (cancer_type) only; none is stated"
        )


def _batches(samples: Sequence[Sample], config: Config) -> Iterator[str]:
    if all(sample.batch is None for sample in samples):
        return
    if config.reference is not None:
        yield "batch: samples are mapped onto a frozen reference, each by itself; it is not used"
    elif config.integrate.batch != "batch":
        yield f"batch: integrate.batch is {config.integrate.batch}, and it is used"
