"""Read a YAML file of the user so that it means what it says, and nothing more.

Snakemake reads `config/config.yaml` too, and does more with it: a key `__use_yte__` makes it run
Python that stands in the file. Both readers keep the last of two equal keys without a word.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

from ctcflow.errors import CtcflowError, of_system, reason

_DEEPEST: Final = 20
"""Levels of nesting; the configuration has three."""
_LARGEST: Final = 1_000_000
"""Bytes; the configuration with every key has some ten thousand."""


def read(path: Path) -> Any:
    """Read a YAML file; {} where it is empty.

    Raises
    ------
    CtcflowError
        The file cannot be read or is not YAML, a key stands twice, nests too deep, or is one by
        which Snakemake runs code; the message names file and line.
    """
    return refuse_doubtful(path) or {}


def refuse_doubtful(path: Path) -> Any:
    """Read a YAML file; raises as `read` does."""
    try:
        if path.stat().st_size > _LARGEST:
            raise CtcflowError(f"`{path}` has more than {_LARGEST:,} bytes: it is no configuration")
        text = path.read_text(encoding="utf-8-sig")
        _refuse_doubtful_nodes(path, text)
        return yaml.safe_load(text)
    except OSError as error:
        raise of_system(error, path) or CtcflowError(
            f"`{path}` cannot be read ({reason(error)}): look at it"
        ) from error
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        what = getattr(error, "problem", None) or reason(error)
        raise CtcflowError(f"`{path}`{where} is not YAML ({what}): correct it") from None


def _refuse_doubtful_nodes(path: Path, text: str) -> None:
    depth = 0
    # events come one by one: what nests too deep is refused before anything recurses into it
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.AliasEvent):
            raise CtcflowError(
                f"`{path}`{_line(event)} refers to another value (`*{event.anchor}`): write the"
                " value itself"
            )
        if depth > _DEEPEST:
            raise CtcflowError(
                f"`{path}`{_line(event)} nests more than {_DEEPEST} levels deep: correct it"
            )
    document = yaml.compose(text, Loader=yaml.SafeLoader)
    nodes = [] if document is None else [document]
    while nodes:
        node = nodes.pop()
        if isinstance(node, yaml.MappingNode):
            _refuse_doubtful_keys(path, node)
            nodes += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            nodes += node.value


def _refuse_doubtful_keys(path: Path, node: yaml.MappingNode) -> None:
    seen = dict[Any, yaml.Node]()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise CtcflowError(f"`{path}`{_line(key)} has a key that is no text: correct it")
        if key.value.startswith("__"):
            raise CtcflowError(
                f"`{path}`{_line(key)} has the key `{key.value[:40]}`, by which Snakemake would run"
                " code that stands in the file: remove it"
            )
        if key.value in seen:
            raise CtcflowError(
                f"`{path}` has the key `{key.value[:40]}` twice (line"
                f" {seen[key.value].start_mark.line + 1} and {key.start_mark.line + 1}): keep one"
            )
        seen[key.value] = key


def _line(place: Any) -> str:
    return f" line {place.start_mark.line + 1}"
