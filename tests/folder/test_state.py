"""Who may write a dataset folder, while others would."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from bioscan5m_hf.errors import FolderInUse, ForeignFolder
from bioscan5m_hf.sources.manifest import STATE_FOLDER
from conversion.folder.state import open_state

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
    with pytest.raises(ForeignFolder, match="is no folder"), open_state(tmp_path):
        pass
    assert (tmp_path / STATE_FOLDER).read_bytes() == b""


@pytest.mark.parametrize("name", ["", "work", "receipts", "picks", "lock"])
def test_hidden_links_lead_nowhere(tmp_path: Path, name: str) -> None:
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "out"
    elsewhere.mkdir()
    for kept in ("lock", "thesis.tex", ".thesis.tex.0123456789abcdef.partial"):
        (elsewhere / kept).write_text("the only copy")
    folder.mkdir()
    if name:
        (folder / STATE_FOLDER).mkdir()
    target = elsewhere / "new" if name == "lock" else elsewhere
    (folder / STATE_FOLDER / name).symlink_to(target)
    with pytest.raises(ForeignFolder, match=r"is a link to|cannot be written to"):  # noqa: SIM117
        with open_state(folder):
            pass
    assert {path.name: path.read_text() for path in elsewhere.iterdir()} == dict.fromkeys(
        ("lock", "thesis.tex", ".thesis.tex.0123456789abcdef.partial"), "the only copy"
    )


def test_what_others_made_stays(tmp_path: Path) -> None:
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "out"
    kept = [elsewhere / ".a.0123456789abcdef.partial", elsewhere / "train-00000-of-00001.parquet"]
    kept += [folder / ".thesis.tex.partial", folder / STATE_FOLDER / "notes" / "a.txt"]
    for path in kept:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("the only copy")
    (folder / "original_full").symlink_to(elsewhere)
    (folder / "empty").mkdir()
    ours = folder / "metadata" / ".train.parquet.0123456789abcdef.partial"
    ours.parent.mkdir()
    ours.write_text("half")
    said: list[str] = []
    with open_state(folder, said.append):
        pass
    assert all(path.read_text() == "the only copy" for path in kept)
    assert (folder / "empty").is_dir()
    assert not ours.parent.exists()
    assert len(said) == 1
    assert "original_full is a link" in said[0]


def test_only_a_held_lock_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    for number in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):

        def refuse(*_: object, number: int = number) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr("fcntl.flock", refuse)
        with open_state(tmp_path / "out", said.append):
            pass
        assert os.strerror(number) in said[-1]
    monkeypatch.undo()
    with open_state(tmp_path / "out", said.append) as state:
        assert not (state.path / "lock").stat().st_mode & 0o111
        with pytest.raises(FolderInUse), open_state(tmp_path / "out"):
            pass
    assert len(said) == 3


def test_a_place_where_nothing_can_be_made(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "gone")
    for folder in (Path("/proc/nothing"), link):
        with pytest.raises(ForeignFolder, match="cannot be written to"), open_state(folder):
            pass
