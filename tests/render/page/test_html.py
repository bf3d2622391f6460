"""Pieces of the page: escaping, digits, tables."""

from __future__ import annotations

import math

import pytest

from ctcflow import numbers
from ctcflow.render.page import html
from ctcflow.render.page.html import Column, Markup, Valued


def test_text_is_escaped_and_markup_is_not_escaped_twice() -> None:
    inner = html.tag("b", "<&>")
    assert inner == "<b>&lt;&amp;&gt;</b>"
    assert html.tag("p", inner, " a<b") == "<p><b>&lt;&amp;&gt;</b> a&lt;b</p>"
    assert html.tag("p", attributes={"title": '"<'}) == '<p title="&quot;&lt;"></p>'


def test_what_is_joined_with_plain_text_by_python_is_plain_again() -> None:
    assert not isinstance(html.tag("b", "x") + "<script>", Markup)
    assert "<script>" not in html.tag("p", html.tag("b", "x") + "<script>")


def test_a_table_has_a_caption_headings_and_values_to_sort_by() -> None:
    columns = (Column("Name"), Column("n", "count"), Column("p", "p"))
    rows = [["a<", 12345, 0.000123456], ["b", None, math.nan], ["c", Valued("few", 3.0), 1]]
    table = html.table("Cap", columns, rows)
    assert "<caption><span>Cap</span></caption>" in table
    assert table.count('scope="col"') == 3 and table.count('scope="row"') == 3
    assert 'data-value="12345.0">12,345</td>' in table
    assert 'data-value="0.000123456">0.00012</td>' in table
    assert 'data-value="3.0">few</td>' in table
    assert table.count(">–</td>") == 2
    assert "a&lt;" in table


def test_a_table_without_rows_is_a_sentence() -> None:
    found = html.table("Calls.", (Column("x"),), [], empty="No cell was called.")
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
