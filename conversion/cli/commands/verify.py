"""``bioscan5m verify``: verify a dataset folder against its manifest."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bioscan5m_hf.errors import VerificationFailed, counted
from bioscan5m_hf.processors import processors
from bioscan5m_hf.storage.path import Location, location_of
from conversion.cli.command import command
from conversion.cli.parameters import FOLDER, RELEASE, WORKERS, switch

if TYPE_CHECKING:
    from conversion.cli.console import Terminal


@command(
    "verify",
    [
        "bioscan5m verify bioscan-5m",
        "bioscan5m verify bioscan-5m --release RELEASE --images",
        "bioscan5m verify s3://bucket/bioscan-5m",
    ],
    {
        "folder": replace(FOLDER, help="the dataset folder, or its URL", read=location_of),
        "release": replace(
            RELEASE,
            flags=("--release",),
            help="compare every image and every value with this release too; a folder or a URL",
            position=False,
            required=False,
        ),
        "images": switch("--images", "decode every image too"),
        "workers": WORKERS,
    },
    json=True,
    token=True,
)
def run(
    terminal: Terminal,
    *,
    folder: Location,
    release: Location | None,
    images: bool,
    workers: int | None,
) -> int:
    """Verify a dataset folder, and show every difference."""
    from conversion.sizes import readable_size
    from conversion.verify.folder import VerifyOptions, verify
    from conversion.verify.shard import Undecodable

    asked = VerifyOptions(folder, workers or processors(), release, images)
    manifest, findings = verify(asked, terminal)
    files = list(manifest.files())
    rows, size = sum(file.rows for file in files), sum(file.bytes for file in files)
    terminal.document(
        {
            "folder": str(folder),
            "shards": len(files),
            "rows": rows,
            "bytes": size,
            "differences": findings,
        }
    )
    terminal.show(*findings)
    undecodable = sum(isinstance(finding, Undecodable) for finding in findings)
    if findings and undecodable == len(findings):
        raise VerificationFailed(
            f"everything matches the manifest, but {counted(undecodable, 'image')} cannot be "
            "decoded",
            where=str(folder),
            fix="the release has them like this: compare with --release, and download its archive "
            "again",
        )
    if findings:
        raise VerificationFailed(
            f"{counted(len(findings), 'difference')} from the manifest"
            f"{' or the release' if release else ''}",
            where=str(folder),
            fix="run the same convert command again: it makes damaged or missing files again",
        )
    terminal.show(
        f"{folder}: {counted(len(files), 'shard')}, {counted(rows, 'row')}, "
        f"{readable_size(size)}: "
        "everything matches the manifest"
    )
    return 0
