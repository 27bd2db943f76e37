"""`cordboard demo`: three real calls on this machine."""

from cordboard.demo.main import add_arguments, main

__all__ = ["add_arguments", "main"]
