"""The configuration for a verb: `--config`, else ./cordboard.toml if it is there, else the defaults."""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

from cordboard.cli.errors import USAGE, CliError
from cordboard.config.error import ConfigError
from cordboard.config.load import load
from cordboard.config.model import Config


def config_path(args: argparse.Namespace) -> Path | None:
    """The file to read; None: there is none."""
    given: Path | None = args.config
    if given is not None:
        return given
    usual = Path("cordboard.toml")
    return usual if usual.exists() else None


def read_config(args: argparse.Namespace, overrides: Mapping[str, object] | None = None) -> Config:
    """The configuration. Raises CliError that names file, key and line."""
    try:
        return load(config_path(args), os.environ, overrides or {})
    except ConfigError as error:
        raise config_problem(error) from None


def config_problem(error: ConfigError) -> CliError:
    """The same mistake as the command line tells it."""
    message, _, hint = str(error).rpartition("\n")
    return CliError(USAGE, message, hint)
