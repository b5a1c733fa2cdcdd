"""``bioscan5m publish``: put a dataset folder on the Hub."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from conversion.cli.console import ConsoleReporter, make_console
from conversion.cli.parameters import Commands, add_command, add_quiet
from conversion.sizes import readable_size

if TYPE_CHECKING:
    from conversion.upload.publish import Comparison


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = add_command(
        commands,
        "publish",
        _run,
        "put a dataset folder on the Hub",
        [
            "bioscan5m publish bioscan-5m user/bioscan-5m --dry-run",
            "bioscan5m publish bioscan-5m user/bioscan-5m --private",
        ],
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="the dataset folder")
    parser.add_argument(
        "repository", metavar="REPO_ID", help="the dataset repository, as user/name"
    )
    parser.add_argument(
        "--private", action="store_true", help="others may not see it, if it is made now"
    )
    target = parser.add_mutually_exclusive_group()
    target.add_argument(
        "--revision", default="main", metavar="BRANCH", help="the branch (default: main)"
    )
    target.add_argument(
        "--create-pr", action="store_true", help="open a pull request instead of writing to main"
    )
    foreign = parser.add_mutually_exclusive_group()
    foreign.add_argument(
        "--keep-foreign",
        dest="foreign",
        action="store_const",
        const="keep",
        default="refuse",
        help="publish into a repository that holds other files, and leave them there",
    )
    foreign.add_argument(
        "--delete-foreign",
        dest="foreign",
        action="store_const",
        const="delete",
        help="delete what the folder does not have",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="only say what would be sent and removed"
    )
    add_quiet(parser)


def _run(options: argparse.Namespace) -> int:
    """Publish a dataset folder, or say what that would do."""
    from conversion.upload.publish import PublishOptions, plan_publication, publish

    asked = PublishOptions(
        folder=options.folder,
        repository=options.repository,
        private=options.private,
        revision=options.revision,
        create_pr=options.create_pr,
        foreign=options.foreign,
    )
    console = make_console()
    if options.dry_run:
        for line in _planned(plan_publication(asked)):
            console.print(line)
        return 0
    done = publish(asked, ConsoleReporter(quiet=options.quiet).say)
    console.print(
        f"{done.url}: {done.files:,} files, all as the manifest says; "
        f"{done.sent:,} put there now, {len(done.removed):,} removed, "
        f"{len(done.kept):,} others left alone"
    )
    return 0


def _planned(found: Comparison) -> list[str]:
    if found.commit is None:
        lines = ["the repository or the branch would be made"]
    else:
        lines = ["the repository is as the folder"] if found.is_equal else []
    lines += [f"send   {file.path} ({readable_size(file.bytes)})" for file in found.missing]
    lines += [f"remove {path}" for path in found.stale]
    lines += [f"leave  {path}" for path in found.foreign]
    if found.missing:
        lines.append(f"{len(found.missing):,} files, {readable_size(found.bytes)} at most")
    return lines
