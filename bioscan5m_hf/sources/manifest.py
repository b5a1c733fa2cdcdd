"""Parse the manifest of a dataset folder, and check every type, name and path in it.

A manifest may come from a stranger. After these checks, its values can be used without further
checks.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from bioscan5m_hf.readers.formats import FORMATS, SUFFIXES
from bioscan5m_hf.schema.columns import RANKS, SPLITS
from bioscan5m_hf.schema.configurations import METADATA, PACKAGE_PATTERN
from bioscan5m_hf.storage.inside import require_inside

MANIFEST_NAME: Final = "manifest.json"
STATE_FOLDER: Final = ".bioscan5m"
"""The folder, in a dataset folder, that holds the state of an unfinished conversion."""
LOCK_NAME: Final = "lock"
BEGUN_NAME: Final = "begun"
UNFINISHED: Final = tuple(f"{STATE_FOLDER}/{name}" for name in (LOCK_NAME, BEGUN_NAME))
"""Files that exist from the beginning of a conversion to its end, locally and behind a URL."""

FORMAT_VERSION: Final = 3
MANIFEST_BYTES: Final = 32 << 20
"""The largest size of a manifest in bytes; a hundred thousand shards take half of it."""

SHARD_PATH: Final = re.compile(
    rf"(?P<configuration>{PACKAGE_PATTERN}|{METADATA})/"
    rf"(?P<split>{'|'.join(split.published for split in SPLITS)})-"
    r"(?P<index>[0-9]{5})-of-(?P<count>[0-9]{5})"
    rf"(?P<suffix>{'|'.join(map(re.escape, SUFFIXES))})"
)
"""The path of a shard in a dataset folder."""

_LARGEST: Final = 2**63 - 1

Check = Callable[[Any, str], None]
"""Raises ``ValueError`` if a value is wrong; the second argument is its path in the manifest."""


def parse_manifest(text: bytes) -> dict[str, Any]:
    """Parse a manifest.

    Returns:
        Its values: counts are whole numbers that are not negative, every path stays in the folder,
        and the path of every shard matches its configuration and split.

    Raises:
        ValueError: It is not a manifest, or has another format version; the message names the
            wrong value.
    """
    try:
        data: dict[str, Any] = json.loads(text)
    except RecursionError as error:
        raise ValueError("its values are nested too deep") from error
    if isinstance(data, dict) and (found := data.get("format_version")) != FORMAT_VERSION:
        raise ValueError(f"format version {found!r:.40} is not known")
    _MANIFEST(data, "")
    listed = [MANIFEST_NAME, *(file["path"] for file in data["extras"])]
    for configuration, splits in data["configurations"].items():
        if configuration not in data["source"]:
            raise ValueError(f"the source of {configuration} is missing")
        for split, files in splits.items():
            if configuration != METADATA and split not in data["source"][configuration]:
                raise ValueError(f"the source of {configuration}/{split} is missing")
            listed += [shard["path"] for shard in files["shards"]]
            for shard in files["shards"]:
                _check_place(shard["path"], configuration, split, data["format"])
    if len(set(listed)) < len(listed):
        twice = next(path for path, count in Counter(listed).items() if count > 1)
        raise ValueError(f"{twice!r} is listed twice")
    return data


def _check_place(path: str, configuration: str, split: str, form: str) -> None:
    match = SHARD_PATH.fullmatch(path)
    if (
        match is None
        or (match["configuration"], match["split"]) != (configuration, split)
        # The metadata configuration may be Parquet beside shards of another format.
        or (configuration != METADATA and SUFFIXES[match["suffix"]].name != form)
    ):
        raise ValueError(f"{path!r:.120} is no path of a shard of {configuration}/{split}")


def _refuse(value: object, where: str, wanted: str) -> ValueError:
    return ValueError(f"{where or 'it'} is {value!r:.60} and not {wanted}")


def _text(pattern: str, wanted: str) -> Check:
    compiled = re.compile(pattern)

    def check(value: Any, where: str) -> None:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            raise _refuse(value, where, wanted)

    return check


def _count(value: Any, where: str) -> None:
    if type(value) is not int or not 0 <= value <= _LARGEST:
        raise _refuse(value, where, "a count")


def _flag(value: Any, where: str) -> None:
    if type(value) is not bool:
        raise _refuse(value, where, "true or false")


def _path(value: Any, where: str) -> None:
    try:
        require_inside(value)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _or_null(check: Check) -> Check:
    def checked(value: Any, where: str) -> None:
        if value is not None:
            check(value, where)

    return checked


def _some(check: Check) -> Check:
    def checked(value: Any, where: str) -> None:
        check(value, where)
        if not value:
            raise _refuse(value, where, "something")

    return checked


def _list(check: Check) -> Check:
    def checked(value: Any, where: str) -> None:
        if not isinstance(value, list):
            raise _refuse(value, where, "a list")
        for number, item in enumerate(value):
            check(item, f"{where}[{number}]")

    return checked


def _map(key: Check, check: Check) -> Check:
    def checked(value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise _refuse(value, where, "an object")
        for name, item in value.items():
            key(name, f"a name in {where}")
            check(item, f"{where}.{name}")

    return checked


def _record(fields: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Check:
    known = {**fields, **(optional or {})}

    def checked(value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise _refuse(value, where, "an object")
        prefix = f"{where}." if where else ""
        if missing := [name for name in fields if name not in value]:
            raise ValueError(f"{prefix}{missing[0]} is missing")
        for name, item in value.items():
            if name not in known:
                raise ValueError(f"{prefix}{name!r:.60} is not known")
            known[name](item, f"{prefix}{name}")

    return checked


_LINE: Final = _text(r"[ -~]{1,200}", "a short text")
_NAME: Final = _text(r"[A-Za-z0-9_.-]{1,96}(/[A-Za-z0-9_.-]{1,96})?", "the name of a repository")
_REASON: Final = _text(r"[a-z][a-z0-9-]{0,60}", "a reason")
_SPLIT: Final = _text("|".join(split.published for split in SPLITS), "a published split")
_PACKAGE: Final = _text(PACKAGE_PATTERN, "a package")
_CONFIGURATION: Final = _text(f"{PACKAGE_PATTERN}|{METADATA}", "a configuration")
_FILE: Final = _record(
    {
        "path": _path,
        "rows": _count,
        "bytes": _count,
        "xxh3": _text(r"[0-9a-f]{32}", "a digest"),
    }
)
_FILES: Final = _record(
    {
        "rows": _count,
        "image_bytes": _count,
        "rejected": _count,
        "shard_bytes": _count,
        "shards": _some(_list(_FILE)),
    }
)
_SOURCE: Final = _record(
    {
        "files": _list(_text(r"[^\x00-\x1f\x7f-\x9f]{1,4096}", "a name")),
        "digest": _text(r"[0-9a-f]+", "a digest"),
    }
)
_RECIPE: Final = _record(
    {
        "package": _PACKAGE,
        "source": _PACKAGE,
        "crop": _flag,
        "short_side": _or_null(_count),
        "quality": _count,
        "filter": _or_null(_LINE),
    }
)
_DERIVED: Final = _record({"recipe": _RECIPE, "libraries": _map(_LINE, _list(_LINE))})
_SELECTION: Final = _record(
    {},
    {
        "where": _text(r"[^\x00-\x1f\x7f-\x9f]{1,100000}", "a condition"),
        "per_taxon": _text(
            rf"(?:{'|'.join(RANKS)}):[1-9][0-9]{{0,9}}:[1-9][0-9]{{0,9}}", "numbers of a rank"
        ),
        "sample": _count,
    },
)
_SAMPLES: Final = _record({"captions": _flag, "labels": _or_null(_text("|".join(RANKS), "a rank"))})
_MANIFEST: Final = _record(
    {
        "format_version": _count,
        "version": _LINE,
        "format": _text("|".join(FORMATS), f"one of {', '.join(FORMATS)}"),
        "name": _NAME,
        "libraries": _map(_LINE, _LINE),
        "configurations": _map(_CONFIGURATION, _some(_map(_SPLIT, _FILES))),
        "extras": _list(_FILE),
        "rejects": _map(_REASON, _count),
        "source": _map(_CONFIGURATION, _map(_LINE, _SOURCE)),
        "digest": _text(r"[0-9a-f]{64}", "a digest"),
    },
    {
        "derived": _map(_PACKAGE, _DERIVED),
        "selection": _SELECTION,
        "samples": _map(_PACKAGE, _SAMPLES),
    },
)
