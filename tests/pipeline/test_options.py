"""The declaration of what ``convert`` may be asked, and what is derived from it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bioscan5m_hf.errors import UsageError
from bioscan5m_hf.release.remote import locate_release
from bioscan5m_hf.schema.columns import split_named
from conversion.cli.commands.convert import run as convert_command
from conversion.pipeline.inputs import choose
from conversion.pipeline.option import Effect, PerTaxon
from conversion.pipeline.options import ConvertOptions, convert_options, effects
from conversion.pipeline.up_to_date import fingerprint
from conversion.synthetic.options import SampleOptions
from conversion.synthetic.release import write_sample
from tests.conftest import make_once

DERIVED: dict[str, Any] = {"derive": "", "packages": ("cropped",), "short_side": 64}

# For each field what else is asked for, and a value that is not the one before.
OTHERS: dict[str, tuple[Mapping[str, Any], Any]] = {
    "release": ({}, "another"),
    "output": ({}, Path("elsewhere")),
    "workers": ({}, 3),
    "packages": ({}, ("original_full",)),
    "splits": ({}, (split_named("val"),)),
    "shard_bytes": ({}, 1_000_000),
    "format": ({}, "arrow"),
    "min_shards": ({}, 2),
    "captions": ({"format": "webdataset"}, True),
    "labels": ({"format": "webdataset"}, "family"),
    "record": ({}, True),
    "subset": ({}, True),
    "where": ({}, "order = Diptera"),
    "per_taxon": ({"per_taxon": PerTaxon("family", 1, 2)}, PerTaxon("family", 1, 3)),
    "sample": ({"sample": 8}, 9),
    "restart": ({}, True),
    "name": ({}, "user/name"),
    "private": ({"name": "user/name"}, True),
    "scratch": ({"name": "user/name"}, 1_000_000),
    "derive": (DERIVED, "original_full"),
    "short_side": (DERIVED, 65),
    "read_ahead": ({}, 1_000_000),
    "scheduler": ({}, "tcp://host:1"),
    "worker_timeout": ({"scheduler": "tcp://host:1"}, 9),
}


def two_packages(seed: int, root: Path) -> None:
    packages = ("original_full", "cropped")
    write_sample(SampleOptions(root, 16, seed=seed, workers=1, distinct=2, packages=packages))


@pytest.fixture(scope="module")
def releases(shared: Path) -> dict[str, Path]:
    return {
        name: make_once(shared / f"options-{name}", partial(two_packages, seed))
        for seed, name in enumerate(("one", "another"), 70)
    }


def told(options: ConvertOptions) -> str | None:
    release = locate_release(options.release)
    return fingerprint(options, release.metadata, choose(options, release))


@pytest.mark.parametrize("name", [field.name for field in fields(ConvertOptions)])
def test_what_changes_the_files_changes_the_fingerprint(
    name: str, releases: dict[str, Path]
) -> None:
    given, other = OTHERS[name]
    before = ConvertOptions(releases["one"], Path("out"), **given)
    change: dict[str, Any] = {name: releases[other] if name == "release" else other}
    after = replace(before, **change)
    assert before != after
    assert told(before) is not None
    assert (told(before) == told(after)) == (effects()[name] is Effect.NONE)


def test_every_field_says_how_people_ask_for_it() -> None:
    assert list(convert_options()) == [field.name for field in fields(ConvertOptions)]
    flags = [flag for option in convert_options().values() for flag in option.flags]
    assert len(flags) == len(set(flags))
    assert all(option.flags or option.position for option in convert_options().values())
    needed = {flag for option in convert_options().values() for flag in option.needs}
    assert needed <= set(flags)


def test_the_command_line_has_every_field_and_nothing_else() -> None:
    common = {"token", "json", "quiet", "verbose", "log", "dry_run"}
    asked = {parameter.name or "" for parameter in convert_command.params}
    fields_asked = {name.removesuffix("_by_position") for name in asked} - common
    assert fields_asked == {field.name for field in fields(ConvertOptions)}


def test_defaults_are_shown_as_they_are() -> None:
    declared = inspect.signature(ConvertOptions).parameters
    for name, option in convert_options().items():
        default = declared[name].default
        if option.shown and option.metavar and default not in (None, (), inspect.Parameter.empty):
            assert option.read(option.shown) == default


@pytest.mark.parametrize(
    ("address", "read"),
    [
        ("host:8786", "tcp://host:8786"),
        ("tcp://10.0.0.1:8786", "tcp://10.0.0.1:8786"),
        ("tls://[::1]:8786", "tls://[::1]:8786"),
    ],
)
def test_the_address_of_a_scheduler(address: str, read: str) -> None:
    assert convert_options()["scheduler"].read(address) == read


@pytest.mark.parametrize("address", ["host", "tcp://host", "tcp://:8786", "tcp://a:b", "ftp://a:1"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(
        UsageError, match="is not the address of a scheduler; name one such as tcp://"
    ):
        convert_options()["scheduler"].read(address)
