"""Whoever is told how a conversion goes."""

from __future__ import annotations

from typing import Protocol


class Reporter(Protocol):
    """Told how a conversion goes."""

    def say(self, text: str) -> None:
        """Something that the user should know."""
        ...

    def begin(self, images: int, done: int) -> None:
        """So many images are going to be converted, of which some are done."""
        ...

    def reached(self, images: int) -> None:
        """So many of those that were not done are done now."""
        ...

    def end(self) -> None:
        """All are done."""
        ...
