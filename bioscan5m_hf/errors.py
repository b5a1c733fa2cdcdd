"""Define every error that bioscan5m-hf raises on purpose, as one tree.

    BioscanError
    ├── UsageError                 the call is wrong, whatever the data
    │   ├── UnknownName            a package, split, format … that does not exist
    │   └── MissingDependency      an optional package is not installed
    ├── DataError                  the release is not what upstream publishes
    │   ├── ReleaseNotFound        no archive, image folder or metadata where it was looked for
    │   │   └── OutOfReach         its server is not asked or does not answer, and no cache has it
    │   ├── ArchiveError           an archive that is damaged, encrypted or not a zip
    │   ├── MetadataError          columns, rows or values of the metadata
    │   ├── ImageError             the bytes of one image
    │   └── MismatchError          images and metadata that do not fit together
    ├── OutputError                the dataset folder cannot be written as asked
    │   ├── ForeignFolder          a folder that this program did not make
    │   ├── ChangedInput           an unfinished or finished folder made from something else
    │   └── FolderInUse            another conversion holds the folder
    ├── DownloadFailed             a file of the release could not be fetched whole
    ├── ConversionFailed           a shard could not be made
    │   └── ClusterError           a Dask cluster does not answer, or its workers are unfit
    │       └── UnfitWorker        one worker that would not make the shards that are wanted
    ├── TooLittleMemory            this process may not have the memory that the work takes
    ├── VerificationFailed         a dataset folder differs from its manifest
    └── PublicationFailed          a dataset folder could not be published
        ├── NotSignedIn            no token, or one that the Hub does not know
        ├── NotPermitted           the token does not allow it
        ├── StorageExceeded        the account has no room left on the Hub
        ├── HubUnreachable         no answer, or none but failures
        └── ForeignRepository      a repository that holds something else

A message says what was found, where (file, member, row), and what to do about it.
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
        count: How many.
        noun: In the singular; its plural ends with ``s``.
    """
    return f"{count:,} {noun}{'s' * (count != 1)}"


class BioscanError(Exception):
    """Base of every error of this project.

    Args:
        found: What is wrong, as a sentence without its full stop.
        where: The file, member or row it was found in, if any.
        fix: What the reader can do about it, if that is known.

    Attributes:
        exit_status: What the command line returns for it: 1 for bad data or failed work, 2 for
            wrong usage.
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
        # Errors cross process boundaries; keyword-only arguments would be lost by the default.
        return _rebuild, (type(self), self.found, self.where, self.fix)


def _rebuild(
    kind: type[BioscanError], found: str, where: str | None, fix: str | None
) -> BioscanError:
    return kind(found, where=where, fix=fix)


class UsageError(BioscanError):
    """The call is wrong, whatever the data."""

    exit_status = 2


class UnknownName(UsageError):
    """A name that does not exist; the message lists the valid ones and the nearest."""

    @classmethod
    def of(cls, kind: str, given: str, valid: Iterable[str]) -> Self:
        """Build the error for one wrong name.

        Args:
            kind: What the name should have named, such as ``"split"``.
            given: The name that was given.
            valid: Every name that would have been right.
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
    """No archive, image folder or metadata where it was looked for."""


class OutOfReach(ReleaseNotFound):
    """Remote data whose server is not asked or does not answer, and which no cache has."""


class ArchiveError(DataError):
    """An archive or a shard that is damaged or encrypted, or no such file at all."""

    @classmethod
    def unreadable(cls, where: object, error: Exception) -> Self:
        """Build the error for a file that the library of its format cannot read.

        Raises:
            MemoryError: That there is no memory, which is not the fault of the file.
        """
        require_memory(error)
        return cls(f"cannot be read ({error})", where=str(where), fix="get it again")

    @classmethod
    def without_columns(cls, where: object, names: Sequence[str]) -> Self:
        """Build the error for a shard that lacks columns of the schema."""
        noun = "column" if len(names) == 1 else "columns"
        return cls(f"has no {noun} {', '.join(names)}", where=str(where), fix="get it again")


class MetadataError(DataError):
    """Columns, rows or values of the metadata that are not as upstream publishes them."""


class ImageError(DataError):
    """The bytes of one image: a wrong CRC, nothing in it, not a JPEG."""


class MismatchError(DataError):
    """Images and metadata that do not fit together."""


class OutputError(BioscanError):
    """The dataset folder cannot be written as asked."""


class ForeignFolder(OutputError):
    """The output folder holds something that this program did not make."""


class ChangedInput(OutputError):
    """The output folder was begun from other input or with other options."""


class FolderInUse(OutputError):
    """Another conversion is writing this folder."""


class DownloadFailed(BioscanError):
    """A file of the release could not be fetched whole; what there is of it is kept."""


class ConversionFailed(BioscanError):
    """A shard could not be made; the cause is chained."""


class ClusterError(ConversionFailed):
    """A Dask cluster does not answer, has no workers, or has some that are unfit for the work."""


class UnfitWorker(ClusterError):
    """A worker of a cluster that would not make the shards that are wanted, or cannot."""


class TooLittleMemory(BioscanError):
    """This process may not have the memory that the work takes."""


class VerificationFailed(BioscanError):
    """A dataset folder differs from its manifest."""


class PublicationFailed(BioscanError):
    """A dataset folder could not be published."""


class NotSignedIn(PublicationFailed):
    """There is no token, or the Hub does not know it."""


class NotPermitted(PublicationFailed):
    """The token does not allow what was asked of the Hub."""


class StorageExceeded(PublicationFailed):
    """The account has no room left on the Hub."""


class HubUnreachable(PublicationFailed):
    """The Hub does not answer, or answers with failures only."""


class ForeignRepository(PublicationFailed):
    """The repository holds something that this program did not put there."""
