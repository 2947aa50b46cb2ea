"""Tables for notebooks."""

import re
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


def test_columns_of_numbers_stand_right():
    rows = [["0", 12, "1,234 B", "0.1 %", "5"], ["a", 7, "2 MB", "–", "x y"], ["total", -3, "", "12.5 ms", "7"]]
    text = table(list("abcde"), rows)
    sides = [[re.search("left|right", cell.get("style"))[0] for cell in row] for row in ET.fromstring(text).iter("tr")]
    assert sides == [["left", "right", "right", "right", "left"]] * 4


def test_without_headings_the_first_cell_is_one():
    rows = [list(row) for row in ET.fromstring(table([], [["rank", 0], ["role", "dealer"]])).iter("tr")]
    assert [[cell.tag for cell in row] for row in rows] == [["th", "td"]] * 2


def test_a_row_that_does_not_fit():
    with pytest.raises(ValueError, match="row of 1 cells; want 2"):
        table(["a", "b"], [["x"]])
