"""On which line of a TOML text each field stands. `tomllib` reads the values but tells no lines."""

from __future__ import annotations

import contextlib
import re

__all__ = ["Lines", "Path", "TooDeepError"]

Path = tuple[str | int, ...]

_DEEPEST = 8
# No possessive groups: Python before 3.11.4 matches some of them wrongly. These are unrolled, and take linear time.
_BLANK = re.compile(r"[ \t\n]*(?:#[^\n]*[ \t\n]*)*")
_INLINE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}\n#]+")
_BASIC = re.compile(r'"[^"\\\n]*(?:\\[^\n][^"\\\n]*)*"')
_LITERAL = re.compile(r"'[^'\n]*'")
_LONG_BASIC = re.compile(r'"""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*"{3,5}', re.DOTALL)
_LONG_LITERAL = re.compile(r"'''[^']*(?:'(?!'')[^']*)*'{3,5}", re.DOTALL)
_ESCAPE = re.compile(r'\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(["\\bfnrt]))')
_ESCAPED = {'"': '"', "\\": "\\", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class _Stop(Exception):  # noqa: N818
    """The text is not TOML from here on; tomllib says why."""


class TooDeepError(Exception):
    """Keys, arrays or tables nest deeper than any job's; ``line`` says where, ``got`` what, ``want`` what may be."""

    def __init__(self, line: int, got: str, want: str) -> None:
        super().__init__(line, got, want)
        self.line = line
        self.got = got
        self.want = want


class Lines:
    """The lines of the fields of a text, whose lines end in line feeds: ``lines[("parties", 1, "address")]``.

    For a field that is not there, the line of the nearest table or array around it. Reads up to the first error of
    syntax. Keys with more than eight parts and more than eight arrays and tables in each other raise TooDeepError:
    tomllib takes quadratic time for the ones and recursion for the others. Time and memory here: linear in the text.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._counted = 0
        self._line = 1
        self._lines: dict[Path, int] = {(): 0}
        self._tables: dict[Path, int] = {}
        with contextlib.suppress(_Stop):
            self._document()

    def __getitem__(self, path: Path) -> int:
        while path not in self._lines:
            path = path[:-1]
        return self._lines[path] or 1

    # The text -------------------------------------------------------------------------------------------------------

    def _document(self) -> None:
        table: Path = ()
        while True:
            self._skip(_BLANK)
            if self._at == len(self._text):
                return
            if self._text.startswith("[[", self._at):
                table = self._header(2)
            elif self._text[self._at] == "[":
                table = self._header(1)
            else:
                self._pair(table, 1)
            self._skip(_INLINE)
            if self._at < len(self._text) and self._text[self._at] not in "#\n":
                raise _Stop

    def _header(self, brackets: int) -> Path:
        line = self._here()
        self._at += brackets
        table = self._resolve((), self._key())
        self._expect("]" * brackets)
        if brackets == 2:
            self._tables[table] = self._tables.get(table, 0) + 1
            self._note(table, line)
            table = (*table, self._tables[table] - 1)
        self._note(table, line)
        return table

    def _resolve(self, table: Path, key: list[str]) -> Path:
        """The path of a key: in an array of tables it is that of the latest one."""
        for part in key:
            if table in self._tables:
                table = (*table, self._tables[table] - 1)
            table = (*table, part)
        return table

    def _pair(self, table: Path, depth: int) -> None:
        line = self._here()
        key = self._key()
        self._expect("=")
        path = table
        for part in key:
            path = (*path, part)
            self._note(path, line)
        self._skip(_INLINE)
        self._value(path, depth)

    def _key(self) -> list[str]:
        parts: list[str] = []
        while True:
            self._skip(_INLINE)
            start = self._text[self._at : self._at + 1]
            if start == '"':
                parts.append(_ESCAPE.sub(_unescaped, self._take(_BASIC)[1:-1]))
            elif start == "'":
                parts.append(self._take(_LITERAL)[1:-1])
            else:
                parts.append(self._take(_BARE_KEY))
            if len(parts) > _DEEPEST:
                raise TooDeepError(self._here(), f"a key with more than {_DEEPEST} parts", "fewer")
            self._skip(_INLINE)
            if not self._text.startswith(".", self._at):
                return parts
            self._at += 1

    def _value(self, path: Path, depth: int) -> None:
        if depth > _DEEPEST:
            raise TooDeepError(self._here(), f"more than {_DEEPEST} arrays and tables in each other", "fewer")
        start = self._text[self._at : self._at + 1]
        if start == "[":
            self._array(path, depth)
        elif start == "{":
            self._inline_table(path, depth)
        elif start == '"':
            self._take(_LONG_BASIC if self._text.startswith('"""', self._at) else _BASIC)
        elif start == "'":
            self._take(_LONG_LITERAL if self._text.startswith("'''", self._at) else _LITERAL)
        else:
            self._take(_SCALAR)

    def _array(self, path: Path, depth: int) -> None:
        self._at += 1
        index = 0
        while True:
            self._skip(_BLANK)
            if self._text.startswith("]", self._at):
                break
            self._note((*path, index), self._here())
            self._value((*path, index), depth + 1)
            index += 1
            self._skip(_BLANK)
            if not self._text.startswith(",", self._at):
                break
            self._at += 1
        self._expect("]")

    def _inline_table(self, path: Path, depth: int) -> None:
        self._at += 1
        self._skip(_BLANK)
        while not self._text.startswith("}", self._at):
            self._pair(path, depth + 1)
            self._skip(_BLANK)
            if not self._text.startswith(",", self._at):
                break
            self._at += 1
            self._skip(_BLANK)
        self._expect("}")

    # Steps ----------------------------------------------------------------------------------------------------------

    def _here(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def _note(self, path: Path, line: int) -> None:
        if self[path] != line or line == 1:
            self._lines.setdefault(path, line)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self._text, self._at)
        self._at = found.end() if found else self._at

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise _Stop
        self._at = found.end()
        return found.group()

    def _expect(self, mark: str) -> None:
        self._skip(_INLINE)
        if not self._text.startswith(mark, self._at):
            raise _Stop
        self._at += len(mark)


def _unescaped(found: re.Match[str]) -> str:
    code = found.group(1) or found.group(2)
    if code is None:
        return _ESCAPED[found.group(3)]
    return chr(int(code, 16)) if int(code, 16) < 0x110000 else ""
