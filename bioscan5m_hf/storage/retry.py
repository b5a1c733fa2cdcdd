"""Retry requests after retryable errors, with one policy for every server and store."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

T = TypeVar("T")

PASSING_STATUSES: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses that are retryable."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long to retry.

    Attributes:
        attempts: After so many attempts in a row without progress, the error is raised.
        pause: Seconds before the second attempt; doubled before each further attempt.
        longest: The longest pause in seconds; if the server requests more, the error is raised.
        timeout: Seconds without an answer, or without a byte, that count as a failure.
    """

    attempts: int = 4
    pause: float = 0.5
    longest: float = 60.0
    timeout: float = 60.0


def persist(
    attempt: Callable[[], T],
    passing: Callable[[Exception], float | None],
    patience: Patience,
    *,
    progressed: Callable[[], bool] = lambda: False,
    sleep: Callable[[float], object] | None = None,
) -> T:
    """Call a function until it succeeds, or has failed too often without progress.

    Args:
        attempt: The function; it may be called more than once.
        passing: Gives the seconds that the server requests before a retry, 0 if it requests no
            pause; ``None`` if the error is not retryable.
        patience: How often to try, and how long to wait.
        progressed: Whether the last attempt made progress.
        sleep: Waits for some seconds; ``time.sleep`` by default.

    Raises:
        Exception: The error of the last attempt, unchanged.
    """
    failures = 0
    while True:
        try:
            return attempt()
        except Exception as error:
            asked = passing(error)
            failures = 1 if progressed() else failures + 1
            if asked is None or failures >= patience.attempts or asked > patience.longest:
                raise
            wait = max(asked, patience.pause * 2 ** (failures - 1))
        (sleep or time.sleep)(min(wait, patience.longest))


def retry_after_seconds(retry_after: str | None) -> float:
    """The seconds to wait that a ``Retry-After`` header requests; 0 without such a header."""
    text = (retry_after or "").strip()
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return 0.0
