"""Who may write a dataset folder, while others would."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from bioscan5m_hf.errors import FolderInUse, ForeignFolder
from conversion.folder.state import STATE_FOLDER, open_state

TIMES, RIVALS = 20, 4


def test_many_that_come_and_go_never_meet(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    inside = 0
    wrong: list[object] = []

    def take() -> None:
        nonlocal inside
        held = 0
        while held < TIMES and not wrong:
            try:
                with open_state(folder) as state:
                    inside += 1
                    own = [folder / "cropped_256", state.path / "receipts" / "below"]
                    for path in own:
                        path.mkdir(parents=True)
                    held += 1
                    if inside != 1 or not all(path.is_dir() for path in own):
                        wrong.append((inside, own))
                    inside -= 1
            except FolderInUse:
                continue
            except Exception as error:  # noqa: BLE001 - whatever a rival causes is a failure
                wrong.append(error)

    rivals = [threading.Thread(target=take) for _ in range(RIVALS)]
    for rival in rivals:
        rival.start()
    for rival in rivals:
        rival.join()
    assert wrong == []
    # The folder itself may stay: to the last of them it was there before.
    assert set(tmp_path.rglob("*")) <= {folder}


def test_a_rival_that_begins_while_the_lock_goes_keeps_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rivals: list[Path] = []
    unlink = Path.unlink

    def begin(path: Path, missing_ok: bool = False) -> None:
        unlink(path, missing_ok)
        if path.name == "lock" and not rivals:
            rivals.append(path.parent / "receipts")
            rivals[0].mkdir()

    monkeypatch.setattr(Path, "unlink", begin)
    with open_state(tmp_path / "out"):
        pass
    assert rivals == [tmp_path / "out" / STATE_FOLDER / "receipts"]
    assert rivals[0].is_dir()


def test_something_else_by_the_name_of_the_hidden_folder(tmp_path: Path) -> None:
    (tmp_path / STATE_FOLDER).write_bytes(b"")
    with pytest.raises(ForeignFolder, match="cannot be written to"), open_state(tmp_path):
        pass


def test_a_place_where_nothing_can_be_made(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "gone")
    for folder in (Path("/proc/nothing"), link):
        with pytest.raises(ForeignFolder, match="cannot be written to"), open_state(folder):
            pass
