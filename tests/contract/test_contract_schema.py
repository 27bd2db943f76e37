"""The published schemas are what the dataclasses say."""

import dataclasses

import pytest

from cordboard.contract import commands, events, schema


def test_schema_files_are_current() -> None:
    on_disk = {path.name: path.read_text(encoding="utf-8") for path in schema.SCHEMAS.glob("*.json")}
    assert on_disk == schema.generate(), "run: python -m cordboard.contract.schema"


KINDS: set[type] = {*schema.ROOTS, *events.EVENTS.values(), *commands.COMMANDS.values()}


def name_of(kind: type) -> str:
    return kind.__name__


@pytest.mark.parametrize("kind", sorted(KINDS, key=name_of))
def test_every_field_has_a_docstring_line(kind: type) -> None:
    assert kind.__doc__
    docs = schema.field_docs(kind)
    assert [f.name for f in dataclasses.fields(kind) if not docs.get(f.name)] == []
