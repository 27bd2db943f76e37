"""JSON Schemas of the contract, generated from its dataclasses; `schemas/*.json` are kept current by a test."""

import ast
import dataclasses
import inspect
import json
import textwrap
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from . import call_record, commands, events, journal, records, webhooks

SCHEMAS = Path(__file__).parent / "schemas"
ROOTS = (records.Invocation, records.Answer, records.Description, call_record.DialogRecord, call_record.CallEnded,
         call_record.TimelineEntry, webhooks.WebhookInvocation, webhooks.WebhookAnswer)  # fmt: skip


def field_docs(kind: type) -> dict[str, str]:
    """The docstring line that follows each field."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(body, ast.ClassDef)
    docs: dict[str, str] = {}
    for item, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and isinstance(after, ast.Expr):
            value = after.value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                docs[item.target.id] = " ".join(value.value.split())
    return docs


def schema_of(kind: type) -> dict[str, Any]:
    """A self-contained JSON Schema (2020-12) of one dataclass."""
    definitions: dict[str, Any] = {}
    root = _dataclass(kind, definitions)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": kind.__name__, **root,
            "$defs": dict(sorted(definitions.items()))}  # fmt: skip


def table_of(kinds: Mapping[str, type]) -> dict[str, Any]:
    """Schemas by wire type."""
    return {name: schema_of(kinds[name]) for name in sorted(kinds)}


def generate() -> dict[str, str]:
    """File name → text of every schema file."""
    files = {_file_name(kind): schema_of(kind) for kind in ROOTS}
    files["events.json"] = table_of(events.EVENTS)
    files["commands.json"] = table_of(commands.COMMANDS)
    files["journal.json"] = table_of(journal.LINES)
    return {name: json.dumps(value, indent=1, ensure_ascii=False) + "\n" for name, value in files.items()}


def _file_name(kind: type) -> str:
    return "".join("_" + c.lower() if c.isupper() else c for c in kind.__name__).lstrip("_") + ".json"


def _dataclass(kind: type, definitions: dict[str, Any]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    docs = field_docs(kind)
    properties: dict[str, Any] = {}
    required = []
    for item in dataclasses.fields(kind):
        name = item.name.rstrip("_")
        properties[name] = {**type_schema(hints[item.name], definitions), "description": docs.get(item.name, "")}
        if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
            required.append(name)
    return {"type": "object", "description": " ".join((kind.__doc__ or "").split()), "properties": properties,
            "required": required, "additionalProperties": False}  # fmt: skip


def type_schema(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """JSON Schema of one annotation; dataclasses in it go into `definitions`. Raises KeyError for any other type."""
    origin = get_origin(kind)
    if kind is Any:
        return {}
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if kind.__name__ not in definitions:
            definitions[kind.__name__] = {}
            definitions[kind.__name__] = _dataclass(kind, definitions)
        return {"$ref": f"#/$defs/{kind.__name__}"}
    if origin is Literal:
        return {"enum": list(get_args(kind))}
    if origin in (Union, types.UnionType):
        return {"anyOf": [type_schema(member, definitions) for member in get_args(kind)]}
    if origin in (tuple, list):
        return {"type": "array", "items": type_schema(get_args(kind)[0], definitions)}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": type_schema(get_args(kind)[1], definitions)}
    names = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
    return {"type": names[kind]}


def write() -> None:
    """Write every schema file; run as `python -m cordboard.contract.schema`."""
    SCHEMAS.mkdir(exist_ok=True)
    for name, text in generate().items():
        (SCHEMAS / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
