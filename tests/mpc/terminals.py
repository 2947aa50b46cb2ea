"""A command on a pseudo-terminal, and what a person would see there."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_PIECE = re.compile(r"\x1b\[(\??)([\d;]*)([A-Za-z])|\r|\n|[^\x1b\r\n]")
_CUT = re.compile(r"\x1b(\[[?\d;]*)?$")
"""The begin of a control sequence, the rest of which is still to come."""

_ERASED = re.compile(r"(?=\r\x1b\[(?:2K|1A))")
"""Where a drawing begins to be replaced by the next."""


class Screen:
    """As much of a terminal as is needed: lines, the cursor, and the control sequences that rich writes.

    Attributes: ``lines``, all that were ever reached, the scrolled ones too; ``hidden``, whether the cursor is.
    """

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.lines = [""]
        self.hidden = False
        self._row = self._column = 0

    def feed(self, text: str) -> None:
        for piece in _PIECE.finditer(text):
            if piece[3]:
                self._control(*piece.groups())
            elif piece[0] == "\r":
                self._column = 0
            elif piece[0] == "\n":
                self._down()
            else:
                self._put(piece[0])

    def _put(self, letter: str) -> None:
        if self._column == self.columns:
            self._column = 0
            self._down()
        line = self.lines[self._row].ljust(self._column)
        self.lines[self._row] = line[: self._column] + letter + line[self._column + 1 :]
        self._column += 1

    def _down(self) -> None:
        self._row += 1
        if self._row == len(self.lines):
            self.lines.append("")

    def _control(self, private: str, number: str, kind: str) -> None:
        if private and number == "25":
            self.hidden = kind == "l"
        elif kind == "A":
            self._row = max(0, self._row - int(number or 1))
        elif kind == "K":
            self.lines[self._row] = ""
        else:
            assert kind == "m", f"{private}{number}{kind}"


class Terminal:
    """A command whose standard error, and standard output unless ``out`` names a file, are a terminal.

    ``seen`` collects what the screen showed: a text for every drawing, and after every piece that came.
    """

    def __init__(
        self, command: Sequence[str], cwd: Path, *, columns: int = 100, out: Path | None = None, term: str = "xterm"
    ) -> None:
        left_out = ("JOINTFIT_", "OMPI_", "PMI", "COLUMNS")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        with out.open("wb") if out else os.fdopen(os.dup(theirs), "wb") as stdout:
            self.process = subprocess.Popen(
                list(command),
                cwd=cwd,
                env=kept | {"PYTHONPATH": path, "TERM": term, "OMP_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=theirs,
                start_new_session=True,
            )
        os.close(theirs)
        self._ours = ours
        self.raw = self._held = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self.screen = Screen(columns)
        self.seen: list[str] = []

    def wait(self, act: Callable[[str], bool] = lambda text: False, seconds: float = 60.0) -> int:
        """Watch until it ends; its exit code. ``act`` is called with the screen until it returns True."""
        end, acted = time.monotonic() + seconds, False
        while time.monotonic() < end:
            if not select.select([self._ours], [], [], 0.1)[0]:
                continue
            try:
                self._show(os.read(self._ours, 1 << 16))
            except OSError:  # nobody holds the other end any more
                os.close(self._ours)
                return self.process.wait()
            acted = acted or act(self.seen[-1])
        self.process.kill()
        raise AssertionError(f"it hangs: {self.raw}")

    def _show(self, data: bytes) -> None:
        text = self._held + self._decoder.decode(data)
        cut = _CUT.search(text)
        text, self._held = (text, "") if cut is None else (text[: cut.start()], cut[0])
        self.raw += text
        for frame in _ERASED.split(text):
            self.screen.feed(frame)
            self.seen.append("\n".join(line.rstrip() for line in self.screen.lines))
