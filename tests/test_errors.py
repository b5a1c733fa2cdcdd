from __future__ import annotations

import pickle

import pytest

from bioscan5m_hf import errors


def every_error() -> list[type[errors.BioscanError]]:
    found: list[type[errors.BioscanError]] = [errors.BioscanError]
    for kind in found:
        found += kind.__subclasses__()
    return found


@pytest.mark.parametrize("kind", every_error())
def test_an_error_crosses_processes_whole(kind: type[errors.BioscanError]) -> None:
    error = kind("is damaged", where="a.zip: b.jpg", fix="download it again")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == str(error) == "a.zip: b.jpg: is damaged; download it again"


def test_the_tree_is_drawn_whole() -> None:
    assert errors.__doc__ is not None
    for kind in every_error():
        assert kind.__name__ in errors.__doc__


def test_only_wrong_usage_has_status_2() -> None:
    for kind in every_error():
        assert kind.exit_status == (2 if issubclass(kind, errors.UsageError) else 1)


def test_tokens_are_hidden_and_names_of_variables_are_not() -> None:
    told = "HF_HUB_OFFLINE or HF_DATASETS_OFFLINE"
    assert str(errors.BioscanError(told)) == told
    assert str(errors.BioscanError("got hf_abcdefghijKL")) == "got ***"
