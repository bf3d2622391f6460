"""Where the counts of a sample come from: files on this machine, or remote storage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ctcflow.errors import CtcflowError, reason
from ctcflow.formats.detect import Source, locate
from ctcflow.formats.remote import Stored, locate_stored
from ctcflow.settings.sample import Sample


def brought_to(path_in_sheet: Path | str, files: Any) -> str:
    """A path of the sheet, or the local copy that Snakemake made of an address."""
    if isinstance(path_in_sheet, Path):
        return str(path_in_sheet)
    return str(files[0] if len(files) == 1 else Path(files[0]).parent)


def _located(path: Path | str, format: str | None) -> Source | Stored:
    if isinstance(path, Path):
        return locate(path, format=format)
    return locate_stored(path, format=format)


def source_of(sample: Sample) -> Source | Stored:
    """Find the files of the counts of a sample; an error message names the sample."""
    try:
        return _located(sample.path, sample.format)
    except CtcflowError as error:
        raise CtcflowError(f"sample `{sample.sample}`: {error}") from error


def droplets_of(sample: Sample) -> list[Source | Stored]:
    """Find the files of a sample's unfiltered droplets; empty where not given."""
    if sample.raw_path is None:
        return []
    try:
        return [_located(sample.raw_path, None)]
    except CtcflowError as error:
        raise CtcflowError(f"sample `{sample.sample}`, raw_path: {error}") from error


def check_storage(sources: Sequence[Source | Stored], storage: Callable[[str], Any]) -> None:
    """Refuse an address for which Snakemake has no plugin.

    Raises
    ------
    CtcflowError
        A plugin is missing; the message names the address and the plugin to install.
    """
    for address in (source.addresses[0] for source in sources if isinstance(source, Stored)):
        # Snakemake is already imported: this runs while it parses the workflow
        from snakemake.exceptions import WorkflowError

        try:
            storage(address)
        except WorkflowError as error:
            raise CtcflowError(
                f"`{address}` cannot be read ({reason(error)}): install Snakemake's plugin for this"
                " storage (of S3: `pip install --no-deps -r requirements-s3.lock`)"
            ) from None
