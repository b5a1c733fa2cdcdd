"""Define every error that bioscan5m-hf raises on purpose, as one tree.

    BioscanError
    ├── UsageError                 the call is wrong, whatever the data
    │   ├── UnknownName            a package, split, format … does not exist
    │   └── MissingDependency      an optional package is not installed
    ├── DataError                  the release is not what upstream publishes
    │   ├── ReleaseNotFound        no archive, image folder or metadata was found
    │   │   └── OutOfReach         offline mode or no answer from the server, and nothing in a cache
    │   ├── ArchiveError           an archive is damaged, encrypted or not a zip
    │   ├── MetadataError          columns, rows or values of the metadata are wrong
    │   ├── ImageError             the bytes of one image are wrong
    │   └── MismatchError          images and metadata do not fit together
    ├── OutputError                the dataset folder cannot be written
    │   ├── ForeignFolder          the folder holds something that this program did not make
    │   ├── ChangedInput           the folder was made from other input or with other options
    │   └── FolderInUse            another conversion is writing the folder
    ├── DownloadFailed             a file of the release could not be downloaded completely
    ├── ConversionFailed           a shard could not be made
    │   └── ClusterError           a Dask cluster does not answer, or its workers are unfit
    │       └── UnfitWorker        a worker would make other shards than requested, or none
    ├── TooLittleMemory            the work needs more memory than this process may use
    ├── VerificationFailed         a dataset folder differs from its manifest
    └── PublicationFailed          a dataset folder could not be published
        ├── NotSignedIn            there is no token, or the Hub does not know it
        ├── NotPermitted           the token does not allow it
        ├── StorageExceeded        the account has no room left on the Hub
        ├── HubUnreachable         the Hub does not answer, or answers only with failures
        └── ForeignRepository      the repository holds something else

A message says what was found, where (file, member, row), and how to fix it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import ClassVar, Final, Self

from bioscan5m_hf.memory import require_memory

_PASSWORD: Final = re.compile(r"(://[^\s/:@]*):[^\s/@]+(?=@)")
_TOKEN: Final = re.compile(r"\b(?:(bearer|basic)\s+[\w.~+/=-]{4,}|(?-i:hf_)\w{8,})", re.IGNORECASE)


def without_passwords(text: str) -> str:
    """Replace passwords in URLs, and tokens that a server may have echoed, in a text."""
    text = _PASSWORD.sub(r"\1:***", text)
    return _TOKEN.sub(lambda found: f"{found[1]} ***" if found[1] else "***", text)


def counted(count: int, noun: str) -> str:
    """A number and its noun, such as ``1 shard`` or ``2,000 shards``.

    Args:
        count: The number.
        noun: The noun in the singular; its plural must end with ``s``.
    """
    return f"{count:,} {noun}{'s' * (count != 1)}"


class BioscanError(Exception):
    """Base of every error of this project.

    Args:
        found: What is wrong, as a sentence without its full stop.
        where: The file, member or row in which it was found, if any.
        fix: How the reader can fix it, if that is known.

    Attributes:
        exit_status: The exit status of the command line: 1 for bad data or failed work, 2 for wrong
            usage.
    """

    exit_status: ClassVar[int] = 1

    def __init__(self, found: str, *, where: str | None = None, fix: str | None = None) -> None:
        found = without_passwords(found)
        self.found = found
        self.where = without_passwords(where) if where else where
        self.fix = fix
        super().__init__(found)

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f"; {self.fix}" if self.fix else ""
        return f"{place}{self.found}{advice}"

    def __reduce__(self) -> tuple[object, ...]:
        # Errors are sent between processes, and the default would lose keyword-only arguments.
        return _rebuild, (type(self), self.found, self.where, self.fix)


def _rebuild(
    kind: type[BioscanError], found: str, where: str | None, fix: str | None
) -> BioscanError:
    return kind(found, where=where, fix=fix)


class UsageError(BioscanError):
    """The call is wrong, whatever the data."""

    exit_status = 2


class UnknownName(UsageError):
    """A name does not exist; the message lists the valid names and suggests a similar one."""

    @classmethod
    def of(cls, kind: str, given: str, valid: Iterable[str]) -> Self:
        """Build the error for one wrong name.

        Args:
            kind: The kind of thing that the name stands for, such as ``"split"``.
            given: The given name.
            valid: All valid names.
        """
        names = list(valid)
        near = difflib.get_close_matches(given, names, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return cls(f"there is no {kind} {given!r}", fix=f"{hint}valid names: {', '.join(names)}")


class MissingDependency(UsageError):
    """An optional package is not installed; the message names the command that installs it."""


class DataError(BioscanError):
    """The release is not what upstream publishes."""


class ReleaseNotFound(DataError):
    """No archive, image folder or metadata was found."""


class OutOfReach(ReleaseNotFound):
    """Offline mode is on or the server does not answer, and no cache has the remote data."""


class ArchiveError(DataError):
    """An archive or a shard is damaged, encrypted, of another format or missing."""

    @classmethod
    def unreadable(cls, where: object, error: Exception) -> Self:
        """Build the error for a file that the library of its format cannot read.

        Raises:
            MemoryError: There is too little memory, which is not the fault of the file.
        """
        require_memory(error)
        return cls(f"cannot be read ({error})", where=str(where), fix="get it again")

    @classmethod
    def without_columns(cls, where: object, names: Sequence[str]) -> Self:
        """Build the error for a shard that lacks columns of the schema."""
        noun = "column" if len(names) == 1 else "columns"
        return cls(f"has no {noun} {', '.join(names)}", where=str(where), fix="get it again")


class MetadataError(DataError):
    """Columns, rows or values of the metadata are not as upstream publishes them."""


class ImageError(DataError):
    """The bytes of one image are wrong: a wrong CRC, an empty file, not a JPEG."""


class MismatchError(DataError):
    """Images and metadata do not fit together."""


class OutputError(BioscanError):
    """The dataset folder cannot be written."""


class ForeignFolder(OutputError):
    """The output folder holds something that this program did not make."""


class ChangedInput(OutputError):
    """The output folder was made from other input or with other options."""


class FolderInUse(OutputError):
    """Another conversion is writing this folder."""


class DownloadFailed(BioscanError):
    """A file of the release could not be downloaded completely; the part that came is kept."""


class ConversionFailed(BioscanError):
    """A shard could not be made; the cause is chained."""


class ClusterError(ConversionFailed):
    """A Dask cluster does not answer, has no workers, or has workers unfit for the work."""


class UnfitWorker(ClusterError):
    """A worker of a cluster would make other shards than requested, or cannot make any."""


class TooLittleMemory(BioscanError):
    """The work needs more memory than this process may use."""


class VerificationFailed(BioscanError):
    """A dataset folder differs from its manifest."""


class PublicationFailed(BioscanError):
    """A dataset folder could not be published."""


class NotSignedIn(PublicationFailed):
    """There is no token, or the Hub does not know it."""


class NotPermitted(PublicationFailed):
    """The token does not allow what was requested from the Hub."""


class StorageExceeded(PublicationFailed):
    """The account has no room left on the Hub."""


class HubUnreachable(PublicationFailed):
    """The Hub does not answer, or answers only with failures."""


class ForeignRepository(PublicationFailed):
    """The repository holds something that this program did not put there."""
