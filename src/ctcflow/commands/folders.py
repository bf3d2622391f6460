"""Commands on a run folder: create it, check it, run it, explain the call of a droplet."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ctcflow.errors import CtcflowError, printable
from ctcflow.files.shipped import shipped

if TYPE_CHECKING:
    from ctcflow.run.libraries import Found

_RUN: Final = "run the workflow in a folder; goes on after a run that died there"
_RUN_MORE: Final = (
    "What follows ` -- ` goes to Snakemake: `ctcflow run my_run -- --quiet rules freeze`."
    " A profile for Slurm: {profiles}/slurm"
)
_INIT: Final = "make the folder of a run, with a sheet of the libraries below another, or add some"
_CHECK: Final = "check all that a run is made of, and say what would run; runs nothing"
_MOST_PASSED_OVER: Final = 10
"""Files and folders that `init` names of those that are no libraries."""
_EXPLAIN: Final = "print the evidence for one droplet of a finished run"


def add(commands: Any) -> None:
    """Add `init`, `check`, `run` and `explain` to the commands of a parser.

    Raises
    ------
    CtcflowError
        The package was copied without its files.
    """
    init = commands.add_parser("init", help=_INIT, description=_INIT)
    init.add_argument("folder", type=Path, help="of the run")
    text = "where outputs of Cell Ranger, STARsolo and others, .h5, .h5ad ... are looked for"
    source = init.add_mutually_exclusive_group()
    source.add_argument("--from", dest="data", type=Path, metavar="FOLDER", help=text)
    text = "the same for a run that is there: a line for each library that its sheet does not have"
    source.add_argument("--add", type=Path, metavar="FOLDER", help=text)
    init.set_defaults(command=_init)

    check = commands.add_parser("check", help=_CHECK, description=_CHECK)
    check.add_argument("folder", type=Path, help="with config/config.yaml")
    text = "cores to reckon with; default: all"
    check.add_argument("--cores", type=_cores, metavar="N", help=text)
    text = "read all count files anew, and hold them against those that the results came from"
    check.add_argument("--deep", action="store_true", help=text)
    check.set_defaults(command=_check)

    more = _RUN_MORE.format(profiles=shipped("workflow") / "profiles")
    run = commands.add_parser("run", help=_RUN, description=_RUN, epilog=more)
    run.add_argument("folder", type=Path, help="with config/config.yaml")
    run.add_argument("--cores", type=_cores, metavar="N", help="cores to use; default: all")
    run.add_argument("--profile", metavar="FOLDER", help="a profile of Snakemake, for a cluster")
    run.add_argument("-n", "--dry-run", action="store_true", help="say what would run")
    text = "the last run died on another machine and nothing of it is left there"
    run.add_argument("--take-over", action="store_true", help=text)
    run.set_defaults(command=_run)

    explain = commands.add_parser("explain", help=_EXPLAIN, description=_EXPLAIN)
    explain.add_argument("sample", help="name of the sample")
    explain.add_argument("barcode", help="barcode of the droplet; its suffix may be left out")
    text = "folder of the run; default: the current one"
    explain.add_argument("--run", type=Path, default=Path(), metavar="FOLDER", help=text)
    explain.set_defaults(command=_explain)


def _init(arguments: argparse.Namespace) -> None:
    from ctcflow.run import new_sheet, plan
    from ctcflow.settings.config import load_config

    folder, data = arguments.folder, arguments.add or arguments.data
    found = _found(data)
    if arguments.add is None:
        sheet = new_sheet.new_run(folder, found, shipped("config") / "config.yaml")
        new, n_before = found.libraries, 0
    else:
        path = folder / load_config(plan.configuration(folder)).samples
        sheet, new, n_before = new_sheet.add(path, found)
    for library in new:
        beside = " (with its unfiltered droplets)" if library.raw_path else ""
        told = new_sheet.guessed(library.name)
        who = f"; guessed: patient {told['patient']}, day {told['day']}" if told else ""
        print(printable(f"{library.name}: {library.path}{beside}{who}"))
    has = f" ({n_before} were in it)" if n_before else ""
    print(
        f"{sheet}: {len(new)} new libraries{has}. Complete what you know of them (columns:"
        f" {shipped('config') / 'README.md'}), then `ctcflow check {folder}`"
    )


def _found(data: Path | None) -> Found:
    """Libraries below a folder; none where no folder is given."""
    from ctcflow.run.libraries import Found, libraries_below

    if data is None:
        return Found([], [])
    found = libraries_below(data)
    for reason in found.left_out:
        print(printable(f"left out: {reason}"))
    for reason in found.passed_over[:_MOST_PASSED_OVER]:
        print(printable(f"passed over: {reason}"))
    more = len(found.passed_over) - _MOST_PASSED_OVER
    if more > 0:
        print(f"passed over: {more} more files and folders")
    if not found.libraries:
        raise CtcflowError(
            f"no library below `{data}`: give the folder that holds outputs of Cell Ranger,"
            " STARsolo, Parse, kb or alevin-fry, or .h5, .h5ad, .h5mu or .loom files; text tables"
            " go into the sheet by hand"
        )
    return found


def _cores(text: str) -> int | None:
    """A number of cores; None for `all`."""
    if text == "all":
        return None
    # Snakemake accepts 0 or fewer cores and then waits for ever
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f"`{text}` is no number of cores: give 1 or more, or `all`"
        )
    return int(text)


def _check(arguments: argparse.Namespace) -> None:
    from ctcflow.run import plan, reading

    folder = arguments.folder.resolve()
    run = plan.opened(folder)
    panels = plan.check_tables(run)
    plan.check_panels(run, panels)
    plan.check_files(run)
    run.refuse_copies()
    read = reading.what_is_read(run)
    rows = plan.planned(run, plan.jobs_of(folder))
    lines = plan.words(run, rows, arguments.cores or os.cpu_count() or 1, panels)
    lines += _under("another file than before:", plan.replaced(run, deep=arguments.deep))
    lines += _under("read as `ingest` will:", read)
    print("\n".join(map(printable, lines)))


def _under(heading: str, sentences: Sequence[str]) -> list[str]:
    return ["", heading, *(f"* {sentence}" for sentence in sentences)] if sentences else []


def _run(arguments: argparse.Namespace) -> int:
    from ctcflow.run.start import run

    flags = [("--cores", arguments.cores), ("--profile", arguments.profile)]
    options = [word for name, value in flags if value is not None for word in (name, str(value))]
    return run(
        arguments.folder,
        options=[*options, *arguments.more],
        dry_run=arguments.dry_run,
        take_over=arguments.take_over,
    )


def _explain(arguments: argparse.Namespace) -> None:
    from ctcflow.run.explain import explain

    print("\n".join(explain(arguments.run, arguments.sample, arguments.barcode)))
