"""Report how many bytes of a file were sent to the Hub, while it is being sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

from huggingface_hub import CommitOperationAdd, constants
from huggingface_hub.utils import disable_progress_bars, enable_progress_bars

Sent = Callable[[int], None]
"""Called with the number of bytes of a file that were sent so far."""


class Addition(CommitOperationAdd):
    """A file of a commit, which reports how many of its bytes were read for HTTP."""

    def __init__(self, path: str, source: Path, sent: Sent) -> None:
        super().__init__(path, source)
        self._sent = sent

    @contextmanager
    def as_file(self, with_tqdm: bool = False) -> Iterator[BinaryIO]:
        """Open the file; the client sets ``with_tqdm`` when it is about to send it."""
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
def reporting_xet_uploads(sent: Sent) -> Iterator[None]:
    """Report how many bytes are uploaded to the Hub's own storage (Xet), within the ``with`` block.

    The client shows this with its own progress bars and has no callback, so its reporter is
    replaced meanwhile. Nothing is reported within a file if the client has no such reporter, or if
    the user switched its bars off.
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
    # If the user switched the bars on, they are on already, and the client refuses to change that.
    switched = constants.HF_HUB_DISABLE_PROGRESS_BARS is None
    if switched:
        enable_progress_bars()
    try:
        yield
    finally:
        if switched:
            disable_progress_bars()
        setattr(reporting, name, before)
