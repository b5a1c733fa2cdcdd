"""``bioscan5m verify``: prove a dataset folder against its manifest."""

from __future__ import annotations

import argparse

from bioscan5m_hf.errors import VerificationFailed
from bioscan5m_hf.storage.path import location_of
from conversion.cli.console import make_console
from conversion.cli.parameters import Commands, add_command, add_workers
from conversion.sizes import readable_size
from conversion.verify.folder import VerifyOptions, verify
from conversion.verify.shard import Undecodable


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = add_command(
        commands,
        "verify",
        _run,
        "prove a dataset folder against its manifest",
        [
            "bioscan5m verify bioscan-5m",
            "bioscan5m verify bioscan-5m --release RELEASE --images",
            "bioscan5m verify s3://bucket/bioscan-5m",
        ],
    )
    parser.add_argument(
        "folder", type=location_of, metavar="DIR", help="the dataset folder, or its URL"
    )
    parser.add_argument(
        "--release",
        type=location_of,
        metavar="RELEASE",
        help="compare every image and every value with this release too; a folder or a URL",
    )
    parser.add_argument("--images", action="store_true", help="decode every image too")
    add_workers(parser)


def _run(options: argparse.Namespace) -> int:
    """Prove a dataset folder; every difference is printed."""
    manifest, findings = verify(
        VerifyOptions(options.folder, options.workers, options.release, options.images)
    )
    console = make_console()
    for finding in findings:
        console.print(finding)
    undecodable = sum(isinstance(finding, Undecodable) for finding in findings)
    if findings and undecodable == len(findings):
        raise VerificationFailed(
            f"all is as the manifest says, but {undecodable} images cannot be decoded",
            where=str(options.folder),
            fix="they came so from the release: compare with --release, and get its archive again",
        )
    if findings:
        raise VerificationFailed(
            f"{len(findings)} differences from the manifest",
            where=str(options.folder),
            fix="run the same convert command again: it makes anew what is damaged or missing",
        )
    files = list(manifest.files())
    console.print(
        f"{options.folder}: {len(files):,} shards, {sum(file.rows for file in files):,} rows, "
        f"{readable_size(sum(file.bytes for file in files))}: all as the manifest says"
    )
    return 0
