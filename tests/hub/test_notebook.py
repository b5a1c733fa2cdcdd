"""The notebook, run from a cold cache against a served repository."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

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
    # A specimen, some side by side, the map and the tree.
    assert len(pictures) == 4
    assert "224, 224, 3) [" in told
    cells = json.loads(notebook.read_text())["cells"]
    assert f"REPOSITORY = '{NAME}'\n" in cells[1]["source"]


@pytest.mark.parametrize("place", [".", "..", "elsewhere"])
def test_it_finds_its_folder(
    place: str, converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bioscan-5m"
    folder.symlink_to(converted)
    (folder.parent / "elsewhere").mkdir()
    # Under this name nothing is looked for on the Hub.
    cells = json.loads((converted / "quickstart.ipynb").read_text())["cells"]
    first = "".join(cells[1]["source"]).replace(NAME, "bioscan-5m")
    monkeypatch.chdir(folder if place == "." else tmp_path / place.strip("."))
    found: dict[str, Any] = {}
    if place == "elsewhere":
        with pytest.raises(FileNotFoundError, match="start this notebook in the dataset folder"):
            exec(first, found)
        return
    exec(first, found)
    assert Path(found["NAME"]) == folder.resolve()
    assert found["row"]["processid"]


def test_it_shows_what_there_is_to_show(converted: Path) -> None:
    cells = json.loads((converted / "quickstart.ipynb").read_text())["cells"]
    heads = [cell["source"][0].strip() for cell in cells if cell["cell_type"] == "markdown"]
    assert [head for head in heads if head.startswith("## ")] == [
        "## Specimens and their taxa",
        "## Only one order",
        "## Where they were collected",
        "## The tree of taxa",
        "## Labels",
        "## Batches for a model",
    ]
