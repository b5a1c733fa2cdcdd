"""How often and after how long something is tried again, by a clock of the test's own."""

from __future__ import annotations

import email.utils
import time

import pytest

from bioscan5m_hf.storage.retry import Patience, persist, retry_after_seconds


class Busy(Exception):
    def __init__(self, wait: float = 0.0) -> None:
        super().__init__(wait)
        self.wait = wait


def passing(error: Exception) -> float | None:
    return error.wait if isinstance(error, Busy) else None


class Trial:
    """Fails in turn with what it is given, then succeeds."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.slept: list[float] = []

    def __call__(self) -> str:
        if self.failures:
            raise self.failures.pop(0)
        return "done"

    def persist(self, patience: Patience, *progress: bool) -> str:
        told = iter(progress)
        return persist(
            self,
            passing,
            patience,
            progressed=lambda: next(told, False),
            sleep=self.slept.append,
        )


def test_pauses_double_up_to_the_longest() -> None:
    trial = Trial(*[Busy() for _ in range(4)])
    assert trial.persist(Patience(attempts=5, pause=1.0, longest=3.0)) == "done"
    assert trial.slept == [1.0, 2.0, 3.0, 3.0]


def test_the_last_failure_is_raised_as_it_is() -> None:
    last = Busy()
    with pytest.raises(Busy) as caught:
        Trial(Busy(), Busy(), last).persist(Patience(attempts=3))
    assert caught.value is last


def test_what_does_not_pass_is_not_tried_again() -> None:
    trial = Trial(ValueError("wrong"))
    with pytest.raises(ValueError, match="wrong"):
        trial.persist(Patience())
    assert not trial.slept


def test_progress_begins_the_count_anew() -> None:
    trial = Trial(*[Busy() for _ in range(6)])
    trial.persist(Patience(attempts=2, pause=1.0), True, True, True, True, True, True)
    assert trial.slept == [1.0] * 6


def test_a_server_is_given_the_time_that_it_asks_for_within_limits() -> None:
    trial = Trial(Busy(7.0))
    trial.persist(Patience(longest=10.0))
    assert trial.slept == [7.0]
    with pytest.raises(Busy):
        Trial(Busy(11.0)).persist(Patience(longest=10.0))


def test_what_servers_ask_for() -> None:
    assert retry_after_seconds("120") == 120
    assert retry_after_seconds(None) == retry_after_seconds("soon") == 0
    date = email.utils.formatdate(time.time() + 100, usegmt=True)
    assert 90 < retry_after_seconds(date) <= 100
    assert retry_after_seconds(email.utils.formatdate(0, usegmt=True)) == 0
