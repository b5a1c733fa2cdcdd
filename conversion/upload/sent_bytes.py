"""Tell how many bytes of a file have gone to the Hub, while they go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

from huggingface_hub import CommitOperationAdd, constants
from huggingface_hub.utils import disable_progress_bars, enable_progress_bars

Sent = Callable[[int], None]
"""Told how many bytes of a file have gone by now."""


class Addition(CommitOperationAdd):
    """A file of a commit that tells how far it was read to be sent over HTTP."""

    def __init__(self, path: str, source: Path, sent: Sent) -> None:
        super().__init__(path, source)
        self._sent = sent

    @contextmanager
    def as_file(self, with_tqdm: bool = False) -> Iterator[BinaryIO]:
        """Open the file; with ``with_tqdm`` it is going to be sent."""
        with super().as_file() as file:
            if with_tqdm:
                read = file.read

                def counted(size: int = -1) -> bytes:
                    data = read(size)
                    self._sent(file.tell())
                    return data

                file.read = counted  # type: ignore[method-assign]
            yield file


@contextmanager
def told_by_xet(sent: Sent) -> Iterator[None]:
    """Within this context, what is uploaded to the Hub's own storage tells how far it is.

    The client has bars of its own for that and no way to be told instead, so that its reporter is
    replaced as long as this lasts. A client without one, or whose bars were switched off by the
    user, tells nothing within a file.
    """
    name = "XetUploadProgressReporter"
    try:
        reporting = import_module("huggingface_hub.utils._xet_progress_reporting")
        before = getattr(reporting, name)
    except (ImportError, AttributeError):
        before = None
    if before is None or constants.HF_HUB_DISABLE_PROGRESS_BARS:
        yield
        return

    class Reporter:
        def __init__(self, *_: Any, **__: Any) -> None: ...

        def update_progress(self, group: Any, _items: Any = None) -> None:
            sent(group.total_bytes_completed)

        def close(self) -> None: ...

    setattr(reporting, name, Reporter)
    # Where the user has said that bars are to be shown, they are, and may not be switched.
    switched = constants.HF_HUB_DISABLE_PROGRESS_BARS is None
    if switched:
        enable_progress_bars()
    try:
        yield
    finally:
        if switched:
            disable_progress_bars()
        setattr(reporting, name, before)
