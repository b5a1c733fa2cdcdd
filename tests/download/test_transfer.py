from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bioscan5m_hf.errors import DownloadFailed, FolderInUse, ForeignFolder, OutputError
from bioscan5m_hf.storage.retry import Patience
from conversion.download.partial import Expected, Partial
from conversion.download.transfer import RemoteFile, Stopped, Transfers
from tests.download.server import Handler, Server, cut_after, later, refuse

DATA = random.Random(0).randbytes(3_000_000)
MD5 = hashlib.md5(DATA).hexdigest()
IMPATIENT = Patience(attempts=3, pause=0.01, longest=5.0, timeout=5.0)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        server.site.files["a.zip"] = DATA
        yield server


@pytest.fixture
def transfers() -> Iterator[Transfers]:
    transfers = Transfers(IMPATIENT, "test")
    yield transfers
    transfers.close()


def remote(server: Server, expected: Expected | None = None) -> RemoteFile:
    return RemoteFile("a.zip", f"{server.url}a.zip", expected or Expected(len(DATA), "md5", MD5))


class Count:
    def __init__(self) -> None:
        self.total = 0

    def __call__(self, count: int) -> None:
        self.total += count


def fetch(
    transfers: Transfers, server: Server, folder: Path, expected: Expected | None = None
) -> int:
    count = Count()
    path = transfers.fetch(remote(server, expected), folder, count, folder)
    assert path.read_bytes() == DATA
    assert sorted(entry.name for entry in folder.iterdir()) == ["a.zip"]
    assert count.total == len(DATA)
    return count.total


def test_a_proved_file_comes_to_its_place_before_others_may_fetch_it(
    server: Server, transfers: Transfers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_folder: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("conversion.download.partial.sync_folder", interrupted)
    with pytest.raises(KeyboardInterrupt):
        transfers.fetch(remote(server), tmp_path / "parts", Count(), tmp_path)
    assert (tmp_path / "a.zip").read_bytes() == DATA
    # Whatever lies there is looked for by nobody.
    assert not [path for path in (tmp_path / "parts").iterdir() if path.stat().st_size > 1000]


def ranges(server: Server) -> list[str | None]:
    return [request.range for request in server.site.requests]


def test_a_file_is_fetched_whole(server: Server, transfers: Transfers, tmp_path: Path) -> None:
    fetch(transfers, server, tmp_path)
    assert ranges(server) == [None]


def test_a_cut_connection_is_taken_up_where_it_broke(
    server: Server, transfers: Transfers, tmp_path: Path
) -> None:
    server.site.faults = [cut_after(1_000_000), cut_after(500_000), cut_after(0)]
    fetch(transfers, server, tmp_path)
    assert ranges(server) == [None, "bytes=1000000-", "bytes=1500000-", "bytes=1500000-"]


def test_many_cuts_are_borne_while_each_brings_something(
    server: Server, transfers: Transfers, tmp_path: Path
) -> None:
    server.site.faults = [cut_after(100_000) for _ in range(12)]
    fetch(transfers, server, tmp_path)
    assert len(server.site.requests) == 13


def test_it_gives_up_after_cuts_that_bring_nothing_and_keeps_the_part(
    server: Server, transfers: Transfers, tmp_path: Path
) -> None:
    server.site.faults = [cut_after(1_000_000)] + [cut_after(0) for _ in range(2)]
    with pytest.raises(DownloadFailed, match="run the same command again"):
        transfers.fetch(remote(server), tmp_path, Count(), tmp_path)
    assert (tmp_path / "a.zip.part").stat().st_size == 1_000_000
    server.site.requests.clear()
    fetch(transfers, server, tmp_path)
    assert ranges(server) == ["bytes=1000000-"]


def test_a_server_without_ranges_begins_anew(
    server: Server, transfers: Transfers, tmp_path: Path
) -> None:
    server.site.ranges = False
    server.site.faults = [cut_after(2_000_000), cut_after(1_000_000)]
    fetch(transfers, server, tmp_path)
    assert ranges(server) == [None, "bytes=2000000-", "bytes=1000000-"]


def test_a_server_without_ranges_that_always_cuts_is_given_up(
    server: Server, transfers: Transfers, tmp_path: Path
) -> None:
    server.site.ranges = False
    server.site.faults = [cut_after(1_000_000) for _ in range(50)]
    with pytest.raises(DownloadFailed, match="3 times in a row"):
        transfers.fetch(remote(server), tmp_path, Count(), tmp_path)


def test_other_bytes_of_the_same_length_are_refused(
    server: Server, transfers: Transfers, tmp_path: Path
) -> None:
    server.site.files["a.zip"] = DATA[:-1] + bytes([DATA[-1] ^ 1])
    with pytest.raises(DownloadFailed, match=f"MD5 is .*, and {MD5} was expected"):
        transfers.fetch(remote(server), tmp_path, Count(), tmp_path)
    assert not (tmp_path / "a.zip").exists()
    assert (tmp_path / "a.zip.part").stat().st_size == 0
    # What came in one piece is not fetched again at once.
    assert len(server.site.requests) == 1


def test_a_damaged_part_costs_a_second_fetch_and_no_more(
    server: Server, transfers: Transfers, tmp_path: Path
) -> None:
    server.site.faults = [cut_after(1_000_000)] + [cut_after(0) for _ in range(2)]
    with pytest.raises(DownloadFailed):
        transfers.fetch(remote(server), tmp_path, Count(), tmp_path)
    part = tmp_path / "a.zip.part"
    part.write_bytes(b"\0" * 1_000_000)
    server.site.requests.clear()
    fetch(transfers, server, tmp_path)
    assert ranges(server) == ["bytes=1000000-", None]


@pytest.mark.parametrize("kept", [b"", b"{", b'{"expected": null}', b'{"validator": 3}'])
def test_a_part_without_a_good_note_is_not_trusted(
    server: Server, transfers: Transfers, tmp_path: Path, kept: bytes
) -> None:
    (tmp_path / "a.zip.part").write_bytes(DATA[:1000])
    (tmp_path / "a.zip.json").write_bytes(kept)
    fetch(transfers, server, tmp_path)
    assert ranges(server) == [None]


def test_a_part_longer_than_the_file_is_thrown_away(
    server: Server, transfers: Transfers, tmp_path: Path
) -> None:
    (tmp_path / "a.zip.part").write_bytes(DATA + b"more")
    fetch(transfers, server, tmp_path)


def test_a_whole_part_needs_no_request(
    server: Server, transfers: Transfers, tmp_path: Path
) -> None:
    server.site.faults = [cut_after(1_000_000)] + [cut_after(0) for _ in range(2)]
    with pytest.raises(DownloadFailed):
        transfers.fetch(remote(server), tmp_path, Count(), tmp_path)
    (tmp_path / "a.zip.part").write_bytes(DATA)
    server.site.requests.clear()
    fetch(transfers, server, tmp_path)
    assert ranges(server) == []


@pytest.mark.parametrize("heeds_if_range", [True, False])
def test_without_a_digest_a_changed_file_is_not_joined_to_the_old_part(
    server: Server, transfers: Transfers, tmp_path: Path, heeds_if_range: bool
) -> None:
    server.site.heeds_if_range = heeds_if_range
    expected = Expected(len(DATA))
    server.site.files["a.zip"], server.site.etag = bytes(len(DATA)), '"one"'
    server.site.faults = [cut_after(1_000_000)] + [cut_after(0) for _ in range(2)]
    with pytest.raises(DownloadFailed):
        transfers.fetch(remote(server, expected), tmp_path, Count(), tmp_path)
    server.site.files["a.zip"], server.site.etag = DATA, '"two"'
    fetch(transfers, server, tmp_path, expected)


def test_without_a_digest_an_unchanged_file_is_taken_up(
    server: Server, transfers: Transfers, tmp_path: Path
) -> None:
    server.site.etag = '"one"'
    server.site.faults = [cut_after(1_000_000)]
    fetch(transfers, server, tmp_path, Expected(len(DATA)))
    assert ranges(server) == [None, "bytes=1000000-"]


def test_a_file_of_another_length_is_refused_before_it_is_fetched(
    server: Server, transfers: Transfers, tmp_path: Path
) -> None:
    with pytest.raises(DownloadFailed, match="3,000,000 bytes there, and 2,999,999 were expected"):
        transfers.fetch(remote(server, Expected(2_999_999)), tmp_path, Count(), tmp_path)
    assert (tmp_path / "a.zip.part").stat().st_size == 0


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_refusal_is_told_at_once(
    server: Server, transfers: Transfers, tmp_path: Path, status: int
) -> None:
    server.site.faults = [refuse(status)]
    with pytest.raises(DownloadFailed, match=f"the server answers {status}"):
        transfers.fetch(remote(server), tmp_path, Count(), tmp_path)
    assert len(server.site.requests) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_passing_failure_is_borne(
    server: Server, transfers: Transfers, tmp_path: Path, status: int
) -> None:
    server.site.faults = [refuse(status), refuse(status)]
    fetch(transfers, server, tmp_path)


@pytest.mark.parametrize("as_date", [False, True])
def test_the_pause_that_a_server_asks_for_is_kept(
    server: Server, transfers: Transfers, tmp_path: Path, as_date: bool
) -> None:
    # A date has whole seconds, so two of them leave more than one to wait.
    server.site.faults = [refuse(429, Retry_After=later(2) if as_date else "1")]
    times: list[float] = []

    def note(_handler: Handler, _data: bytes) -> bool:
        times.append(time.monotonic())
        return False

    server.site.faults.append(note)
    before = time.monotonic()
    fetch(transfers, server, tmp_path)
    assert times[0] - before > 0.9


def test_a_pause_that_is_too_long_is_told(
    server: Server, transfers: Transfers, tmp_path: Path
) -> None:
    server.site.faults = [refuse(429, Retry_After="86400")]
    with pytest.raises(DownloadFailed, match="asks to wait 86,400 seconds"):
        transfers.fetch(remote(server), tmp_path, Count(), tmp_path)


def test_a_part_that_the_server_misplaces_is_not_used(
    server: Server, transfers: Transfers, tmp_path: Path
) -> None:
    def misplace(handler: Handler, data: bytes) -> bool:
        body = data[5:]
        headers = {"Content-Range": f"bytes 5-{len(data) - 1}/{len(data)}"}
        handler.answer(206, body[:0], headers)
        return True

    server.site.faults = [cut_after(1_000_000), misplace]
    fetch(transfers, server, tmp_path)
    assert ranges(server) == [None, "bytes=1000000-", None]


def test_nobody_there(transfers: Transfers, tmp_path: Path) -> None:
    with Server() as gone:
        pass
    with pytest.raises(DownloadFailed, match="failed 3 times"):
        transfers.fetch(remote(gone), tmp_path, Count(), tmp_path)


@pytest.mark.parametrize("url", ["nonsense", "ftp://example.org/a.zip", "http://a:b/a.zip"])
def test_no_address(transfers: Transfers, tmp_path: Path, url: str) -> None:
    with pytest.raises(DownloadFailed, match="is not an address"):
        transfers.fetch(RemoteFile("a.zip", url, Expected(3)), tmp_path, Count(), tmp_path)


@pytest.mark.parametrize("with_ranges", [True, False])
def test_the_length_is_asked_for(server: Server, transfers: Transfers, with_ranges: bool) -> None:
    server.site.ranges = with_ranges
    server.site.faults = [refuse(503)]
    assert transfers.length_of(remote(server)) == len(DATA)


def test_two_processes_do_not_fetch_the_same_file(
    server: Server, transfers: Transfers, tmp_path: Path
) -> None:
    held = Partial(tmp_path, tmp_path / "a.zip", "elsewhere", Expected(3))
    with held, pytest.raises(FolderInUse, match="another process is fetching this file"):
        transfers.fetch(remote(server), tmp_path, Count(), tmp_path)
    fetch(transfers, server, tmp_path)


def test_it_stops_when_told_even_in_a_pause(server: Server, tmp_path: Path) -> None:
    transfers = Transfers(Patience(pause=500.0), "test")
    server.site.faults = [refuse(503)]
    told: list[BaseException] = []

    def run() -> None:
        try:
            transfers.fetch(remote(server), tmp_path, Count(), tmp_path)
        except Stopped as stopped:
            told.append(stopped)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while not server.site.requests:
        time.sleep(0.01)
    transfers.stop()
    thread.join(20)
    transfers.close()
    assert told


FULL = """
import resource, sys
from pathlib import Path
from bioscan5m_hf.errors import OutputError
from conversion.download.partial import Expected
from bioscan5m_hf.storage.retry import Patience
from conversion.download.transfer import RemoteFile, Transfers

resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, resource.RLIM_INFINITY))
transfers = Transfers(Patience(), "test")
remote = RemoteFile("a.zip", sys.argv[1], Expected(3_000_000, "md5", sys.argv[2]))
try:
    transfers.fetch(remote, Path(sys.argv[3]), lambda count: None, Path(sys.argv[3]))
except OutputError as error:
    print(error)
"""


def test_a_disk_that_takes_no_more_keeps_what_has_come(
    server: Server, transfers: Transfers, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", FULL, f"{server.url}a.zip", MD5, str(tmp_path)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "cannot be written (File too large)" in told
    assert (tmp_path / "a.zip.part").stat().st_size == 1_500_000
    server.site.requests.clear()
    fetch(transfers, server, tmp_path)
    assert ranges(server) == ["bytes=1500000-"]


def test_parts_that_lead_elsewhere(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a.zip.part").write_text("the only copy")
    output = tmp_path / "out"
    output.mkdir()
    (output / "parts").symlink_to(elsewhere)
    with pytest.raises(ForeignFolder, match="is a link to"):
        Partial(output / "parts", output / "a.zip", "http://a", Expected(5))
    (output / "parts").unlink()
    (output / "parts").mkdir()
    (output / "parts" / "a.zip.part").symlink_to(elsewhere / "a.zip.part")
    with pytest.raises(OutputError, match="cannot be written"):
        Partial(output / "parts", output / "a.zip", "http://a", Expected(5))
    assert (elsewhere / "a.zip.part").read_text() == "the only copy"
