"""Where a report lies, and writing it when a session ends, however it ends."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mpc.jobs import REPORT
from mpc.jobs.state import write_private
from parties import ConfigurationError

if TYPE_CHECKING:
    from mpc.report.collecting import Collector
    from mpc.session import Session

_log = logging.getLogger(__name__)


def begin(session: Session, report: str | Path | None) -> Collector | None:
    """What the session tells from now on; None without a report, or in a session that only plans.

    ``report``: a folder, or a file that ends in .html. By default what ``--report`` says, which comes first.
    Raises ConfigurationError if nothing can be written there.
    """
    given = os.environ.get(REPORT)
    if session.is_planner or (report is None and given is None):
        return None
    from mpc.report.collecting import Collector  # with what it needs, which other runs do without

    path = place(Path(given), session, own=True) if given is not None else place(Path(report or ""), session)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"report {path}: {error.strerror}; want a folder in its place") from error
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise ConfigurationError(f"report {path}: cannot be written; want a file NAME.html, or a folder")
    return Collector(session, path)


def place(given: Path, session: Session, *, own: bool = False) -> Path:
    """The page of this rank: the file that is given, which other ranks than 0 put their name to unless it is their
    ``own``; in a folder NAME.html.
    """
    from mpc.report.describing import names

    name = names(session)[session.rank].replace(" ", "-")
    if given.suffix != ".html":
        return given / f"{name}.html"
    return given if own or session.rank == 0 else given.with_name(f"{given.stem}-{name}.html")


@contextmanager
def written(report: Collector | None, error: BaseException | None) -> Iterator[None]:
    """Run a session's end, and then write its report; ``error`` is what ended it, unless the end itself fails."""
    if report is None:
        yield
        return
    try:
        yield
    except BaseException as late:
        error = late
        raise
    finally:
        _write(report, error)


def _write(report: Collector, error: BaseException | None) -> None:
    """First the JSON, from which `jointfit report` makes the page again, then the page; a failure is logged."""
    from mpc.report.page import page

    path = report.path
    try:
        report.close()
        record = report.record(error)
        write_private(path.with_suffix(".json"), record.model_dump_json().encode())
        write_private(path, page([record]).encode())
    except Exception as wrong:  # noqa: BLE001 — a report that fails must not cost the results of a long run
        _log.warning("the report %s is not written: %s", path, _said(wrong), exc_info=wrong, extra={"event": "report"})
    else:
        _log.info("report: %s", path, extra={"event": "report", "file": str(path)})


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, ConfigurationError) else type(error).__name__
