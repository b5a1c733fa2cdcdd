"""What people do wrong with a command line: one line names the thing and says what to do."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import Run


@pytest.fixture(scope="module")
def place(small_release: Path, tmp_path_factory: pytest.TempPathFactory, call: Run) -> Path:
    """A folder with a release, a dataset folder, an empty folder, a full one, and a csv."""
    place = tmp_path_factory.mktemp("mistakes")
    shutil.copytree(small_release, place / "release")
    call("convert", place / "release", place / "dataset", "--split", "val")
    (place / "empty").mkdir()
    (place / "full").mkdir()
    (place / "full" / "thesis.txt").write_text("years of work")
    (place / "table.csv").write_text("a,b\n1,2\n")
    return place


USAGE = [
    # The words themselves.
    ("convrt release out", "no command 'convrt'", "did you mean 'convert'?"),
    ("Convert release out", "no command 'Convert'", "did you mean 'convert'?"),
    ("convert-all", "no command 'convert-all'", "valid names: download, inspect"),
    ("convert release --ouput out", "no option --ouput", "did you mean --output?"),
    ("convert release out --Split val", "no option --Split", "did you mean --split?"),
    ("convert release out -x", "no option -x", "see --help"),
    ("convert release \u2013output out", "'\u2013output'", "write --output"),
    ("convert release \u2014\u2014output out", "\u2014\u2014output", "write --output"),
    ("--verison", "no option --verison", "did you mean --version?"),
    ("convert", "RELEASE is missing", "the folder that holds upstream's files"),
    ("verify", "DIR is missing", "the dataset folder"),
    ("download", "RELEASE is missing", "the folder to put it in"),
    ("publish dataset", "REPO_ID is missing", "as user/name"),
    ("show dataset", "PROCESSID is missing", "the specimen"),
    ("export dataset out.fasta", "--to is missing", "fasta, barcodebert"),
    ("convert release --output", "--output", "needs a value"),
    ("convert release out more words", "'more words'", "quote a name that has spaces"),
    ("convert release out -o other", "DIR is given twice", "other"),
    # The values.
    ("convert release out --split vall", "--split: there is no split 'vall'", "mean 'val'?"),
    ("convert release out --split val,tset", "no split 'tset'", "mean 'test'?"),
    ("convert release out --package croped_256", "no package 'croped_256'", "'cropped_256'"),
    ("convert release out --format arow", "--format: there is no format 'arow'", "'arrow'"),
    ("convert release out --format csv", "no format 'csv'", "parquet, arrow, webdataset"),
    ("convert release out --on-error skip", "--on-error", "valid names: stop, record"),
    ("convert release out --workers 0", "--workers: '0'", "write one such as 4"),
    ("convert release out --workers all", "--workers: 'all'", "write one such as 4"),
    ("convert release out --workers 99999999999", "--workers: 9999999999…", "smaller number"),
    ("convert release out --shard-size 500", "--shard-size: '500' has no unit", "write 500MB"),
    ("convert release out --shard-size big", "--shard-size: 'big'", "such as 500MB or 1GiB"),
    (f"convert release out --shard-size {'9' * 400}", "--shard-size", "more than any disk"),
    ("convert release --output=", "--output: the value is empty", "write DIR"),
    ("sample new -n -3", "--specimens: '-3'", "write one such as 4"),
    ("sample new --layout zips", "no layout 'zips'", "groups, full, parts, folder"),
    ("download new --from zendo", "no mirror 'zendo'", "did you mean 'zenodo'?"),
    # Options that need another, or none of another.
    ("convert release", "no output folder", "name one with --output"),
    ("convert release out --private", "--private needs --publish", "add --publish"),
    ("convert release out --short-side 128", "--short-side needs --derive", "add --derive"),
    ("convert release out --scratch 1GB", "--scratch needs --publish", "a URL"),
    ("convert release out --worker-timeout 9", "needs --scheduler", "add --scheduler"),
    ("convert release s3://b/o --publish u/n", "--publish needs an output on a disk", "--output"),
    ("convert release s3://b/o --scheduler tcp://h:1", "--scheduler needs an output", "share"),
    ("convert release out --publish name", "'name'", "user/name"),
    ("publish dataset name", "'name'", "user/name"),
    ("publish dataset u/n --create-pr --revision b", "pull request", "leave --revision out"),
    ("publish dataset u/n --keep-foreign --delete-foreign", "contradict", "only one"),
    ("convert release out --scheduler here", "'here' is not the address", "tcp://host:8786"),
]

DATA = [
    ("convert missing out", "missing", "give the folder"),
    ("inspect missing", "missing", "give the folder"),
    ("inspect empty", "empty", "expected zips such as"),
    ("convert empty out", "empty", "expected zips such as"),
    ("convert table.csv out", "table.csv", ""),
    ("convert release full", "full", "choose an empty or a new folder"),
    ("convert release release/out", "release/out", "beside the release"),
    ("convert release table.csv", "table.csv", ""),
    ("sample full", "full", "name a new folder"),
    ("demo full", "full", "--output"),
    ("verify missing", "missing", ""),
    ("verify empty", "empty", "make one with: bioscan5m convert"),
    ("verify release", "release", "make one with: bioscan5m convert"),
    ("card release", "release", "make one with: bioscan5m convert"),
    ("publish release user/name", "release", "make one with: bioscan5m convert"),
    ("verify dataset --release missing", "missing", "give the folder"),
    ("export missing out.fasta --to fasta", "missing", ""),
    ("show missing GMGMB061-20", "missing", ""),
    ("show release GMGMB061-20 --image table.csv", "table.csv", "choose another --image"),
    ("inspect release --findings full", "full", ""),
]


def one_line(call: Run, place: Path, words: str, status: int) -> tuple[str, list[str]]:
    """The line of an error, and what stands below it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        before = sorted(place.rglob("*"))
        done = call(*words.split(" "), status=status)
        assert sorted(place.rglob("*")) == before
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    # Notes may have come before.
    first = [line.startswith("bioscan5m: error: ") for line in lines].index(True)
    line, *rest = lines[first:]
    assert len(line) < 500
    return line, rest


@pytest.mark.parametrize(
    ("words", "named", "advice"), USAGE, ids=[words[:60] for words, *_ in USAGE]
)
def test_wrong_words(words: str, named: str, advice: str, place: Path, call: Run) -> None:
    line, rest = one_line(call, place, words, 2)
    assert named in line
    assert advice in line
    # Nothing else, or the usage of this very command.
    command = words.split(" ", maxsplit=1)[0]
    of_command = command in line or command not in {"convert", "publish", "verify", "sample"}
    assert not rest or (rest[0].startswith("Usage: bioscan5m") and rest[-1].endswith("--help"))
    assert not rest or of_command or f"bioscan5m {command}" in rest[0]


@pytest.mark.parametrize(("words", "named", "advice"), DATA, ids=[words for words, *_ in DATA])
def test_wrong_places(words: str, named: str, advice: str, place: Path, call: Run) -> None:
    line, rest = one_line(call, place, words, 1)
    assert named in line
    assert advice in line
    assert not rest
