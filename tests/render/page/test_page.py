"""Parts of the page: escaping, templates, tables, number formats."""

from __future__ import annotations

import ast
import math
import re
from pathlib import Path

import pytest
from jinja2 import Environment, UndefinedError, nodes
from markupsafe import Markup

from ctcflow import numbers
from ctcflow.render.page.environment import fill
from ctcflow.render.page.table import Column, Valued, table

PACKAGE = Path(__file__).parents[3] / "src" / "ctcflow"
FOLDER = PACKAGE / "render" / "page" / "templates"
TEMPLATES = {str(p.relative_to(FOLDER)): p.read_text() for p in FOLDER.rglob("*.html.jinja")}
HOSTILE = "<script>'&\""
MARKUP = {"render/page/environment.py": 2, "render/page/whole_page.py": 3}
"""Where text is said to be HTML: what a template gave, JSON, and the page's own files."""
ESCAPING_FILTERS = {"forceescape", "base64", "json", "trim", "length", "join", "select"}
"""Filters that templates may use: what they give is escaped where it was not."""
PICTURE = "data:image/png;base64,"
IN_SCRIPTS = {"item|json", "about|json", "library", "script", "style", "small_map|base64"}
"""What may stand in a script or a style: data, and files of this package or of BokehJS."""


def filled(sentence: str) -> Markup:
    """What a template gives that holds a text and nothing else."""
    return fill("notes/controls", sentence=sentence, flag="")


def test_text_is_escaped_and_markup_is_not_escaped_twice() -> None:
    once = filled("<&>")
    assert once == "&lt;&amp;&gt;"
    assert filled(once) == once
    shown = table(HOSTILE, (Column(HOSTILE), Column("n", "code")), [[HOSTILE, HOSTILE]])
    assert HOSTILE not in shown and "<script" not in shown
    escaped = "&lt;script&gt;&#39;&amp;&#34;"
    assert f'aria-label="{escaped}"' in shown and f"<code>{escaped}</code>" in shown
    assert f'aria-label="{escaped}"' in table(Markup(HOSTILE), (Column("n"),), [[1]])


def test_what_is_joined_with_plain_text_by_python_is_escaped() -> None:
    bold = filled("x")
    for text in (f"{bold}{HOSTILE}", bold + HOSTILE, "".join([bold, HOSTILE]), HOSTILE + bold):
        assert "<script>" not in filled(text)


def test_a_value_that_is_missing_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="flag"):
        fill("notes/controls", sentence="x")


def test_no_template_turns_escaping_off() -> None:
    for name, text in TEMPLATES.items():
        parsed = Environment().parse(text)
        used = {node.name for node in parsed.find_all(nodes.Filter)}
        assert used <= ESCAPING_FILTERS, name
        # `{% autoescape false %}`
        assert not [*parsed.find_all(nodes.EvalContextModifier)], name


def test_values_stand_where_escaping_guards_them() -> None:
    """In text, in attributes with quotes, and as JSON; not in scripts, and in no address."""
    for name, text in TEMPLATES.items():
        html = re.sub(r"\{#.*?#\}|\{%.*?%\}", "", text, flags=re.DOTALL)
        assert not re.search(r"=\s*\{\{|<[^>]*\son\w+=", html), name
        assert set(re.findall(r'(?:href|src)="([^{"]*)\{\{', html)) <= {"#", PICTURE}, name
        for element in re.findall(r"<(?:script|style)\b.*?</(?:script|style)>", html, re.DOTALL):
            assert set(re.findall(r"\{\{ (.*?) \}\}", element)) <= IN_SCRIPTS, name


def test_text_is_said_to_be_html_in_the_listed_places_only() -> None:
    found: dict[str, int] = {}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            # an empty one is no text at all
            if _called(node) == "Markup" and ast.unparse(node.args[0]) != "''":
                module = str(path.relative_to(PACKAGE))
                found[module] = found.get(module, 0) + 1
    assert found == MARKUP


def test_every_template_is_used_and_every_one_that_is_used_is_there() -> None:
    named = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if _called(node) == "fill":
                named.add(f"{ast.literal_eval(node.args[0])}.html.jinja")
    for text in TEMPLATES.values():
        named |= set(re.findall(r'(?:from|import|include|extends) "([^"]+)"', text))
    assert named == set(TEMPLATES)


def _called(node: ast.AST) -> str:
    """Name of the function that a node calls; empty where it is no call of a name."""
    named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    return node.func.id if named else ""


def test_a_table_has_a_caption_headings_and_values_to_sort_by() -> None:
    columns = (Column("Name"), Column("n", "count"), Column("p", "p"))
    rows = [["a<", 12345, 0.000123456], ["b", None, math.nan], ["c", Valued("few", 3.0), 1]]
    shown = table("Cap", columns, rows)
    assert "<caption><span>Cap</span></caption>" in shown
    assert shown.count('scope="col"') == 3 and shown.count('scope="row"') == 3
    assert 'data-value="12345.0">12,345</td>' in shown
    assert 'data-value="0.000123456">0.00012</td>' in shown
    assert 'data-value="3.0">few</td>' in shown
    assert shown.count(">–</td>") == 2
    assert "a&lt;" in shown


def test_a_table_without_rows_is_a_sentence() -> None:
    found = table("Calls.", (Column("x"),), [], empty="No cell was called.")
    assert "<table" not in found and "No cell was called." in found


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (3.6888, "3.7"),
        (0.01234, "0.012"),
        (37.4, "37"),
        (1204.4, "1,204"),
        (0, "0"),
        (99.6, "100"),
        (None, "–"),
        (math.nan, "–"),
        (math.inf, "–"),
    ],
)
def test_short_numbers(value: float | None, shown: str) -> None:
    assert numbers.short(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0.000012345, "1.2e-05"), (0.0454, "0.045"), (1.0, "1"), (None, "–")]
)
def test_probabilities_have_two_significant_digits(value: float | None, shown: str) -> None:
    assert numbers.probability(value) == shown


def test_intervals_need_both_ends() -> None:
    assert numbers.interval(1.62, 11.67) == "1.6 to 12"
    assert numbers.interval(1.62, None) == ""
