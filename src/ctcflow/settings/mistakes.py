"""Turn pydantic's errors into sentences: the key, what was found, and what to do next."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails


def describe(error: ValidationError, model: type[BaseModel], *, prefix: str = "") -> list[str]:
    """Describe each problem of a failed validation in one sentence.

    Parameters
    ----------
    error
        What ``model.model_validate`` raised.
    model
        The model that was validated; its field names are used for "did you mean".
    prefix
        Dotted key of the model itself, empty for the whole configuration.

    Returns
    -------
    One sentence per problem, in the order of the fields.
    """
    return [
        _sentence(details, model, prefix)
        for details in error.errors(include_url=False)
        if details["type"] != "default_factory_not_called"  # follows from another problem
    ]


def closest(name: str, known: Iterable[str], *, cutoff: float) -> str | None:
    """Find the known name of which `name` is most likely a misspelling, ignoring case.

    Parameters
    ----------
    name
        What was written.
    known
        The names that exist.
    cutoff
        Smallest similarity (``difflib`` ratio of the lower-cased names, 0 to 1).
    """
    lower = {candidate.lower(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=cutoff)
    return lower[matches[0]] if matches else None


def shown(value: object) -> str:
    """Show a value in a message: short, on one line, however large or nested it is."""
    short = reprlib.Repr(maxstring=60, maxother=60, maxlong=40, maxlevel=2, maxlist=4, maxdict=4)
    return short.repr(value)


def submodels(annotation: object) -> list[type[BaseModel]]:
    """List the models that a field may hold: none, one section, or the methods of a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in submodels(part)]


def _sentence(details: ErrorDetails, model: type[BaseModel], prefix: str) -> str:
    key, siblings = _locate(details["loc"], model, prefix)
    if details["type"] == "extra_forbidden":
        return f"unknown key {key}: {_hint(key, siblings, model, prefix)}"
    if details["type"] == "missing":
        return f"{key} is missing: add it"
    must = _must(details["type"], details.get("ctx", {}), details["msg"])
    value = details["input"]
    if details["type"] == "value_error" and isinstance(value, dict | BaseModel):
        return f"{key}: {must}" if key else must
    return f"{key} is {shown(value)}: {must}"


def _must(kind: str, ctx: dict[str, Any], message: str) -> str:
    """Say what the value must be; pydantic's own message for rare kinds of errors."""
    bounds = {
        "greater_than_equal": ">= {ge}",
        "greater_than": "> {gt}",
        "less_than_equal": "<= {le}",
        "less_than": "< {lt}",
        "string_too_short": "text of at least {min_length} character(s)",
        "string_too_long": "text of at most {max_length} characters",
        "too_short": "a list of at least {min_length} value(s)",
        "finite_number": "a finite number",
        "literal_error": "one of {expected}",
        "union_tag_invalid": "one of {expected_tags}",
        "string_pattern_mismatch": "letters, digits, _ . - (first a letter or digit; no ..)",
    }
    if kind in bounds:
        plain = {n: int(v) if isinstance(v, float) and v == int(v) else v for n, v in ctx.items()}
        text = "must be " + bounds[kind].format(**plain)
        return text.replace("'", "").replace(" or ", ", ") if "expected" in bounds[kind] else text
    if kind == "value_error":
        return str(ctx["error"])
    if kind == "union_tag_not_found":
        return "must name its method"
    if kind.startswith("int_"):
        return "must be a whole number"
    if kind.startswith("float_"):
        return "must be a number, with a decimal point"
    if kind.startswith("bool_"):
        return "must be true or false"
    if kind == "string_type":
        return "must be text"
    if kind == "tuple_type":
        return "must be a list"
    if kind in {"model_type", "model_attributes_type", "dict_type"}:
        return "must be a section of keys (`key: value`)"
    return message[:1].lower() + message[1:]


def _hint(key: str, siblings: set[str], model: type[BaseModel], prefix: str) -> str:
    head, _, name = key.rpartition(".")
    known_keys = [known_key for known_key in dotted_keys(model, prefix) if known_key != key]
    elsewhere = [known_key for known_key in known_keys if known_key.rpartition(".")[2] == name]
    if elsewhere:
        return f"did you mean {' or '.join(elsewhere)}?"
    match = closest(name, siblings, cutoff=0.6)
    if match is not None:
        return f"did you mean {head}.{match}?" if head else f"did you mean {match}?"
    return f"remove it (known here: {', '.join(sorted(siblings)) or 'none'})"


def dotted_keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    """List the dotted key of every parameter below a model, in the order of the fields."""
    keys: dict[str, None] = {}
    for name, field in model.model_fields.items():
        key = f"{prefix}.{name}" if prefix else name
        below = submodels(field.annotation)
        for submodel in below:
            keys.update(dict.fromkeys(dotted_keys(submodel, key)))
        if not below:
            keys[key] = None
    return list(keys)


def _locate(
    loc: tuple[int | str, ...], model: type[BaseModel], prefix: str
) -> tuple[str, set[str]]:
    """Turn pydantic's location into the key as the user wrote it, with the names known there.

    Pydantic puts the tag of a union into the location; the user's file has no such level.
    """
    key, models = ([prefix] if prefix else []), [model]
    for depth, part in enumerate(loc):
        last = depth == len(loc) - 1
        tagged = [candidate for candidate in models if part in _tags(candidate)]
        if len(models) > 1 and tagged and not last:
            models = tagged
            continue
        key.append(str(part))
        if last:
            break
        fields = [m.model_fields[str(part)] for m in models if str(part) in m.model_fields]
        models = [below for field in fields for below in submodels(field.annotation)]
    return ".".join(key), {name for candidate in models for name in candidate.model_fields}


def _tags(model: type[BaseModel]) -> set[object]:
    literals = (f.annotation for f in model.model_fields.values())
    return {tag for a in literals if get_origin(a) is Literal for tag in get_args(a)}
