"""Connect to the scheduler of a Dask cluster, or say why that is not possible."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from bioscan5m_hf.errors import ClusterError, MissingDependency

if TYPE_CHECKING:
    from distributed import Client

_CONNECT_SECONDS: Final = 5


def connect(address: str) -> Client:
    """Connect to a scheduler.

    Raises:
        MissingDependency: ``dask.distributed`` is not installed.
        ClusterError: No scheduler answers there within a few seconds.
    """
    try:
        import distributed
    except ImportError as error:
        raise MissingDependency(
            "--scheduler needs dask.distributed, which is not installed",
            fix="pip install 'bioscan5m-hf[cluster]'",
        ) from error
    _require_listener(address)
    try:
        kind = asyncio.run(_kind_of(address))
    # Another kind of server may answer, and its bytes may fail to parse with any of these errors.
    except (OSError, TypeError, ValueError, KeyError, MemoryError) as error:
        raise ClusterError(
            f"what listens there does not answer as a Dask scheduler ({_cause(error)})",
            where=address,
            fix="name the address that the scheduler shows when it starts",
        ) from error
    if kind != "Scheduler":
        raise ClusterError(
            f"is a Dask {kind.lower()}, not a scheduler",
            where=address,
            fix="name the address that the scheduler shows when it starts",
        )
    # ClusterPool reports a lost scheduler in one line. The client would log a traceback for each
    # attempt to reconnect.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    return distributed.Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)


def _cause(error: BaseException) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


async def _kind_of(address: str) -> str:
    """Return the type of a Dask server, with a timeout, as a ``Client`` may wait for ever."""
    from distributed.comm.core import connect
    from distributed.security import Security

    async with asyncio.timeout(_CONNECT_SECONDS):
        comm = await connect(
            address, timeout=_CONNECT_SECONDS, **Security().get_connection_args("client")
        )
        try:
            await comm.write({"op": "identity", "reply": True})
            return str((await comm.read())["type"])
        finally:
            comm.abort()


def _require_listener(address: str) -> None:
    """Check that a server listens there, without the retries of a ``Client``."""
    parts = urlsplit(address)
    try:
        socket.create_connection((parts.hostname, parts.port), timeout=_CONNECT_SECONDS).close()
    except OSError as error:
        raise ClusterError(
            f"no scheduler answers ({error.strerror or error})",
            where=address,
            fix="start one with: dask scheduler",
        ) from error
