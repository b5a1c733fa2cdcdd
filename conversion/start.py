"""How a process of ours begins: without what it will not use."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType


def spare_pandas() -> None:
    """Keep pyarrow from importing pandas, which takes a quarter of a second in each process.

    Making its first array, pyarrow looks whether there is pandas, so as to know a Series from a
    list; it works as well without, and does not look again. Whoever imports pandas later may do so,
    but Arrow's tables are not turned into pandas' in such a process.
    """
    if "pandas" in sys.modules:
        return
    import pyarrow as pa

    absent = _Absent("pandas")
    sys.meta_path.insert(0, absent)
    try:
        pa.array([0]).to_numpy()
    finally:
        sys.meta_path.remove(absent)


class _Absent:
    """Answers for a module that it is not installed."""

    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(
        self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name == self._name:
            raise ModuleNotFoundError(f"{name} is not looked for here", name=name)
        return None
