"""What a user imports."""

from __future__ import annotations

import inspect
import subprocess
import sys

import bioscan5m_hf


def test_the_exported_names() -> None:
    assert sorted(bioscan5m_hf.__all__) == [
        "Bioscan5M",
        "BioscanError",
        "Vocabulary",
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


def test_help_shows_the_options() -> None:
    text = inspect.getdoc(bioscan5m_hf.load_dataset) or ""
    for option in ("where", "columns", "class_labels", "max_nucleotides", "unique_barcodes"):
        assert f"``{option}``" in text
