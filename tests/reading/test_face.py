"""What a user imports."""

from __future__ import annotations

import importlib.metadata
import inspect
import pydoc
import subprocess
import sys
from inspect import Parameter

import datasets
import pytest

import bioscan5m_hf
from bioscan5m_hf.load import Options, load_dataset


def test_the_exported_names() -> None:
    assert sorted(bioscan5m_hf.__all__) == [
        "Bioscan5M",
        "BioscanError",
        "Vocabulary",
        "get",
        "iter_images",
        "labels",
        "load_dataset",
    ]
    for name in bioscan5m_hf.__all__:
        found = getattr(bioscan5m_hf, name)
        assert name in dir(bioscan5m_hf)
        assert inspect.getdoc(found)
        assert "Args:" in (inspect.getdoc(found) or "") or inspect.isclass(found)


def test_importing_costs_little() -> None:
    code = (
        "import sys, bioscan5m_hf\n"
        "from bioscan5m_hf import load_dataset, BioscanError\n"
        "heavy = {'datasets', 'pandas', 'duckdb', 'PIL', 'torch', 'fsspec', 'conversion'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nothing_but_public_names_is_shown() -> None:
    assert sorted(dir(bioscan5m_hf)) == sorted([*bioscan5m_hf.__all__, "__version__"])
    assert bioscan5m_hf.__version__ == importlib.metadata.version("bioscan5m-hf")
    text = pydoc.plain(pydoc.render_doc(bioscan5m_hf))
    for name in bioscan5m_hf.__all__:
        assert name in text
    for private in ("TYPE_CHECKING", "_HOMES", "importlib"):
        assert private not in text


def test_every_option_is_declared_once_and_documented() -> None:
    parameters = inspect.signature(load_dataset).parameters
    kinds = {parameter.kind for parameter in parameters.values()}
    assert kinds == {Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY}
    named = [n for n, found in parameters.items() if found.kind is Parameter.KEYWORD_ONLY]
    assert list(parameters)[:4] == ["path", "name", "split", "streaming"]
    # What editors complete and type checkers check, the overloads, is the same.
    assert list(Options.__annotations__) == named
    for name, value in Options.__annotations__.items():
        assert parameters[name].annotation == getattr(value, "__forward_arg__", value)
    text = inspect.getdoc(load_dataset) or ""
    for name in parameters:
        assert f"\n    {name}: " in text


def test_each_option_of_datasets_has_its_name() -> None:
    theirs = set(inspect.signature(datasets.load_dataset).parameters)
    ours = set(inspect.signature(load_dataset).parameters)
    # A split is named, never its files.
    assert theirs - ours == {"data_files", "config_kwargs"}
    with pytest.raises(TypeError, match="clolumns"):
        load_dataset("nowhere", clolumns=["species"])  # type: ignore[call-overload]
