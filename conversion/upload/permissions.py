"""Check whether a token may write to a repository, by the Hub's description of the token.

Only clear cases are refused here, before any work. In all other cases, the Hub decides when it
receives a request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_WRITE: Final = "repo.write"


def refusal_of(account: Mapping[str, Any], repository: str, *, request: bool) -> str | None:
    """Find the reason why a token may not write to a repository.

    Args:
        account: The Hub's answer to ``whoami``.
        repository: The name of the repository, ``user/name``.
        request: Whether only a pull request will be opened, which users without write access may
            do too.

    Returns:
        The reason as a phrase; ``None`` if there is no known reason.
    """
    user = str(account.get("name"))
    token = _mapping(_mapping(account.get("auth")).get("accessToken"))
    if token.get("role") == "read":
        return f"the token of {user} may only read"
    if request:
        return None
    if token.get("role") == "fineGrained":
        allowed = _WRITE in _permissions(token)
        return None if allowed else f"the token of {user} may not write to any repository"
    return _stranger(user, repository.partition("/")[0], account.get("orgs"))


def _stranger(user: str, owner: str, listed: object) -> str | None:
    """Find why a user may not write to an owner's repositories, if the Hub lists organisations."""
    if not isinstance(listed, list) or owner.casefold() == user.casefold():
        return None
    roles = {str(org.get("name")).casefold(): org.get("roleInOrg") for org in map(_mapping, listed)}
    if owner.casefold() not in roles:
        return f"{user} does not belong to {owner}"
    if roles[owner.casefold()] == "read":
        return f"{user} may only read what belongs to {owner}"
    return None


def _permissions(token: Mapping[str, Any]) -> set[str]:
    fine = _mapping(token.get("fineGrained"))
    scopes = fine.get("scoped")
    listed = [_mapping(scope).get("permissions") for scope in scopes or []]
    return {str(each) for found in (*listed, fine.get("global")) for each in found or []}


def _mapping(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else {}
