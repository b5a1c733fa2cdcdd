"""Check that the given options of a conversion are compatible."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bioscan5m_hf.errors import UsageError
from bioscan5m_hf.storage.path import Location, RemotePath
from conversion.pipeline.options import convert_options

_OF_SAMPLES: Final = "webdataset"


def check_together(given: Mapping[str, object], output: Location | None) -> None:
    """Check that the given options are compatible.

    Raises:
        UsageError: They are not.
    """
    declared = convert_options()
    if isinstance(output, RemotePath):
        for name, why in _LOCAL_ONLY.items():
            if name in given:
                flag = declared[name].flags[0]
                raise UsageError(
                    f"{flag} needs an output on a disk: {why}",
                    where=str(output),
                    fix=f"name a folder with --output, or leave {flag} out",
                )
    elif "scratch" in given and "name" not in given:
        raise UsageError(
            "--scratch needs --publish, or an output that is a URL",
            fix="say where to send the shards, or leave --scratch out",
        )
    if given.get("format") != _OF_SAMPLES:
        for name in ("captions", "labels"):
            if name in given:
                flag = declared[name].flags[0]
                raise UsageError(
                    f"{flag} needs --format {_OF_SAMPLES}",
                    fix=f"add --format {_OF_SAMPLES}, or leave {flag} out",
                )
    if output is None and "name" not in given:
        raise UsageError("no output folder is given", fix="name one with --output")


_LOCAL_ONLY: Final = {
    "name": "the shards lie in a local folder until they are published",
    "scheduler": "the workers of a cluster write to a shared file system",
}
"""Fields that cannot be given if the output is a URL, and why."""
