"""Executes tutorial.ipynb and stores its outputs anew: python -m experiments.tutorial"""

from __future__ import annotations

from pathlib import Path

import nbformat
from jupyter_client import AsyncKernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode

PATH = Path(__file__).with_name("tutorial.ipynb")


def execute(notebook: NotebookNode) -> None:
    """Run all cells in a fresh kernel; their outputs are put into the notebook. Raises CellExecutionError."""
    kernel = AsyncKernelManager(transport="ipc", kernel_name="python3")
    NotebookClient(notebook, km=kernel, timeout=120, record_timing=False).execute()
    notebook.metadata.pop("language_info", None)  # holds the version of Python


if __name__ == "__main__":
    tutorial = nbformat.read(PATH, as_version=4)
    execute(tutorial)
    nbformat.write(tutorial, PATH)
