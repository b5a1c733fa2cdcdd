"""What the tests of datasets for PyTorch share; they need torch."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PACKAGES
from tests.reading.conftest import listed, root_of, served

__all__ = ["listed", "root_of", "served"]

collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["test_*.py"]

CSV = "BIOSCAN_5M_Insect_Dataset_metadata.csv"


class _VisionDataset:
    """What their class takes from torchvision's base class."""

    def __init__(self, root: str, transform: Any = None, target_transform: Any = None) -> None:
        self.root, self.transform, self.target_transform = root, transform, target_transform


@pytest.fixture(scope="session")
def theirs() -> Any:
    """The module of ``bioscan-dataset``, with the little of torchvision that it imports."""
    spec = importlib.util.find_spec("bioscan_dataset")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("bioscan-dataset is not installed")
    modules = {name: types.ModuleType(name) for name in (
        "torchvision", "torchvision.datasets", "torchvision.datasets.utils",
        "torchvision.datasets.vision",
    )}  # fmt: skip
    modules["torchvision.datasets.vision"].VisionDataset = _VisionDataset  # type: ignore[attr-defined]
    utils: Any = modules["torchvision.datasets.utils"]
    utils.check_integrity = None
    utils.download_and_extract_archive = None
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        path = Path(spec.submodule_search_locations[0]) / "bioscan5m.py"
        made = importlib.util.spec_from_file_location("their_torch_bioscan5m", path)
        assert made is not None
        assert made.loader is not None
        module = importlib.util.module_from_spec(made)
        made.loader.exec_module(module)
    finally:
        for name, module_before in before.items():
            if module_before is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module_before
    # It looks for some specimens of upstream's by name, which a generated release has not.
    module.BIOSCAN5M._check_integrity = lambda _: True
    return module


@pytest.fixture(scope="session")
def their_root(forms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked release where their class looks for it."""
    root = tmp_path_factory.mktemp("theirs")
    inside = root / "bioscan5m"
    (inside / "images").mkdir(parents=True)
    (inside / "metadata" / "csv").mkdir(parents=True)
    found = next((forms / "unpacked").rglob(CSV))
    (inside / "metadata" / "csv" / CSV).symlink_to(found)
    for path in (forms / "unpacked").rglob("*.jpg"):
        for package in PACKAGES:
            if package in path.parts:
                below = path.parts[path.parts.index(package) :]
                copy = (inside / "images").joinpath(*below)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
    return root
