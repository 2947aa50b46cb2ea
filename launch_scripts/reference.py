"""The API reference as HTML: public names, and what their docstrings refer to. `launch_scripts/docs` runs it."""

import sys
import warnings
from pathlib import Path

import pdoc
import pdoc.render

from mpc.version import __version__

PUBLIC = (
    "mpc",
    "mpc.estimators",
    "mpc.data",
    "mpc.operations",
    "parties",
    "parties.testing",
    "protocols",
    "protocols.testing",
)
"""Modules whose ``__all__`` is the public interface."""

BESIDE = (
    "mpc.module",
    "mpc.saving",
    "mpc.checkpoints",
    "mpc.journal",
    "mpc.estimators.base",
    "mpc.estimators.classifier",
    "mpc.jobs.membership",
    "mpc.jobs.tables",
    "mpc.number",
    "mpc.profiling.profile",
    "mpc.profiling.rows",
    "parties.frames",
    "parties.observer",
    "parties.roles",
    "parties.sealing",
    "protocols.base",
    "protocols.cases",
    "protocols.correlations.dealer",
    "protocols.costs",
    "protocols.recorder",
    "protocols.schedule",
    "protocols.steps",
)
"""Modules to which their docstrings refer, and which a protocol, a transport or an operation of one's own imports."""

HIDDEN = ("mpc.session", "mpc.simulate", "mpc.plan", "mpc.deal", "mpc.data.batches", "mpc.data.scaling")
"""Modules with the name of a function that is public."""


def build(folder: Path) -> None:
    """Write the pages, which need no network, to a folder. Whatever pdoc warns of raises, a name without a page say."""
    pdoc.render.configure(docformat="google", show_source=False, footer_text=f"jointfit {__version__}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # attributes that PyTorch keeps in C; named tuples, whose constructor forgets where its types are from
        warnings.filterwarnings("ignore", r"Cannot determine where mpc\.SharedTensor\.\w+ is taken from")
        warnings.filterwarnings("ignore", r"Error parsing type annotation ForwardRef\(.*\.__init__\. Import of")
        pdoc.pdoc(*PUBLIC, *BESIDE, *(f"!{name}" for name in HIDDEN), output_directory=folder)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
