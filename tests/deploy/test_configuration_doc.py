"""The configuration reference says what settings.py says."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_configuration_reference_is_current() -> None:
    spec = importlib.util.spec_from_file_location("configuration_doc", ROOT / "deploy" / "configuration_doc.py")
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    assert (ROOT / "docs" / "configuration.md").read_text() == generator.render(), "run `make docs`"
