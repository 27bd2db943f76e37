"""The pytest plugin: the fixture `edge`. It finds template.yaml from the test's folder upwards, to the root of pytest.

Imports the simulator only where a test asks for it, so that other tests of a project do not pay for it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .edge import Edge

TEMPLATE = "template.yaml"


def find_template(start: Path, root: Path) -> Path:
    """The nearest template from a folder upwards, not above `root`. Raises pytest's usage error where there is none."""
    folder = start
    while True:
        if (folder / TEMPLATE).is_file():
            return folder / TEMPLATE
        if folder == root or folder.parent == folder:
            break
        folder = folder.parent
    if (root / TEMPLATE).is_file():
        return root / TEMPLATE
    raise pytest.UsageError(f"the fixture edge needs a {TEMPLATE}; there is none from {start} up to {root}")


@pytest.fixture
def edge(request: pytest.FixtureRequest) -> "Iterator[Edge]":
    """A whole edge in virtual time, with the functions of template.yaml; every call is checked at the test's end.

    Parametrize indirectly with a scenario's name where the template has several.
    """
    from .edge import Edge

    template = find_template(request.path.parent, request.config.rootpath)
    made = Edge(template, scenario=getattr(request, "param", None))
    try:
        yield made
        made.verify()
    finally:
        made.close()
