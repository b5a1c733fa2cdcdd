"""What the README promises is what the project does."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from bioscan5m_hf.schema.columns import SPLITS
from bioscan5m_hf.schema.configurations import METADATA, PACKAGES, PARTITIONS
from tests.conftest import Run

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def command(mark: str) -> str:
    found = re.search(rf"<!-- {mark} -->\n```sh\n(.*)\n```", README)
    assert found is not None
    return found[1]


def test_the_two_commands_are_whole() -> None:
    assert command("main job").endswith("bioscan5m demo")
    assert "-m pytest" in command("tests")


def test_ci_takes_its_commands_from_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    function = script[script.index("readme() {") : script.index("}\n") + 2]
    for mark in ("tests", "main job"):
        assert f"readme '{mark}'" in script
        # The command itself is printed before it is run; here it is not run.
        printed = subprocess.run(
            ["bash", "-c", f"bash() {{ :; }}\n{function}readme '{mark}'"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert printed.stdout == f"+ {command(mark)}\n"


def test_the_table_lists_every_configuration() -> None:
    for package in PACKAGES:
        assert f"| `{package.name}`" in README
        assert package.meaning in README
    assert f"`{METADATA}`" in README
    for partition in PARTITIONS:
        assert f"`_{partition}`" in README
    for split in SPLITS:
        assert f"`{split.published}`" in README


def test_every_command_shown_exists(call: Run) -> None:
    known = call("--help").stdout
    for name in re.findall(r"^bioscan5m ([a-z]+)", README, re.MULTILINE):
        assert f"  {name} " in known
