"""The scanner finds each field on its line, and agrees with tomllib about what the fields are."""

import tomllib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from parties.job.lines import Lines, TooDeepError

KEYS = st.sampled_from(["a", "b-1", "c_2", "7", '"d e"', "'f.g'", '"h\\"i"', '"\\u00e4"', '""'])
QUOTED = {'"d e"': "d e", "'f.g'": "f.g", '"h\\"i"': 'h"i', '"\\u00e4"': "ä", '""': ""}
BARE = {**{key: key for key in ("a", "b-1", "c_2", "7", "y", "z")}, **QUOTED}
NUMBERS = ["1", "-2.5e3", "true", "inf", "0x1F", "1_000", "1979-05-27T07:32:00Z"]
SCALARS = st.sampled_from([*NUMBERS, '"x"', '"# no ]"', "'[a]'", '"q\\"]\\\\"', '""', "''"])
QUOTES = ['"""a\\"""b"""', '"""""two"""""', "''''q''''"]
LONG = st.sampled_from([*QUOTES, '"""\n[not]\na = "1" # x\n"""', "'''\nb = '1'\n'''", '"""\\\n  folded"""'])
GAPS = st.sampled_from(["", "\n", "# [[a]] = 1\n", "  # x\n\n\t\n"])


class Writer:
    """Writes TOML piece by piece, and notes the line of each path."""

    def __init__(self, draw):
        self.draw = draw
        self.text = ""
        self.lines = {}

    def put(self, text):
        self.text += text

    def note(self, path):
        self.lines.setdefault(path, self.text.count("\n") + 1)

    def keys(self, most=3):
        return self.draw(st.lists(KEYS, min_size=0, max_size=most, unique_by=BARE.get))

    def dotted(self, parts):
        dot = self.draw(st.sampled_from([".", " . ", ".\t"]))
        return dot.join(parts)

    def value(self, path, depth):
        kind = self.draw(st.sampled_from(["scalar", "scalar", "long", "array", "table"] if depth else ["scalar"]))
        if kind == "scalar":
            self.put(self.draw(SCALARS))
        elif kind == "long":
            self.put(self.draw(LONG))
        elif kind == "array":
            self.array(path, depth)
        else:
            self.put("{ ")
            for at, key in enumerate(self.keys()):
                self.put(", " if at else "")
                self.pair(path, [key], depth - 1)
            self.put(" }")

    def array(self, path, depth):
        self.put("[" + self.draw(GAPS))
        for index in range(self.draw(st.integers(0, 3))):
            self.note((*path, index))
            self.value((*path, index), depth - 1)
            self.put("," + self.draw(GAPS))
        self.put("]")

    def pair(self, table, keys, depth):
        for end in range(1, len(keys) + 1):
            self.note((*table, *(BARE[key] for key in keys[:end])))
        self.put(self.dotted(keys) + self.draw(st.sampled_from([" = ", "=", "\t=  "])))
        self.value((*table, *(BARE[key] for key in keys)), depth)

    def body(self, table):
        for key in self.keys():
            self.put(self.draw(GAPS) + self.draw(st.sampled_from(["", "  "])))
            extra = self.draw(st.sampled_from([[], ["z"], ["z", "y"]]))
            self.pair(table, [key, *extra], 2)
            self.put(self.draw(st.sampled_from(["\n", "  # = ]\n"])))

    def document(self):
        self.body(())
        for number in range(self.draw(st.integers(0, 3))):
            name, table = f"t{number}", (f"t{number}",)
            self.put(self.draw(GAPS))
            if self.draw(st.booleans()):
                self.note(table)
                self.put(f"[{self.draw(st.sampled_from(['', ' ']))}{name}] # table\n")
                self.body(table)
                continue
            for index in range(self.draw(st.integers(1, 3))):
                self.note(table)
                self.note((*table, index))
                self.put(f"[[{name}]]\n")
                self.body((*table, index))
                for deeper in range(self.draw(st.integers(0, 2))):
                    self.note((*table, index, "n"))
                    self.note((*table, index, "n", deeper))
                    self.put(f"[[{name}.n]]\n")
                    self.body((*table, index, "n", deeper))


@st.composite
def documents(draw):
    writer = Writer(draw)
    writer.document()
    return writer.text, writer.lines


def paths(value, path=()):
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*path, key)
            yield from paths(item, (*path, key))


@settings(max_examples=120, deadline=None)
@given(documents())
@example(('a = """a\\"""b"""\nb-1 = 1\n', {("a",): 1, ("b-1",): 2}))  # which Python 3.11.2 matched wrongly
def test_every_field_is_found_on_its_line(document):
    text, expected = document
    assert set(paths(tomllib.loads(text))) == set(expected)
    lines = Lines(text)
    assert {path: lines[path] for path in expected} == expected


@settings(max_examples=120, deadline=None)
@given(documents(), st.data())
def test_any_text_is_scanned_without_failing(document, data):
    text = document[0]
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
    broken = text[:start] + data.draw(st.sampled_from(["", "[", '"', "'''", "=", "\n", "}", "\\", "\x00"])) + text[end:]
    lines = Lines(broken)
    assert 1 <= lines[("a", 1, "b")] <= broken.count("\n") + 1


def test_a_missing_field_is_where_its_table_is():
    lines = Lines('x = 1\n\n[[p]]\nn = 1\n[[p]]\n[p.q]\nm = 2\n')
    assert lines[("p", 0, "address")] == 3
    assert lines[("p", 1, "address")] == 5
    assert lines[("p", 1, "q", "other")] == 6
    assert lines[("nothing",)] == 1


NINE = ".".join("a" * 9)


@pytest.mark.parametrize("text", ["a = " + "[" * 9, "a = " + "{b = " * 9, f"{NINE} = 1", f"[{NINE}]"])
def test_nesting_has_an_end(text):
    with pytest.raises(TooDeepError) as caught:
        Lines("\n\n" + text)
    assert caught.value.line == 3
