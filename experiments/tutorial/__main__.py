"""Execute tutorial.ipynb and store its outputs anew: `python -m experiments.tutorial`."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from traitlets.config import Config

PATH = Path(__file__).with_name("tutorial.ipynb")


def execute(notebook: NotebookNode, folder: Path) -> None:
    """Run all cells in a fresh kernel, in a folder, and put their outputs into the notebook.

    The version of Python is left out, so that two runs are alike. Raises CellExecutionError.
    """
    local = Config(KernelManager={"transport": "ipc", "ip": str(folder / "kernel")})  # no ports
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, config=local, resources=resources, kernel_name="python3", timeout=120)
    client.record_timing, client.coalesce_streams = False, True
    client.execute()
    notebook.metadata.pop("language_info", None)


if __name__ == "__main__":
    tutorial = nbformat.read(PATH, as_version=4)
    with TemporaryDirectory() as scratch:
        execute(tutorial, Path(scratch))
    nbformat.write(tutorial, PATH)
