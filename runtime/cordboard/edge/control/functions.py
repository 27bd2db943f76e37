"""The host of functions that the configuration chooses."""

import logging

from cordboard.config.model import Config
from cordboard.edge.control.turns import FunctionHost
from cordboard.edge.data_dir import DataDir


class FunctionsBroken(Exception):
    """The functions cannot be described; the message names file or function."""


log = logging.getLogger("cordboard.functions")


def open_host(config: Config, data: DataDir) -> FunctionHost:
    """The host, not started yet."""
    raise NotImplementedError
