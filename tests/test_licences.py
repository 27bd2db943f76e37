"""Everything that a Cordboard installs may be used under its licence: the lock file against a list of licences."""

import re
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
ALLOWED = ("Apache", "BSD", "MIT", "ISC", "PSF", "Python Software Foundation", "LGPL", "MPL")
"""Licences that an Apache-2.0 program may depend on; LGPL (soxr's library) as a separate, replaceable wheel."""


def locked(name: str) -> list[str]:
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    return re.findall(r"^([a-z0-9._-]+)==", text, re.MULTILINE)


@pytest.mark.parametrize("package", locked("runtime.txt"))
def test_the_licence_of_a_runtime_package_is_allowed(package: str) -> None:
    found: Any = metadata(package)
    texts = [found.get("License-Expression") or "", (found.get("License") or "")[:200]]
    texts += [c for c in found.get_all("Classifier") or () if c.startswith("License ::")]
    assert any(word in text for text in texts for word in ALLOWED), (package, texts)
    assert not any("GPL" in text and "LGPL" not in text and "Lesser" not in text for text in texts), (package, texts)


def test_lock_files_name_no_index() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text(encoding="utf-8")
        assert "--index-url" not in text
        assert "--extra-index-url" not in text
        assert "--find-links" not in text
        assert "file://" not in text


def test_every_dependency_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for block in re.findall(r"^(?:dependencies|dev) = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL):
        for line in block.strip("\n").splitlines():
            assert re.search(r'^\s+"[^"]+",\s+# \S', line), line
