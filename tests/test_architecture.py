"""The house stands: imports point downwards, close no circle, and every room says what it is."""

from __future__ import annotations

import ast
import gc
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("bioscan5m_hf", "conversion")
LONGEST = 400
MOST = 13
# From the ground up: a room imports from its own floor and from those below.
FLOORS = (
    {"errors", "jpeg", "memory", "processors"},
    {"files", "schema", "storage"},
    {"release"},
    {"catalogue"},
    {"query"},
    {"readers"},
    {"sources"},
    {"config", "decode", "labels", "get", "builder", "load"},
    {"torch", "__init__"},
)


def _modules() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


FILES = _modules()
TEXTS = {name: path.read_text("utf-8") for name, path in FILES.items()}


def parsed(text: str) -> ast.Module:
    """The syntax of a module."""
    # In Python 3.11 a finalizer that parses something meanwhile makes this fail (gh-106905).
    gc.disable()
    try:
        return ast.parse(text)
    finally:
        gc.enable()


@cache
def targets(text: str) -> frozenset[str]:
    """What a module names in its imports, lazily and for types alone included."""
    found: set[str] = set()
    for node in ast.walk(parsed(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"a relative import in {text}"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def imports(texts: dict[str, str]) -> dict[str, set[str]]:
    """What each module imports, of those whose text is given."""
    return {
        name: {home for target in targets(text) if (home := _home(target, texts))} - {name}
        for name, text in texts.items()
    }


def _home(target: str, known: dict[str, str]) -> str | None:
    while target and target not in known:
        target = target.rpartition(".")[0]
    return target or None


def circles(graph: dict[str, set[str]]) -> set[str]:
    """The modules that reach themselves; packages themselves left out."""
    left = {name: {t for t in targets if t in graph} for name, targets in graph.items()}
    for package in PACKAGES:
        left.pop(package, None)
    while ends := [name for name, targets in left.items() if not targets & left.keys()]:
        for name in ends:
            del left[name]
    return set(left)


def upwards(graph: dict[str, set[str]]) -> list[str]:
    """Imports that point from a floor to one above it, or from the data to the converter."""
    floor = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

    def level(name: str) -> int:
        parts = name.split(".")
        return floor[parts[1] if len(parts) > 1 else "__init__"]

    return sorted(
        f"{name} -> {target}"
        for name, targets in graph.items()
        if name.startswith("bioscan5m_hf")
        for target in targets - {"bioscan5m_hf"}
        if target.startswith("conversion") or level(target) > level(name)
    )


def test_no_import_points_upwards() -> None:
    assert upwards(imports(TEXTS)) == []


def test_no_import_closes_a_circle() -> None:
    assert circles(imports(TEXTS)) == set()


@pytest.mark.parametrize(
    ("module", "line", "found"),
    [
        ("bioscan5m_hf.storage.path", "from conversion import demo", "upwards"),
        ("bioscan5m_hf.schema.columns", "from bioscan5m_hf import load", "upwards"),
        ("conversion.rejects", "from conversion.pipeline import steps", "circle"),
    ],
)
def test_an_arrow_that_is_drawn_wrongly_is_found(module: str, line: str, found: str) -> None:
    wrong = f"{TEXTS[module]}\ndef _wrong() -> None:\n    {line}\n"
    graph = imports(TEXTS | {module: wrong})
    assert upwards(graph) if found == "upwards" else circles(graph)


def test_every_room_says_what_it_is() -> None:
    for name, path in FILES.items():
        told = ast.get_docstring(parsed(TEXTS[name]))
        assert told, f"{name} has no docstring"
        if path.name == "__init__.py" and name not in PACKAGES:
            assert len(told) > 60, f"{name} does not say what lives there"


def test_no_module_outgrows_its_room() -> None:
    lengths = {name: len(text.splitlines()) for name, text in TEXTS.items()}
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def test_no_room_is_crowded() -> None:
    rooms = Counter(path.parent for path in FILES.values() if path.name != "__init__.py")
    assert {str(room): held for room, held in rooms.items() if held > MOST} == {}
