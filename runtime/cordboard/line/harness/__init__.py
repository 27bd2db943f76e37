"""The stand-in as Cartesia's harness: an unmodified `cartesia-line` program speaks on the calls of `cordboard line`."""
