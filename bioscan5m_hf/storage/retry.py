"""Retry what failed in passing: how often, and after how long, for every server and store."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

T = TypeVar("T")

PASSING_STATUSES: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers of HTTP servers that may be others a moment later."""


@dataclass(frozen=True, slots=True)
class Patience:
    """The attempts and the time that a server is given.

    Attributes:
        attempts: How often in a row it may fail without any progress.
        pause: Seconds before the second attempt; doubled before each further one.
        longest: The longest pause in seconds, also where the server asks for one.
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
    """Try until it is done, or has failed too often without progress.

    Args:
        attempt: What to do; it may be done more than once.
        passing: Whether an error may not happen again: the seconds that the other side asks to
            wait, zero if it asks for nothing; ``None`` for an error that stays.
        patience: How often to try, and how long to wait.
        progressed: Whether the last attempt came farther than those before it.
        sleep: Waits for some seconds; ``time.sleep`` by default.

    Raises:
        Exception: What the last attempt raised, as it is.
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


def seconds_asked(retry_after: str | None) -> float:
    """How many seconds a server asks to wait."""
    text = (retry_after or "").strip()
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return 0.0
