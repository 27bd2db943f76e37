"""Reads template.yaml (AWS SAM), the only list of functions, as written or as `sam build` leaves it.

Follows the AWS Serverless Application Model, 2016-10-31: Globals.Function under each function's Properties.
Of each function: Handler, CodeUri, Timeout, the variables that are plain text, and the layers of the same template
that are built (a folder `python/` stands in them). Leaves out: what only AWS can say (!Sub, !GetAtt, {{resolve:…}},
layers by ARN), which is read over in variables and layers, and an error in the other keys.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from .errors import TemplateError

MAX_TEMPLATE: Final = 1024 * 1024  # bytes; CloudFormation's limit of a template in S3
DEFAULT_TIMEOUT: Final = 3.0  # seconds; SAM's default of Timeout
KIND: Final = "AWS::Serverless::Function"
_LAYERS: Final = ("AWS::Serverless::LayerVersion", "AWS::Lambda::LayerVersion")


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
    command: tuple[str, ...] = ()
    """A program that polls the Runtime API itself, and its arguments; empty: awslambdaric runs `handler`."""
    layers: tuple[Path, ...] = ()
    """Folders of modules, searched after `code` and before all others."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Of its environment."""


@dataclass(frozen=True, slots=True)
class _Intrinsic:
    tag: str
    value: str
    """What a scalar says, as the name in !Ref."""


class _Loader(yaml.SafeLoader):
    """Safe YAML, with CloudFormation's tags read as opaque marks."""


def _opaque(loader: _Loader, suffix: str, node: yaml.Node) -> _Intrinsic:
    return _Intrinsic(f"!{suffix}", str(node.value) if isinstance(node, yaml.ScalarNode) else "")


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
    resources = _mapping(path, "Resources", top.get("Resources"))
    layers = _built_layers(path, resources)
    found = []
    for name, resource in resources.items():
        if isinstance(resource, dict) and resource.get("Type") == KIND:
            key = f"Resources.{name}.Properties"
            own = _mapping(path, key, resource.get("Properties"))
            properties = defaults | own
            listed = _list(path, f"{key}.Layers", defaults.get("Layers")) + _list(
                path, f"{key}.Layers", own.get("Layers")
            )
            variables = _variables(path, "Globals.Function", defaults) | _variables(path, key, own)
            on_path = tuple(layers[each] for each in map(_reference, listed) if each in layers)
            found.append(_function(path, str(name), key, properties, on_path, variables))
    if not found:
        raise TemplateError(f"{path}: Resources has no {KIND}")
    return tuple(found)


def _built_layers(path: Path, resources: dict[str, Any]) -> dict[str, Path]:
    """Logical id → folder of modules; a layer that is not built has none, and its modules are the host's."""
    found = {}
    for name, resource in resources.items():
        if isinstance(resource, dict) and resource.get("Type") in _LAYERS:
            properties = _mapping(path, f"Resources.{name}.Properties", resource.get("Properties"))
            content = properties.get("ContentUri", properties.get("Content"))
            if isinstance(content, str) and (path.parent / content / "python").is_dir():
                found[str(name)] = (path.parent / content / "python").resolve()
    return found


def _reference(value: object) -> str:
    """The logical id in !Ref; empty for anything else."""
    if isinstance(value, dict):
        return str(value["Ref"]) if value.keys() == {"Ref"} else ""
    return value.value if isinstance(value, _Intrinsic) and value.tag == "!Ref" else ""


def _variables(path: Path, at: str, properties: dict[str, Any]) -> dict[str, str]:
    """Those that say here what they say on AWS."""
    environment = _mapping(path, f"{at}.Environment", properties.get("Environment"))
    given = _mapping(path, f"{at}.Environment.Variables", environment.get("Variables"))
    plain = {str(name): str(value) for name, value in given.items() if isinstance(value, str | int | float)}
    return {name: value for name, value in plain.items() if "{{resolve:" not in value}


def _function(
    path: Path, name: str, key: str, properties: dict[str, Any], layers: tuple[Path, ...], variables: dict[str, str]
) -> FunctionSpec:
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
    return FunctionSpec(name, handler, code, float(timeout), layers=layers, variables=variables)


def _mapping(path: Path, key: str, value: object) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TemplateError(f"{path}: {key}: is no mapping")
    return value


def _list(path: Path, key: str, value: object) -> list[object]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise TemplateError(f"{path}: {key}: is no list")
    return value


def _text(path: Path, key: str, value: object) -> str:
    if isinstance(value, dict):
        raise TemplateError(f"{path}: {key}: {next(iter(value), '{}')} cannot be resolved here; write the value")
    if isinstance(value, _Intrinsic):
        raise TemplateError(f"{path}: {key}: {value.tag} cannot be resolved here; write the value")
    if not isinstance(value, str) or not value:
        raise TemplateError(f"{path}: {key}: is missing" if value is None else f"{path}: {key}: is no text")
    return value
