"""The published schemas are what the dataclasses say."""

import dataclasses

import pytest

from cordboard.contract import commands, events, journal, schema


def test_schema_files_are_current() -> None:
    on_disk = {path.name: path.read_text(encoding="utf-8") for path in schema.SCHEMAS.glob("*.json")}
    assert on_disk == schema.generate(), "run: python -m cordboard.contract.schema"


KINDS: dict[str, type] = {
    kind.__name__: kind
    for kind in (*schema.ROOTS, *events.EVENTS.values(), *commands.COMMANDS.values(), *journal.LINES.values())
}


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_field_has_a_docstring_line(name: str) -> None:
    kind = KINDS[name]
    assert kind.__doc__
    docs = schema.field_docs(kind)
    assert [f.name for f in dataclasses.fields(kind) if not docs.get(f.name)] == []
