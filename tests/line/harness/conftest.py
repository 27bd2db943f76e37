"""What several of these files need."""

from __future__ import annotations

from pathlib import Path

import pytest

from .real_agent import agent_python


@pytest.fixture(scope="session")
def python() -> Path:
    """The Python of an environment with the locked SDK, or the one that CORDBOARD_AGENT_PYTHON names."""
    return agent_python()
