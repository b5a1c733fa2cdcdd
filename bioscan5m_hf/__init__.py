"""Load BIOSCAN-5M with ``datasets``, from a local folder, a server or the Hugging Face Hub.

    from bioscan5m_hf import load_dataset

    ds = load_dataset("bioscan-5m", "cropped_256", split="train", streaming=True)

``load_dataset`` loads a dataset folder or a raw release, local or remote. ``Bioscan5M`` is the
builder behind it. ``get`` reads single specimens by their processids. ``labels`` gives the
vocabulary of a rank. ``iter_images`` decodes images on threads. Every error is a ``BioscanError``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bioscan5m_hf.builder import Bioscan5M
    from bioscan5m_hf.decode import iter_images
    from bioscan5m_hf.errors import BioscanError
    from bioscan5m_hf.get import get
    from bioscan5m_hf.labels import labels
    from bioscan5m_hf.load import load_dataset
    from bioscan5m_hf.schema.vocabularies import Vocabulary

    __version__: str

__all__ = [
    "Bioscan5M",
    "BioscanError",
    "Vocabulary",
    "get",
    "iter_images",
    "labels",
    "load_dataset",
]

# datasets, pandas and pyarrow take long to import, so a name is imported when it is first used.
_HOMES = {
    "Bioscan5M": "bioscan5m_hf.builder",
    "BioscanError": "bioscan5m_hf.errors",
    "Vocabulary": "bioscan5m_hf.schema.vocabularies",
    "get": "bioscan5m_hf.get",
    "iter_images": "bioscan5m_hf.decode",
    "labels": "bioscan5m_hf.labels",
    "load_dataset": "bioscan5m_hf.load",
}


def __getattr__(name: str) -> object:
    found: object
    if name == "__version__":
        found = importlib.import_module("importlib.metadata").version("bioscan5m-hf")
    elif name in _HOMES:
        found = getattr(importlib.import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return ["__version__", *__all__]
