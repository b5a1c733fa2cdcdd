"""Explain errors of the Hub and of the network, and what the user can do about them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from huggingface_hub.errors import (
    HfHubHTTPError,
    LocalTokenNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from bioscan5m_hf.errors import (
    BioscanError,
    HubUnreachable,
    NotPermitted,
    NotSignedIn,
    PublicationFailed,
    StorageExceeded,
)
from bioscan5m_hf.storage.retry import retry_after_seconds

# The base class of all errors of the HTTP library that the client uses.
_HTTP_ERROR: Final[type[Exception]] = HfHubHTTPError.__bases__[0]


@dataclass(frozen=True, slots=True)
class Explainer:
    """Turns errors of the Hub's client into this program's."""

    name: str
    url: str
    endpoint: str
    revision: str

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn errors that the client raises in the ``with`` block into this program's.

        Raises:
            PublicationFailed: The client raised an error; subclasses are raised where they fit.
        """
        try:
            yield
        except (_HTTP_ERROR, OSError, RuntimeError, ValueError) as error:
            raise self._explanation(error) from error
        except (LookupError, TypeError, AttributeError) as error:
            # The client does not check the Hub's answers; an unexpected one causes these errors.
            raise PublicationFailed(
                f"the Hub gave an answer that its client does not expect ({_named(error)})",
                where=self.url,
                fix="look at the repository first; a proxy or a mirror may have changed the answer",
            ) from error

    def _explanation(self, error: BaseException) -> BioscanError:
        if isinstance(error, LocalTokenNotFoundError):
            return NotSignedIn(
                "there is no token for the Hub",
                where=self.name,
                fix="sign in with: hf auth login, or set HF_TOKEN",
            )
        refusal = _refusal(error)
        if refusal is not None:
            return self._refused(refusal)
        cause = _transport_failure(error)
        if cause is not None:
            return HubUnreachable(
                f"the Hub cannot be reached ({_one_line(cause) or type(cause).__name__})",
                where=self.endpoint,
                fix=_GO_ON,
            )
        return PublicationFailed(_one_line(error), where=self.name)

    def _refused(self, refusal: HfHubHTTPError) -> BioscanError:
        said = _one_line(refusal.server_message or refusal)
        status = refusal.response.status_code
        if isinstance(refusal, RevisionNotFoundError):
            kind, found, fix = (
                PublicationFailed,
                f"the repository has no revision {self.revision!r}",
                "name a branch that it has",
            )
        elif isinstance(refusal, RepositoryNotFoundError):
            kind, found, fix = (
                PublicationFailed,
                "there is no such dataset repository, or the token may not see it",
                "check the name, and use a token of an account that may see it",
            )
        elif status in _TRANSIENT:
            kind, found, fix = (HubUnreachable, _TRANSIENT[status], _GO_ON)
        else:
            kind, found, fix = _REFUSALS.get(
                _FULL if _says_full(status, said) else status,
                (PublicationFailed, "the Hub refuses the request", "see its answer"),
            )
        return kind(f"{found} (status {status}: {said})", where=self.url, fix=fix)


_GO_ON: Final = "run the same command again: it goes on where it stopped"
_BUSY: Final = "the Hub fails"
_TRANSIENT: Final = {
    408: _BUSY,
    412: "somebody else has written to the repository meanwhile",
    429: "the Hub asks to slow down",
    500: _BUSY,
    502: _BUSY,
    503: _BUSY,
    504: _BUSY,
}
_FULL: Final = 507
_REFUSALS: Final[dict[int, tuple[type[PublicationFailed], str, str]]] = {
    401: (
        NotSignedIn,
        "the Hub does not accept the token",
        "sign in again with: hf auth login, or set another HF_TOKEN",
    ),
    403: (
        NotPermitted,
        "the token does not allow it",
        "use a token that may write to this repository",
    ),
    _FULL: (
        StorageExceeded,
        "the account has no room left on the Hub",
        "free some of the account's storage, or get more, and run the same command again",
    ),
}


def _says_full(status: int, said: str) -> bool:
    # The Hub also answers 403 if a quota is exceeded, and only the text shows the difference.
    names_storage = any(word in said.lower() for word in ("storage", "quota"))
    return status in (402, 413, _FULL) or (status == 403 and names_storage)


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _refusal(error: BaseException) -> HfHubHTTPError | None:
    return next((found for found in _causes(error) if isinstance(found, HfHubHTTPError)), None)


def _transport_failure(error: BaseException) -> BaseException | None:
    kinds = (_HTTP_ERROR, ConnectionError, TimeoutError)
    return next((found for found in _causes(error) if isinstance(found, kinds)), None)


def _named(error: BaseException) -> str:
    return f"there is no {error}" if isinstance(error, KeyError) else _one_line(error)


def _one_line(text: object) -> str:
    return " ".join(str(text).split())[:300]


def requested_wait(error: HubUnreachable) -> float | None:
    """The number of seconds that the Hub requested to wait, if any."""
    refusal = _refusal(error)
    return retry_after_seconds(refusal.response.headers.get("Retry-After")) if refusal else None
