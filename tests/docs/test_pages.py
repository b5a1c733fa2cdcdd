"""Every code block of the documentation runs, in the order of its page, on a generated release."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run, make_once

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>skip|needs): (?P<reason>[^\n]*) -->\n)?"
    r"^```(?P<language>\w*)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
LANGUAGES = {"sh", "python"}
NOT_CODE = {"", "text"}


@dataclass(frozen=True)
class Block:
    """One block of a page."""

    line: int
    language: str
    code: str
    reason: str | None


def _reason(match: re.Match[str]) -> str | None:
    """Why a block is not run; none where it is."""
    if match["mark"] == "needs":
        return None if importlib.util.find_spec(match["reason"]) else f"{match['reason']} is absent"
    reason: str | None = match["reason"]
    return reason


def blocks(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    return [
        Block(text[: m.start()].count("\n") + 1, m["language"], m["code"], _reason(m))
        for m in BLOCK.finditer(text)
        if m["language"] not in NOT_CODE
    ]


@pytest.fixture(scope="session")
def place(release: Path, shared: Path, call: Run) -> Path:
    """A folder that has ``RELEASE`` and the dataset folder ``bioscan-5m``."""

    def make(folder: Path) -> None:
        folder.mkdir()
        call("convert", release, "--output", folder / "bioscan-5m", "--quiet")
        (folder / "RELEASE").symlink_to(release)

    return make_once(shared / "place", make)


# Clients warn of themselves and of each other, and webdataset leaves its files to the collector.
NOT_OURS = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.stem, marks=[NOT_OURS] if page.stem == "clients" else [])
        for page in PAGES
    ],
)
def test_the_blocks_of_a_page_run(
    page: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Links suffice: whatever a page changes in the folder is another file under the same name.
    shutil.copytree(place, tmp_path / "work", symlinks=True, copy_function=os.link)
    monkeypatch.chdir(tmp_path / "work")
    names: dict[str, Any] = {"__name__": "page"}
    for block in blocks(page):
        assert block.language in LANGUAGES, f"line {block.line}: {block.language}"
        if block.reason is not None:
            assert block.reason.strip(), f"line {block.line}: no reason"
            continue
        if block.language == "sh":
            run_shell(block)
        else:
            exec(compile(block.code, f"{page.name}:{block.line}", "exec"), names)


def run_shell(block: Block) -> None:
    beside = str(Path(sys.executable).parent)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.code],
        env={**os.environ, "PATH": f"{beside}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, f"line {block.line}: {done.stdout}{done.stderr}"


def test_pages_are_found() -> None:
    assert len(PAGES) > 10
    assert sum(len(blocks(page)) for page in PAGES) > 20
