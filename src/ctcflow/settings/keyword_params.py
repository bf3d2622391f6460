"""Decorator for the Python functions: a step's parameters as keywords, from the step's model."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import ValidationError

from ctcflow.errors import CtcflowError
from ctcflow.settings.mistakes import describe
from ctcflow.settings.sample_params import Params

Result = TypeVar("Result")


def takes(model: type[Params]) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Let a function whose last argument is `params: Model` take the model's fields as keywords.

    Signature and docstring (which must have `Returns` after `Parameters`) are completed from the
    model, so that nothing is written twice. A mistake is a `CtcflowError` in one line.
    """
    fields = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=field.annotation,
        )
        for name, field in model.model_fields.items()
    ]

    def wrapped(function: Callable[..., Result]) -> Callable[..., Result]:
        own_parameters = [
            p for p in inspect.signature(function).parameters.values() if p.name != "params"
        ]

        @functools.wraps(function)
        def call(*arguments: Any, **named: Any) -> Result:
            own_names = {p.name for p in own_parameters}
            values = {name: value for name, value in named.items() if name not in own_names}
            rest = {name: value for name, value in named.items() if name in own_names}
            try:
                params = model.model_validate(values)
            except ValidationError as error:
                raise CtcflowError("; ".join(describe(error, model))) from None
            return function(*arguments, **rest, params=params)

        call.__signature__ = inspect.Signature([*own_parameters, *fields])  # type: ignore[attr-defined]
        call.__doc__ = _described(inspect.getdoc(function) or "", model)
        return call

    return wrapped


def _described(text: str, model: type[Params]) -> str:
    lines = [
        f"{name}\n    {' '.join((field.description or '').split())} Default: {field.default!r}."
        for name, field in model.model_fields.items()
    ]
    head, heading, tail = text.partition("\nReturns\n")
    return head.rstrip() + "\n" + "\n".join(lines) + "\n\n" + heading.lstrip("\n") + tail
