"""Files generated from the models: defaults, JSON schemas, tables of parameters, slots, formats."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ctcflow.formats.known import FORMATS
from ctcflow.settings.config import Config
from ctcflow.settings.mistakes import submodels
from ctcflow.settings.params import StepsParams
from ctcflow.settings.sample import COLUMNS, Sample
from ctcflow.workflow.slots import slots_md

COMMAND = "python -m ctcflow schema"
"""Command that writes the generated files."""

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


class Parameter(NamedTuple):
    """One parameter, in words."""

    key: str
    method: str
    """The method of a union that has this parameter; empty outside unions."""
    kind: str
    default: str
    bounds: str
    sentence: str


def render(root: Path) -> dict[Path, str]:
    """Render each generated file.

    Parameters
    ----------
    root
        Root of the repository.

    Returns
    -------
    Text by path.
    """
    return {
        root / "config" / "defaults.yaml": _defaults_yaml(),
        root / "workflow" / "schemas" / "config.schema.json": _config_schema(),
        root / "workflow" / "schemas" / "samples.schema.json": _samples_schema(),
        root / "docs" / "parameters.md": _parameters_md(),
        root / "docs" / "slots.md": slots_md(),
        root / "docs" / "formats.md": _formats_md(),
    }


def write_all(root: Path) -> list[Path]:
    """Write the generated files that are missing or stale, and return their paths."""
    written = stale(root)
    texts = render(root)
    for path in written:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(texts[path], encoding="utf-8", newline="\n")
    return written


def stale(root: Path) -> list[Path]:
    """List the generated files that are missing or differ from the models."""
    return [
        path
        for path, text in render(root).items()
        if not path.is_file() or path.read_bytes() != text.encode()
    ]


def parameters(model: type[BaseModel] = Config, prefix: str = "") -> Iterator[Parameter]:
    """List each parameter below a model, the top-level keys first.

    Parameters
    ----------
    model
        The configuration, or one section.
    prefix
        Dotted key of the model itself.
    """
    for name, field in _top_level_first(model):
        key = f"{prefix}.{name}" if prefix else name
        below = submodels(field.annotation)
        for submodel in below:
            method = _tag(submodel) if len(below) > 1 else ""
            for parameter in parameters(submodel, key):
                yield parameter._replace(method=method) if method else parameter
        if not below:
            default = _scalar(_json_default(field))
            sentence = " ".join((field.description or "").split())
            yield Parameter(key, "", _kind(field.annotation), default, _bounds(field), sentence)


def _top_level_first(model: type[BaseModel]) -> list[tuple[str, FieldInfo]]:
    fields = model.model_fields.items()
    return sorted(fields, key=lambda item: item[0] in StepsParams.model_fields)


def _tag(model: type[BaseModel]) -> str:
    return str(get_args(model.model_fields["method"].annotation)[0])


def _json_default(field: FieldInfo) -> Any:
    default = field.default
    return list(default) if isinstance(default, tuple) else default


def _scalar(value: object) -> str:
    """Write a value as YAML on one line."""
    text: str = yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def _kind(annotation: object) -> str:
    """Describe a type for readers of YAML."""
    names = {int: "whole number", float: "number", str: "text", bool: "true or false"}
    if isinstance(annotation, type) and annotation in names:
        return names[annotation]
    parts = get_args(annotation)
    if get_origin(annotation) is Literal:
        return "choice"
    if get_origin(annotation) is tuple:
        return f"list of {_kind(parts[0])}s"
    kinds = [_kind(part) for part in parts if part is not type(None) and not _is_constraint(part)]
    return kinds[0] + (" or null" if type(None) in parts else "")


def _is_constraint(part: object) -> bool:
    return not isinstance(part, type) and get_origin(part) is None


def _bounds(field: FieldInfo) -> str:
    """Describe the bounds of a value, such as ``>= 0, <= 100``; empty if there are none."""
    words = _limits(field.metadata)
    pending = [field.annotation]
    while pending:
        annotation = pending.pop()
        if get_origin(annotation) is Literal:
            words += [str(choice) for choice in get_args(annotation)]
        for part in get_args(annotation):
            if _is_constraint(part):
                metadata = part.metadata if isinstance(part, FieldInfo) else [part]
                each = "each " if get_origin(field.annotation) is tuple else ""
                words += [each + word for word in _limits(metadata)]
            else:
                pending.append(part)
    return ", ".join(words)


def _limits(metadata: list[Any]) -> list[str]:
    signs = {"ge": ">= {}", "gt": "> {}", "le": "<= {}", "lt": "< {}"}
    lengths = {"min_length": "at least {} long", "max_length": "at most {} long"}
    return [
        words.format(getattr(constraint, name))
        for constraint in metadata
        for name, words in (signs | lengths).items()
        if getattr(constraint, name, None) is not None
    ]


def _defaults_yaml() -> str:
    head = (
        f"# GENERATED by `{COMMAND}` from src/ctcflow/settings.\n"
        "# Read it, never load or edit it: what you want to change goes into config.yaml.\n"
        "# yaml-language-server: $schema=../workflow/schemas/config.schema.json\n"
    )
    return head + "".join(_yaml_section(Config, "", ""))


def _yaml_section(model: type[BaseModel], prefix: str, indent: str) -> Iterator[str]:
    parameter_of = {p.key: p for p in parameters(model, prefix)}
    for name, field in _top_level_first(model):
        key = f"{prefix}.{name}" if prefix else name
        if not submodels(field.annotation):
            yield _comment(parameter_of[key].sentence, indent)
            if parameter_of[key].bounds:
                yield _comment(f"[{parameter_of[key].bounds}]", indent)
            yield f"{indent}{name}: {parameter_of[key].default}\n"
            continue
        default = type(field.default)
        if not indent:
            yield "\n"
        yield _comment(field.description if indent else default.__doc__, indent)
        for other in submodels(field.annotation):
            if other is not default:
                yield _comment(f"Or `method: {_tag(other)}`: {other.__doc__}", indent)
        yield f"{indent}{name}:{'' if default.model_fields else ' {}'}\n"
        yield from _yaml_section(default, key, indent + "  ")


def _comment(text: str | None, indent: str) -> str:
    words = " ".join((text or "").split())
    lead = f"{indent}# "
    wrapped = textwrap.wrap(
        words, 100, initial_indent=lead, subsequent_indent=lead, break_on_hyphens=False
    )
    return "\n".join(wrapped) + "\n"


def _config_schema() -> str:
    return _json({"$schema": _DRAFT, "$comment": f"GENERATED by `{COMMAND}`"}, Config)


def _samples_schema() -> str:
    """Schema of one row; the user's own columns and `step.parameter` columns are allowed."""
    text = _json({"$schema": _DRAFT, "$comment": f"GENERATED by `{COMMAND}`"}, Sample)
    schema = json.loads(text)
    schema["properties"] = {name: schema["properties"][name] for name in COLUMNS}
    schema["additionalProperties"] = True
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _json(head: dict[str, str], model: type[BaseModel]) -> str:
    return (
        json.dumps(head | _one_line(model.model_json_schema()), indent=2, ensure_ascii=False) + "\n"
    )


def _one_line(node: Any) -> Any:
    """Join the lines of each description."""
    if isinstance(node, list):
        return [_one_line(part) for part in node]
    if not isinstance(node, dict):
        return node
    joined = {name: _one_line(value) for name, value in node.items()}
    if isinstance(joined.get("description"), str):
        joined["description"] = " ".join(joined["description"].split())
    return joined


def _parameters_md() -> str:
    lines = [
        f"<!-- GENERATED by `{COMMAND}` from src/ctcflow/settings. -->",
        "# Parameters",
        "",
        "Set them in `config/config.yaml`, as `step:` and below it `parameter: value`; parameters",
        "of `ingest`, `qc`, `normalize` and `score` can also be set for one sample, in a column",
        "`step.parameter` of the sample sheet.",
        "",
        "| Step | Parameter | Type | Default | Bounds | Meaning |",
        "|---|---|---|---|---|---|",
    ]
    for parameter in parameters():
        head, _, tail = parameter.key.partition(".")
        step, name = (head, tail) if tail else ("", head)
        method = f" ({parameter.method})" if parameter.method else ""
        cells = (
            step,
            f"`{name}`{method}",
            parameter.kind,
            f"`{parameter.default}`",
            parameter.bounds,
            parameter.sentence,
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _formats_md() -> str:
    lines = [
        f"<!-- GENERATED by `{COMMAND}` from src/ctcflow/formats/known.py. -->",
        "# Formats of count files",
        "",
        "The column `format` of the sample sheet. Where it is empty the format is detected, from",
        "the ending of a file or from what a folder holds.",
        "",
        "| `format` | `path` is | Ending |",
        "|---|---|---|",
    ]
    for name, entry in FORMATS.items():
        endings = ", ".join(f"`{ending}`" for ending in entry.endings) or "a folder"
        lines.append(f"| `{name}` | {entry.meaning} | {endings} |")
    return "\n".join(lines) + "\n"
