"""Remember that this process was asked to end, until somebody heeds it.

Python raises ``KeyboardInterrupt`` wherever it is, and a library that is just being imported may
swallow it: then the command would go on as if nobody had asked.
"""

from __future__ import annotations

import threading
from typing import Final

asked: Final[list[int]] = []
"""The signals that came."""


def heed() -> None:
    """Interrupt the command if that was asked for; for places that a command passes now and then.

    Raises:
        KeyboardInterrupt: It was.
    """
    if asked and threading.current_thread() is threading.main_thread():
        raise KeyboardInterrupt
