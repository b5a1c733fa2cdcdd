"""The notebook, run from a cold cache against a served repository."""

from __future__ import annotations

import json
from pathlib import Path

from tests.hub.conftest import NAME, Client

RUN = """
import json, sys
import nbformat
from nbclient import NotebookClient
notebook = nbformat.read({path!r}, as_version=4)
nbformat.validate(notebook)
NotebookClient(notebook, timeout=100, kernel_name="python3").execute()
print(json.dumps([cell.get("outputs", []) for cell in notebook.cells]))
"""


def test_every_cell_runs(client: Client, converted: Path) -> None:
    assert client.run("publish", str(converted), NAME)[0] == 0
    notebook = converted / "quickstart.ipynb"
    told = client.python(RUN.format(path=str(notebook)))
    outputs = [found for cell in json.loads(told.splitlines()[-1]) for found in cell]
    assert {found["output_type"] for found in outputs} <= {"execute_result", "stream"}
    # All but that a library would like to draw its bars another way.
    told_of = [found["text"] for found in outputs if found.get("name") == "stderr"]
    assert [text for text in told_of if "TqdmWarning" not in text] == []
    pictures = [found for found in outputs if "image/png" in found.get("data", {})]
    assert len(pictures) == 3
    assert "224, 224, 3) [" in told
    cells = json.loads(notebook.read_text())["cells"]
    assert f"REPOSITORY = '{NAME}'\n" in cells[1]["source"]
