"""Reads template.yaml (AWS SAM), the only list of functions: Handler, CodeUri, Timeout of each serverless function.

Follows the AWS Serverless Application Model, 2016-10-31: Globals.Function under each function's Properties.
Leaves out: intrinsic functions (!Ref, !Sub …), which are read over wherever no value of the four keys is made of them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from .errors import TemplateError

MAX_TEMPLATE: Final = 1024 * 1024  # bytes; CloudFormation's limit of a template in S3
DEFAULT_TIMEOUT: Final = 3.0  # seconds; SAM's default of Timeout
KIND: Final = "AWS::Serverless::Function"


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """One function of the template."""

    name: str
    """Its key under Resources."""
    handler: str
    """`package.module.attribute`."""
    code: Path
    """Folder of its code."""
    timeout: float
    """Seconds, for AWS; a round's own limit is the route's."""


@dataclass(frozen=True, slots=True)
class _Intrinsic:
    tag: str


class _Loader(yaml.SafeLoader):
    """Safe YAML, with CloudFormation's tags read as opaque marks."""


def _opaque(loader: _Loader, suffix: str, node: yaml.Node) -> _Intrinsic:
    return _Intrinsic(f"!{suffix}")


yaml.add_multi_constructor("!", _opaque, Loader=_Loader)


def read_template(path: Path) -> tuple[FunctionSpec, ...]:
    """The functions in the template's order. Raises TemplateError that names file and key."""
    try:
        text = path.read_bytes()
        if len(text) > MAX_TEMPLATE:
            raise TemplateError(f"{path}: {len(text)} bytes are more than {MAX_TEMPLATE}")
        root = yaml.load(text, Loader=_Loader)  # noqa: S506 (a SafeLoader)
    except OSError as error:
        raise TemplateError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise TemplateError(f"{path}: is no YAML: {error}") from error
    top = _mapping(path, "the template", root)
    defaults = _mapping(path, "Globals.Function", _mapping(path, "Globals", top.get("Globals")).get("Function"))
    found = []
    for name, resource in _mapping(path, "Resources", top.get("Resources")).items():
        if isinstance(resource, dict) and resource.get("Type") == KIND:
            key = f"Resources.{name}.Properties"
            found.append(_function(path, str(name), key, defaults | _mapping(path, key, resource.get("Properties"))))
    if not found:
        raise TemplateError(f"{path}: Resources has no {KIND}")
    return tuple(found)


def _function(path: Path, name: str, key: str, properties: dict[str, Any]) -> FunctionSpec:
    handler = _text(path, f"{key}.Handler", properties.get("Handler"))
    if not all(part.isidentifier() for part in handler.split(".")) or "." not in handler:
        raise TemplateError(f"{path}: {key}.Handler: {handler!r} is not module.function")
    code = (path.parent / _text(path, f"{key}.CodeUri", properties.get("CodeUri"))).resolve()
    if not code.is_dir():
        raise TemplateError(f"{path}: {key}.CodeUri: {code} is no folder")
    module = code.joinpath(*handler.split(".")[:-1])
    if not module.with_suffix(".py").is_file() and not (module / "__init__.py").is_file():
        raise TemplateError(f"{path}: {key}.Handler: {module}.py is not there")
    timeout = properties.get("Timeout", DEFAULT_TIMEOUT)
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout <= 900:
        raise TemplateError(f"{path}: {key}.Timeout: {timeout!r} is not above 0 and at most 900 seconds")
    return FunctionSpec(name, handler, code, float(timeout))


def _mapping(path: Path, key: str, value: object) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TemplateError(f"{path}: {key}: is no mapping")
    return value


def _text(path: Path, key: str, value: object) -> str:
    if isinstance(value, _Intrinsic):
        raise TemplateError(f"{path}: {key}: {value.tag} cannot be resolved here; write the value")
    if not isinstance(value, str) or not value:
        raise TemplateError(f"{path}: {key}: is missing" if value is None else f"{path}: {key}: is no text")
    return value
