"""``bioscan5m publish``: put a dataset folder on the Hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bioscan5m_hf.errors import UsageError, counted
from conversion.cli.command import command
from conversion.cli.parameters import DRY_RUN, FOLDER, switch
from conversion.pipeline.option import Option
from conversion.sizes import readable_size

if TYPE_CHECKING:
    from conversion.cli.console import Terminal
    from conversion.upload.comparison import Comparison


@command(
    "publish",
    [
        "bioscan5m publish bioscan-5m user/bioscan-5m --dry-run",
        "bioscan5m publish bioscan-5m user/bioscan-5m --private",
    ],
    {
        "folder": FOLDER,
        "repository": Option(
            (), "the dataset repository, as user/name", "REPO_ID", position=True, required=True
        ),
        "private": switch("--private", "make the repository private, if it does not exist yet"),
        "revision": Option(("--revision",), "the branch", "BRANCH", shown="main"),
        "create_pr": switch("--create-pr", "open a pull request instead of writing to main"),
        "keep_foreign": switch(
            "--keep-foreign",
            "publish into a repository that holds other files, and leave them there",
        ),
        "delete_foreign": switch(
            "--delete-foreign", "delete files of the repository that the folder does not have"
        ),
        "dry_run": DRY_RUN,
    },
    json=True,
    token=True,
)
def run(
    terminal: Terminal,
    *,
    folder: Path,
    repository: str,
    private: bool,
    revision: str | None,
    create_pr: bool,
    keep_foreign: bool,
    delete_foreign: bool,
    dry_run: bool,
) -> int:
    """Publish a dataset folder, or show what that would do."""
    from conversion.upload.publish import PublishOptions, plan_publication, publish

    if keep_foreign and delete_foreign:
        raise UsageError(
            "--keep-foreign and --delete-foreign contradict each other", fix="give only one of them"
        )
    if create_pr and revision:
        raise UsageError("a pull request is always opened against main", fix="leave --revision out")
    asked = PublishOptions(
        folder=folder,
        repository=repository,
        private=private,
        revision=revision or "main",
        create_pr=create_pr,
        foreign="delete" if delete_foreign else "keep" if keep_foreign else "refuse",
    )
    if dry_run:
        found = plan_publication(asked)
        terminal.document(
            {
                "made": found.commit is None,
                "send": [{"path": file.path, "bytes": file.bytes} for file in found.missing],
                "remove": list(found.stale),
                "leave": list(found.foreign),
            }
        )
        terminal.show(*_planned(found))
        return 0
    done = publish(asked, terminal)
    terminal.document(
        {
            "url": done.url,
            "files": done.files,
            "sent": done.sent,
            "removed": list(done.removed),
            "left": list(done.kept),
        }
    )
    terminal.show(
        f"{done.url}: {counted(done.files, 'file')}, everything matches the manifest; "
        f"{done.sent:,} uploaded now, {len(done.removed):,} removed, "
        f"{len(done.kept):,} other files left alone"
    )
    return 0


def _planned(found: Comparison) -> list[str]:
    if found.commit is None:
        lines = ["the repository or the branch would be made"]
    else:
        lines = ["the repository matches the folder"] if found.is_equal else []
    lines += [f"send   {file.path} ({readable_size(file.bytes)})" for file in found.missing]
    lines += [f"remove {path}" for path in found.stale]
    lines += [f"leave  {path}" for path in found.foreign]
    if found.missing:
        lines.append(f"{counted(len(found.missing), 'file')}, {readable_size(found.bytes)} at most")
    return lines
