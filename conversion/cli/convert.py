"""``bioscan5m convert``: convert a release into a dataset folder."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from bioscan5m_hf.errors import UsageError
from bioscan5m_hf.folder import format_named
from bioscan5m_hf.manifest import SUFFIXES
from bioscan5m_hf.processors import processors
from bioscan5m_hf.schema.configurations import METADATA, package_named
from bioscan5m_hf.storage.path import Location, RemotePath, location_of
from conversion.cli.console import ConsoleReporter, make_console, make_table
from conversion.cli.parameters import (
    Commands,
    add_command,
    add_packages,
    add_quiet,
    add_release,
    add_splits,
    count,
    packages,
    size,
    splits,
)
from conversion.pipeline.convert import DEFAULT_SHARD_BYTES, ConvertOptions, convert
from conversion.sizes import readable_size

if TYPE_CHECKING:
    from rich.table import Table

    from conversion.executors.dask import ClusterOptions
    from conversion.folder.manifest import Manifest
    from conversion.pipeline.result import Summary


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = add_command(
        commands,
        "convert",
        _run,
        "convert a release into a dataset folder",
        [
            "bioscan5m convert RELEASE --output bioscan-5m --package cropped_256",
            "bioscan5m convert RELEASE --output bioscan-5m --split val --split test",
            "bioscan5m convert hf://datasets/user/raw --output bioscan-5m --read-ahead 1GB",
            "bioscan5m convert RELEASE --publish user/bioscan-5m --scratch 20GB",
            "bioscan5m convert RELEASE --output s3://bucket/bioscan-5m",
            "bioscan5m convert RELEASE --output bioscan-5m --package cropped_256 --derive",
        ],
    )
    add_release(parser)
    parser.add_argument(
        "--output",
        type=location_of,
        metavar="DIR",
        help="the dataset folder to write, or its URL, such as s3://bucket/bioscan-5m (with "
        "--publish by default ./ and the repository's name)",
    )
    add_packages(parser)
    add_splits(parser)
    parser.add_argument(
        "--shard-size",
        type=size,
        default=DEFAULT_SHARD_BYTES,
        metavar="SIZE",
        help="what a shard should have at most, such as 500MB (the default) or 1GiB",
    )
    parser.add_argument(
        "--read-ahead",
        type=size,
        metavar="SIZE",
        help="how many bytes of a release behind a URL are held at a time, by all workers "
        "together (default: 512MiB for each worker); with less, more is fetched twice",
    )
    parser.add_argument(
        "--format",
        default="parquet",
        metavar="NAME",
        help=f"the format of the shards (default: parquet; {', '.join(SUFFIXES.values())})",
    )
    parser.add_argument(
        "--on-error",
        choices=("stop", "record"),
        default="stop",
        help="at a flawed image or row: stop (the default), or leave it out and record it in "
        "rejects.parquet",
    )
    parser.add_argument(
        "--subset",
        action="store_true",
        help="the release is a selection on purpose: leave out specimens without an image, and "
        "pass over images without a specimen (damaged images and rows are errors still)",
    )
    parser.add_argument(
        "--restart",
        action="store_true",
        help="make anew what was made from other input or with other options",
    )
    parser.add_argument(
        "--publish",
        metavar="REPO_ID",
        help="publish to this dataset repository, as user/name, when all is made",
    )
    parser.add_argument(
        "--scratch",
        type=size,
        metavar="SIZE",
        help="with --publish, or where the output is a URL: send each shard when it is made and "
        "free it, so that no more than SIZE lies on the disk",
    )
    parser.add_argument(
        "--private", action="store_true", help="with --publish: others may not see it"
    )
    parser.add_argument(
        "--derive",
        nargs="?",
        const="",
        metavar="FROM",
        help="make the packages from another one of the release: cropped, original_256 and "
        "cropped_256 (from cropped, or from original_full and the boxes, unless FROM says which)",
    )
    parser.add_argument(
        "--short-side",
        type=count,
        metavar="N",
        help="with --derive and --package cropped or original: resize to N pixels, as the "
        "configuration cropped_N or original_N",
    )
    parser.add_argument(
        "--workers",
        type=count,
        metavar="N",
        help="how many shards are made at a time (default: one for each processor that may be "
        "used, or for each thread of the cluster)",
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="make the shards on the Dask cluster of this scheduler, such as tcp://host:8786; "
        "release and output must lie where its workers see them",
    )
    parser.add_argument(
        "--worker-timeout",
        type=count,
        default=60,
        metavar="SECONDS",
        help="with --scheduler: how long to wait for a worker where there is none (default: 60)",
    )
    add_quiet(parser)


def _run(options: argparse.Namespace) -> int:
    """Convert a release, and show what was written."""
    format_named(options.format)
    output = _output(options)
    asked = ConvertOptions(
        release=options.release,
        output=Path() if isinstance(output, RemotePath) else output,
        workers=options.workers if options.workers and not options.scheduler else processors(),
        packages=packages(options),
        splits=splits(options),
        shard_bytes=options.shard_size,
        format=options.format,
        record=options.on_error == "record",
        subset=options.subset,
        restart=options.restart,
        name=options.publish,
        derive=options.derive is not None,
        derive_from=package_named(options.derive).name if options.derive else None,
        short_side=options.short_side,
        cluster=_cluster(options),
        read_ahead=options.read_ahead,
    )
    reporter = ConsoleReporter(quiet=options.quiet)
    if isinstance(output, RemotePath):
        # Nobody else needs the drivers of stores.
        from conversion.upload.sending import convert_to_url

        summary = convert_to_url(asked, output, reporter, scratch=options.scratch)
        _show_summary(summary, output)
        return 0
    if options.publish is None:
        _show_summary(convert(asked, reporter), output)
        return 0
    # Nobody else needs the Hub's library, which takes long to import.
    from conversion.upload.rolling import convert_and_publish

    summary, published = convert_and_publish(
        asked, reporter, private=options.private, scratch=options.scratch
    )
    _show_summary(summary, output)
    make_console().print(f"{published.url}: {published.files:,} files")
    return 0


def _output(options: argparse.Namespace) -> Location:
    output: Location | None = options.output
    if isinstance(output, RemotePath):
        if options.publish or options.private:
            raise UsageError(
                "what is published lies in a local folder meanwhile",
                where=str(output),
                fix="leave out --output, or --publish and --private",
            )
        return output
    if options.publish is None and (options.scratch or options.private):
        raise UsageError("--scratch and --private go with --publish", fix="say where to publish")
    if output:
        return output
    if options.publish is None:
        raise UsageError("there is no folder to write", fix="name one with --output")
    from conversion.upload.hub import check_repository_name

    return Path(check_repository_name(options.publish).partition("/")[2])


def _cluster(options: argparse.Namespace) -> ClusterOptions | None:
    if options.scheduler is None:
        return None
    from conversion.executors.dask import ClusterOptions

    return ClusterOptions(options.scheduler, options.workers, options.worker_timeout)


def _show_summary(summary: Summary, output: Location) -> None:
    console = make_console()
    manifest = summary.manifest
    console.print(_written_table(manifest, output))
    held = sum(len(o.splits[split].shards) for o in summary.outcomes for split in o.splits)
    console.print(f"{summary.made} shards made, {held - summary.made} were there already")
    if summary.strays:
        console.print(f"{summary.strays:,} other files in the archives were passed over")
    left_out = Counter(f.reason for o in summary.outcomes for f in o.findings)
    left_out += Counter(finding.reason for finding in summary.bad_rows)
    if left_out:
        from conversion.rejects import REJECTS_NAME

        rows = [(reason, f"{count:,}") for reason, count in sorted(left_out.items())]
        title = f"Left out, and recorded in {output / REJECTS_NAME}"
        console.print(make_table(title, ("reason", "count"), rows, right=1))


def _written_table(manifest: Manifest, output: Location) -> Table:
    rows = [
        (
            configuration,
            split,
            f"{files.rows:,}",
            f"{files.rejected:,}",
            f"{len(files.shards):,}",
            readable_size(sum(shard.bytes for shard in files.shards)),
        )
        for configuration in (*manifest.packages, METADATA)
        for split, files in manifest.splits[configuration].items()
    ]
    head = ("configuration", "split", "specimens", "left out", "shards", "size")
    return make_table(str(output), head, rows, right=4)
