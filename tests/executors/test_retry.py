"""Which shards are made again, and when the run gives up."""

from __future__ import annotations

from concurrent.futures import BrokenExecutor, Future
from dataclasses import dataclass, field

import pytest

from bioscan5m_hf.errors import ConversionFailed, ImageError
from conversion.executors.base import Pool, WorkerLost
from conversion.executors.retry import run_shards
from conversion.planning.shards import Shard
from conversion.planning.tasks import ShardTask
from conversion.shards.build import ShardResult

TASKS = [
    ShardTask(Shard("a", "train", n, 3, n, n + 1), "out", "parquet", "", "", (), (), False, ())
    for n in range(3)
]


@dataclass
class Scripted(Pool):
    """Does what it is told for each attempt at each shard; by default it makes the shard."""

    script: dict[int, list[BaseException]] = field(default_factory=dict)
    refusals: int = 0
    replaced: int = 0
    size: int = 3
    workers: int = 3

    def submit(self, task: ShardTask) -> Future[ShardResult]:
        if self.refusals:
            self.refusals -= 1
            raise BrokenExecutor
        future: Future[ShardResult] = Future()
        if errors := self.script.get(task.shard.index):
            future.set_exception(errors.pop(0))
        else:
            future.set_result(ShardResult(task.shard, 1, 1, None))
        return future

    def images_done(self) -> int:
        return 0

    def replace(self) -> None:
        self.replaced += 1

    def stop(self) -> None: ...


def made(pool: Scripted) -> list[int]:
    return sorted(result.shard.index for result in run_shards(TASKS, pool))


@pytest.mark.parametrize("error", [ValueError("odd"), WorkerLost("a worker was lost")])
def test_what_fails_once_is_made_again(error: Exception) -> None:
    assert made(Scripted({1: [error]})) == [0, 1, 2]


def test_what_fails_twice_ends_the_run_with_its_name_and_cause() -> None:
    errors: list[BaseException] = [WorkerLost("a worker"), ValueError("odd")]
    with pytest.raises(ConversionFailed, match=r"00001-of-.*failed 2 times, .*ValueError: odd"):
        made(Scripted({1: errors}))


def test_flawed_data_are_not_tried_again_but_what_is_made_is_kept() -> None:
    results = run_shards(TASKS, Scripted({0: [ImageError("flawed")]}))
    assert {next(results).shard.index, next(results).shard.index} == {1, 2}
    with pytest.raises(ImageError, match="flawed"):
        next(results)


def test_a_pool_that_broke_is_replaced_and_what_was_finished_is_kept() -> None:
    pool = Scripted({1: [BrokenExecutor()]})
    assert made(pool) == [0, 1, 2]
    assert pool.replaced == 1


def test_workers_that_die_before_they_have_work_end_the_run_in_time() -> None:
    assert made(Scripted(refusals=3)) == [0, 1, 2]
    with pytest.raises(ConversionFailed, match="died 4 times before they had work"):
        made(Scripted(refusals=4))
