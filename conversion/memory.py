"""See that this process may have the memory that its work takes, before the work.

With less, libraries end it in ways of their own: in the middle of an import or of a thread, or with
an abort of C++ that nobody can catch.
"""

from __future__ import annotations

import resource
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bioscan5m_hf.errors import TooLittleMemory

if TYPE_CHECKING:
    from bioscan5m_hf.release.layout import MetadataFile

# Measured with small releases on two processors, each command: half of it ends some of them.
_LEAST: Final = {resource.RLIMIT_DATA: 256 << 20, resource.RLIMIT_AS: 768 << 20}
# Measured with releases of 10,000 and 200,000 specimens, 8 and 165 MB of csv: conversions with less
# do not end well. Beyond, the rows are sorted in runs of one length.
_FOR_EACH_BYTE: Final = 10
_LONGEST_RUN: Final = 120 << 20


def require_room(more: int = 0) -> None:
    """See that this process may have enough memory.

    Args:
        more: How many bytes the work takes beyond what any command does.

    Raises:
        TooLittleMemory: It may not.
    """
    for limit, least in _LEAST.items():
        allowed, _ = resource.getrlimit(limit)
        if allowed != resource.RLIM_INFINITY and allowed < least + more:
            raise TooLittleMemory(
                f"a process may have {allowed >> 20:,} MiB of memory here, and the work takes "
                f"{(least + more) >> 20:,} at least",
                fix="raise the limit of the shell (ulimit) or of the batch system",
            )


def require_room_for(metadata: MetadataFile) -> None:
    """See that this process may have the memory that it takes to convert a release.

    Args:
        metadata: Its metadata; of those in a zip or behind a URL the length is not known yet.

    Raises:
        TooLittleMemory: It may not.
    """
    # What is not there is told of where it is opened.
    if isinstance(metadata.path, Path) and metadata.member is None and metadata.path.is_file():
        require_room(_FOR_EACH_BYTE * min(metadata.path.stat().st_size, _LONGEST_RUN))
