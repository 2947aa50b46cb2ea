"""Tables for notebooks."""

from xml.etree import ElementTree as ET

import pytest

from mpc.html import table


def cells(text):
    return [[cell.text or "" for cell in row] for row in ET.fromstring(text).iter("tr")]


def test_what_is_put_in_is_shown_and_escaped():
    text = table(["<b>", "n"], [["a & b", 3], ["<script>", "x"]], caption="1 < 2")
    assert cells(text) == [["<b>", "n"], ["a & b", "3"], ["<script>", "x"]]
    assert ET.fromstring(text).find("caption").text == "1 < 2"
    assert "<script>" not in text
    assert text.count("text-align:right") == 1, "the number alone stands right"


def test_without_headings_the_first_cell_is_one():
    rows = [list(row) for row in ET.fromstring(table([], [["rank", 0], ["role", "dealer"]])).iter("tr")]
    assert [[cell.tag for cell in row] for row in rows] == [["th", "td"]] * 2


def test_a_row_that_does_not_fit():
    with pytest.raises(ValueError, match="row of 1 cells; want 2"):
        table(["a", "b"], [["x"]])
