"""``bioscan5m convert``: convert a release into a dataset folder."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bioscan5m_hf.errors import counted
from bioscan5m_hf.schema.configurations import DEFAULT_PACKAGE, METADATA
from bioscan5m_hf.storage.path import Location, RemotePath
from conversion.cli.command import command
from conversion.cli.parameters import DRY_RUN
from conversion.pipeline.options import ConvertOptions, convert_options
from conversion.pipeline.together import check_together
from conversion.sizes import readable_size

if TYPE_CHECKING:
    from rich.table import Table

    from conversion.cli.console import Terminal
    from conversion.folder.manifest import Manifest
    from conversion.pipeline.outcome import Summary


@command(
    "convert",
    [
        "bioscan5m convert RELEASE bioscan-5m --package cropped_256 --dry-run",
        "bioscan5m convert RELEASE bioscan-5m --package cropped_256",
        "bioscan5m convert RELEASE bioscan-5m --split val,test",
        "bioscan5m convert hf://datasets/user/raw bioscan-5m --read-ahead 1GB",
        "bioscan5m convert RELEASE --publish user/bioscan-5m --scratch 20GB",
        "bioscan5m convert RELEASE s3://bucket/bioscan-5m",
        "bioscan5m convert RELEASE bioscan-5m --package cropped_256 --derive",
    ],
    convert_options()
    | {
        "dry_run": replace(
            DRY_RUN,
            help="only show what would be written, the disk and memory it needs, and about how "
            "long it takes",
        ),
    },
    json=True,
    token=True,
)
def run(terminal: Terminal, *, dry_run: bool, **values: Any) -> int:
    """Convert a release, and show what was or would be written."""
    given = {name: value for name, value in values.items() if value not in (None, (), False)}
    output: Location | None = given.pop("output", None)
    check_together(given, output)
    if output is None:
        # Imported here, because only this needs the Hub's library, which takes long to import.
        from conversion.upload.hub import check_repository_name

        output = Path(check_repository_name(given["name"]).partition("/")[2])
    asked = ConvertOptions(output=Path() if isinstance(output, RemotePath) else output, **given)
    if dry_run:
        # Imported here, because only a dry run needs it.
        from conversion.cli.dry_run import show_preview
        from conversion.preview.preview import preview

        if asked.name:
            from conversion.upload.rolling import open_repository

            open_repository(asked, private=asked.private)
        away = isinstance(output, RemotePath)
        show_preview(terminal, preview(asked, terminal, away=away), output, asked.format)
        return 0
    summary, url = _convert(terminal, asked, output)
    terminal.document(_document(summary, output, url))
    terminal.place(url or str(output))
    _show_summary(terminal, summary, output)
    _show_next(terminal, summary.manifest, output, url)
    return 0


def _convert(
    terminal: Terminal, asked: ConvertOptions, output: Location
) -> tuple[Summary, str | None]:
    """Convert; return the result, and the URL that it was published at."""
    if isinstance(output, RemotePath):
        # Imported here, because only this needs the drivers of stores.
        from conversion.upload.sending import convert_to_url

        return convert_to_url(asked, output, terminal, scratch=asked.scratch), None
    if asked.name is None:
        from conversion.pipeline.convert import convert

        return convert(asked, terminal), None
    from conversion.upload.rolling import convert_and_publish

    summary, published = convert_and_publish(
        asked, terminal, private=asked.private, scratch=asked.scratch
    )
    return summary, published.url


def _show_summary(terminal: Terminal, summary: Summary, output: Location) -> None:
    from conversion.cli.console import make_table

    terminal.show(_written_table(summary.manifest, output))
    terminal.show(f"{counted(summary.made, 'shard')} made, {_kept(summary):,} already there")
    if summary.strays:
        terminal.show(f"{summary.strays:,} other files in the archives were ignored")
    if left_out := _left_out(summary):
        from conversion.rejects import REJECTS_NAME

        rows = [(reason, f"{count:,}") for reason, count in left_out.items()]
        title = f"Left out, and recorded in {output / REJECTS_NAME}"
        terminal.show(make_table(title, ("reason", "count"), rows, right=1))


def _kept(summary: Summary) -> int:
    held = sum(len(o.splits[split].shards) for o in summary.outcomes for split in o.splits)
    return held - summary.made


def _left_out(summary: Summary) -> dict[str, int]:
    counts = Counter(f.reason for o in summary.outcomes for f in o.findings)
    counts += Counter(finding.reason for finding in summary.bad_rows)
    return dict(sorted(counts.items()))


def _show_next(terminal: Terminal, manifest: Manifest, output: Location, url: str | None) -> None:
    """Show what the user can do with the dataset folder next."""
    packages = list(manifest.packages)
    package = DEFAULT_PACKAGE if DEFAULT_PACKAGE in packages else packages[0]
    split = next(iter(manifest.splits[package]))
    if url:
        terminal.show(url)
    place = manifest.name if url else str(output)
    terminal.show(f'In Python: load_dataset({place!r}, "{package}", split="{split}")')
    if not url and isinstance(output, Path):
        terminal.show(f"On the Hub: bioscan5m publish {output} USER/{output.resolve().name}")


def _document(summary: Summary, output: Location, url: str | None) -> dict[str, Any]:
    manifest = summary.manifest
    return {
        "output": str(output),
        "published": url,
        "format": manifest.format,
        "configurations": {
            name: {
                split: {
                    "specimens": files.rows,
                    "left_out": files.rejected,
                    "shards": len(files.shards),
                    "bytes": sum(shard.bytes for shard in files.shards),
                }
                for split, files in manifest.splits[name].items()
            }
            for name in (*manifest.packages, METADATA)
        },
        "shards_made": summary.made,
        "shards_kept": _kept(summary),
        "left_out": _left_out(summary),
        "strays": summary.strays,
    }


def _written_table(manifest: Manifest, output: Location) -> Table:
    from conversion.cli.console import make_table

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
