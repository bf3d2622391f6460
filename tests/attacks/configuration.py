"""Configurations that mean something else than they say, and values that no parameter has."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from tests.attacks.names import write
from tests.attacks.rows import Attack, one_line_or, refused

from ctcflow.settings import strict_yaml
from ctcflow.settings.config import Config, load_config

_RUNS_CODE = "__use_yte__: true\n"
_REFUSED = {
    "yte": _RUNS_CODE,
    "yte after others": f"qc: {{}}\n{_RUNS_CODE}",
    "yte in quotes": '"__use_yte__": true\n',
    "yte with an escape": '"\\x5f_use_yte__": true\n',
    "yte with a definition": f"{_RUNS_CODE}__definitions__:\n  - import os\n",
    "yte variables": "__variables__:\n  x: 1\n",
    "yte below": "qc:\n  __use_yte__: true\n",
    "yte in a list": "report:\n  - __use_yte__: true\n",
    "twice": "qc: {min_genes: 5}\nqc: {min_genes: 500}\n",
    "twice below": "qc:\n  min_genes: 5\n  min_genes: 500\n",
    "twice in flow": "qc: {min_genes: 5, min_genes: 500}\n",
    "twice, once in quotes": 'qc: {}\n"qc": {min_genes: 1}\n',
    "twice in a list": "a: [{b: 1, b: 2}]\n",
    "lists 3,000 deep": "a: " + "[" * 3000 + "]" * 3000,
    "maps 3,000 deep": "".join(f"{' ' * k}a:\n" for k in range(3000)),
    "flow maps 3,000 deep": "a: " + "{a: " * 3000 + "1" + "}" * 3000,
    "lists never closed": "a: " + "[" * 100_000,
    "anchors that multiply": "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    "an alias of itself": "a: &a [*a]\n",
    "a merge": "a: &a {min_genes: 5}\nqc:\n  <<: *a\n",
    "an object of Python": "a: !!python/object/apply:os.system ['touch owned']\n",
    "a name of Python": "a: !!python/name:os.system\n",
    "a module": "a: !!python/module:os\n",
    "a new object": "!!python/object/new:os.system ['touch owned']\n",
    "an unknown tag": "a: !secret x\n",
    "a key that is a list": "? [a]\n: 1\n",
    "a key that is a map": "? {a: 1}\n: 1\n",
    "two documents": "qc: {}\n---\nqc: {min_genes: 1}\n",
    "a tab": "qc:\n\tmin_genes: 5\n",
    "a null byte": "qc: {}\n\0",
    "control characters": "qc: {}\x07\n",
    "no mapping": "[1, 2]\n",
    "text": "min_genes 5\n",
    "a number": "5\n",
    "too large": "#" * 2_000_000,
    "an unknown key": "qcc: {}\n",
    "an unknown key below": "qc: {min_gene: 5}\n",
    "a key in capitals": "QC: {}\n",
    "a key with a blank": '"qc ": {}\n',
    "a number as key": "1: {}\n",
    "true as key": "true: {}\n",
}
_VALUES: dict[str, Any] = {
    "not a number": math.nan,
    "infinite": math.inf,
    "below everything": -math.inf,
    "beyond 64 bits": 10**30,
    "negative": -1,
    "fraction": 0.5,
    "true": True,
    "text": "a; touch owned",
    "number as text": "5",
    "empty text": "",
    "list": [1, [2]],
    "map": {"a": {"b": 1}},
    "none in a list": [None],
    "date": "2026-11-30",
}


def rows() -> Iterator[Attack]:
    """All rows of these areas."""
    for what, text in _REFUSED.items():
        yield Attack("configuration", what, _is_refused(text))
    yield Attack("configuration", "utf-16", _of_bytes("qc: {}\n".encode("utf-16")))
    yield Attack("configuration", "latin-1", _of_bytes(b"report: {title: M\xfcller}\n"))
    for section, name in _parameters():
        for what, value in _VALUES.items():
            yield Attack("parameters", f"{section}.{name}: {what}", _as_value(section, name, value))


def _is_refused(text: str):
    def act(folder: Path) -> None:
        path = write(folder / "config.yaml", text)
        refused(lambda: load_config(strict_yaml.read(path)))
        assert not (folder / "owned").exists()

    return act


def _of_bytes(content: bytes):
    def act(folder: Path) -> None:
        path = folder / "config.yaml"
        path.write_bytes(content)
        one_line_or(lambda: load_config(strict_yaml.read(path)))

    return act


def _parameters() -> list[tuple[str, str]]:
    found = []
    for section, field in Config.model_fields.items():
        model = field.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            found += [(section, name) for name in model.model_fields]
    return found


def _as_value(section: str, name: str, value: Any):
    def act(_: Path) -> None:
        found = one_line_or(lambda: load_config({section: {name: value}}))
        if found is None:
            return
        taken = getattr(getattr(found, section), name)
        if isinstance(taken, float):
            assert math.isfinite(taken), taken
        assert not isinstance(taken, bool) or value is True, taken
        assert _same(taken, value), f"{value!r} became {taken!r}"

    return act


def _same(taken: Any, value: Any) -> bool:
    if isinstance(taken, tuple):
        return list(taken) == value
    if isinstance(taken, int | float) and not isinstance(value, bool):
        return float(taken) == float(value)  # a number may stand in quotes
    return bool(taken == value) or (isinstance(taken, BaseModel) and isinstance(value, dict))
