"""What goes into a conversion, in few words: a digest that is cheap beside the conversion.

Read are the metadata and the boxes, whole, and the directories of the zips, which hold the CRC and
the sizes of every image: some 600 MB for a whole package. Of unpacked images name, length and time
of the last modification are taken; their bytes are not read.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from xxhash import xxh3_128

from bioscan5m_hf.errors import BioscanError
from bioscan5m_hf.release.image_index import source_labels
from bioscan5m_hf.release.layout import MetadataFile
from bioscan5m_hf.release.zip_directory import find_directory
from bioscan5m_hf.sources.manifest import FORMAT_VERSION
from bioscan5m_hf.storage.local import Source
from bioscan5m_hf.storage.open import open_location
from bioscan5m_hf.storage.path import Location, RemotePath
from conversion.catalogue.sources import Choice
from conversion.derive.recipe import versions
from conversion.pipeline.options import fingerprinted
from conversion.planning.packages import libraries

if TYPE_CHECKING:
    from conversion.pipeline.options import ConvertOptions

# So much fits into the processor's cache.
_BLOCK_BYTES: Final = 512 << 10


def fingerprint(
    options: ConvertOptions,
    metadata: MetadataFile,
    choices: Sequence[Choice],
    given_up: threading.Event,
) -> str | None:
    """A digest of everything that decides what a dataset folder holds after a conversion.

    Args:
        options: What to convert, and how.
        metadata: The metadata of the release.
        choices: What each package is made of.
        given_up: Set by whoever does not want it any more; it may be read in a thread.

    Returns:
        The digest in hex. None where a source cannot be read: what is wrong with it is for the
        conversion to say. None also where one lies behind a URL: to read gigabytes of metadata
        twice over a network is not cheap, and what a server says of a file is no proof.

    Raises:
        CancelledError: Nobody wants it any more.
    """
    digest = xxh3_128()
    archives = [archive.path for choice in choices for archive in choice.selection.archives]
    if any(isinstance(location, RemotePath) for location in (metadata.path, *archives)):
        return None
    try:
        for part in _parts(options, metadata, choices, given_up):
            digest.update(f"{len(part)} ".encode() + part)
    except (BioscanError, OSError):
        return None
    return digest.hexdigest()


def _parts(
    options: ConvertOptions,
    metadata: MetadataFile,
    choices: Sequence[Choice],
    given_up: threading.Event,
) -> Iterator[bytes]:
    deciding = libraries() | (versions() if options.derive is not None else {})
    yield repr(
        [
            version("bioscan5m-hf"),
            FORMAT_VERSION,
            *sorted(deciding.items()),
            *fingerprinted(options),
        ]
    ).encode()
    yield metadata.label.encode()
    yield (_of_zip if metadata.member else _of_bytes)(metadata.path, given_up)
    for choice in choices:
        splits = [split.name for split in choice.splits]
        recipe = choice.recipe and choice.recipe.to_json()
        yield repr([choice.package, splits, recipe, source_labels(choice.selection)]).encode()
        for archive in choice.selection.archives:
            yield _of_zip(archive.path, given_up)
        for folder in choice.selection.folders:
            yield _of_folder(folder.path, given_up)
        if choice.recipe and choice.recipe.crop and choice.bbox:
            yield _of_bytes(choice.bbox, given_up)


def _of_zip(path: Location, given_up: threading.Event) -> bytes:
    """A digest of the length of an archive, its directory and all that stands behind it."""
    with open_location(path) as source:
        told = str(source.size).encode()
        return _of_end(source, find_directory(source).start, told, given_up)


def _of_bytes(path: Location, given_up: threading.Event) -> bytes:
    with open_location(path) as source:
        return _of_end(source, 0, b"", given_up)


def _of_end(source: Source, first: int, told: bytes, given_up: threading.Event) -> bytes:
    digest = xxh3_128(told)
    for start in range(first, source.size, _BLOCK_BYTES):
        _heed(given_up)
        digest.update(source.read_at(start, min(_BLOCK_BYTES, source.size - start)))
    return digest.digest()


def _heed(given_up: threading.Event) -> None:
    if given_up.is_set():
        raise CancelledError


def _of_folder(path: Path, given_up: threading.Event) -> bytes:
    digest = xxh3_128()
    _heed(given_up)
    with os.scandir(path) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    for entry in listed:
        if entry.is_dir():
            told = _of_folder(Path(entry), given_up).hex()
        elif entry.is_file():
            found = entry.stat()
            told = f"{found.st_size} {found.st_mtime_ns}"
        else:
            told = "neither"
        digest.update(f"{len(os.fsencode(entry.name))} ".encode())
        digest.update(os.fsencode(entry.name) + f" {told}\n".encode())
    return digest.digest()
