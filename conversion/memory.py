"""Check the memory limit of this process before the work starts.

With too little memory, libraries end the process in different ways: during an import, in a thread,
or with an abort in C++ that cannot be caught.
"""

from __future__ import annotations

import resource
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bioscan5m_hf.errors import TooLittleMemory

if TYPE_CHECKING:
    from bioscan5m_hf.release.layout import MetadataFile

# Measured for each command, with small releases on two processors: with half of these limits, some
# commands fail.
_LEAST: Final = {resource.RLIMIT_DATA: 256 << 20, resource.RLIMIT_AS: 768 << 20}
# Measured with releases of 10,000 and 200,000 specimens, 8 and 165 MB of csv: conversions with less
# memory fail. Larger releases need no more, because rows are sorted in runs of limited length.
_FOR_EACH_BYTE: Final = 10
_LONGEST_RUN: Final = 120 << 20


def require_room(more: int = 0) -> None:
    """Check that the limits of this process allow enough memory.

    Args:
        more: How many bytes the work needs in addition to what every command needs.

    Raises:
        TooLittleMemory: They do not.
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
    """Check that the limits of this process allow enough memory to convert a release.

    Args:
        metadata: Its metadata; if they are in a zip or remote, their length is not known yet, and
            nothing is checked.

    Raises:
        TooLittleMemory: They do not.
    """
    # A missing file is reported when it is opened.
    if isinstance(metadata.path, Path) and metadata.member is None and metadata.path.is_file():
        require_room(_FOR_EACH_BYTE * min(metadata.path.stat().st_size, _LONGEST_RUN))
