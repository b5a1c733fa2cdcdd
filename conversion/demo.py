"""Run all steps on a small synthetic release: sample, convert, verify and load."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bioscan5m_hf.errors import ForeignFolder, VerificationFailed, counted
from bioscan5m_hf.schema.configurations import DEFAULT_PACKAGE, package_names
from bioscan5m_hf.storage.inside import remove_tree
from conversion.card.readme import SHEET
from conversion.cli.console import Terminal, make_table
from conversion.files.atomic import write_whole
from conversion.pipeline.convert import convert
from conversion.pipeline.options import ConvertOptions
from conversion.synthetic.options import SampleOptions
from conversion.synthetic.release import write_sample
from conversion.verify.folder import VerifyOptions, verify

if TYPE_CHECKING:
    from datasets import Dataset

_SPECIMENS: Final = 400
_SHOWN: Final = ("processid", "order", "family", "dna_bin", "country", "split")
_MARK: Final = ".bioscan5m-demo"
_RELEASE, _DATASET, _CACHE = _MADE = ("release", "bioscan-5m", "cache")


def demo(folder: Path, *, workers: int, terminal: Terminal) -> None:
    """Run all steps, and show the results.

    Raises:
        ForeignFolder: The folder holds something other than a demo.
        VerificationFailed: The dataset folder differs from its manifest.
    """
    _prepare(folder)
    release, dataset = folder / _RELEASE, folder / _DATASET

    terminal.show(f"1. bioscan5m sample {release} -n {_SPECIMENS}")
    write_sample(SampleOptions(release, _SPECIMENS, workers=workers), terminal)

    terminal.show(f"2. bioscan5m convert {release} --output {dataset}")
    summary = convert(ConvertOptions(release, dataset, workers), terminal)

    terminal.show(f"3. bioscan5m verify {dataset}")
    _, findings = verify(VerifyOptions(dataset, workers), terminal)
    if findings:
        raise VerificationFailed(
            f"{counted(len(findings), 'difference')}, the first: {findings[0]}", where=str(dataset)
        )
    shards = sum(1 for _ in summary.manifest.files())
    terminal.show(
        f"   {len(package_names())} packages, {shards} shards, everything matches the manifest"
    )

    terminal.show(f'4. load_dataset("{dataset}", "{DEFAULT_PACKAGE}", split="train")')
    _show(_load(dataset, folder / _CACHE), terminal)
    terminal.show(f"Specimens at a glance: {(dataset / SHEET).resolve()}")
    terminal.show(f"In Python, from {folder.resolve()}:")
    terminal.show(
        '    from datasets import load_dataset\n    load_dataset("bioscan-5m", "cropped_256")'
    )


def _prepare(folder: Path) -> None:
    """Make the folder; an existing one must be empty or hold an earlier demo."""
    earlier = (folder / _MARK).exists()
    if folder.exists() and not earlier and (not folder.is_dir() or any(folder.iterdir())):
        raise ForeignFolder(
            "the folder holds something other than an earlier demo",
            where=str(folder),
            fix="choose another with --output",
        )
    for name in _MADE:
        remove_tree(folder, name)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / _MARK, b"")


def _load(dataset: Path, cache: Path) -> Dataset:
    # Progress bars of ``datasets`` would break the layout of the results.
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    from datasets import load_dataset

    return load_dataset(str(dataset), DEFAULT_PACKAGE, split="train", cache_dir=str(cache))


def _show(rows: Dataset, terminal: Terminal) -> None:
    first = rows.select(range(min(5, len(rows))))
    table = [
        [*(str(row[name] or "") for name in _SHOWN), "{} x {}".format(*row["image"].size)]
        for row in first
    ]
    terminal.show(make_table(counted(len(rows), "row"), (*_SHOWN, "image"), table))
