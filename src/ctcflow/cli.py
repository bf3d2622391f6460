"""The command line: files and exit codes. It does not know the parameters of any step."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from ctcflow import __version__
from ctcflow.commands import folders, steps, tools
from ctcflow.errors import CtcflowError, of_system


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns
    -------
    The exit code: 0, or 2 for mistakes in the input, each printed in one line; for `run`, the exit
    code of Snakemake. Any other failure is a bug and ends with a traceback.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    # argparse cannot pass options that it does not know on to Snakemake
    end = words.index("--") if words[:1] == ["run"] and "--" in words else len(words)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        arguments = _parser().parse_args(words[:end])
        arguments.more = words[end + 1 :]
        code: int | None = arguments.command(arguments)
    except CtcflowError as error:
        print("\n".join(f"error: {line}" for line in error.each), file=sys.stderr)
        return 2
    except BrokenPipeError:
        # the reader of the pipe (such as `head`) is gone: Python must flush nothing at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        refused = of_system(error)
        if refused is None:
            raise
        print(f"error: {refused}", file=sys.stderr)
        return 2
    return code or 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ctcflow",
        description="Find, characterise and count circulating tumour cells.",
        epilog="A whole run: `ctcflow init FOLDER --from DATA`, `ctcflow check FOLDER`,"
        " `ctcflow run FOLDER`. Parameters of a step: `ctcflow params STEP`.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    folders.add(commands)
    steps.add(commands)
    tools.add(commands)
    return parser
