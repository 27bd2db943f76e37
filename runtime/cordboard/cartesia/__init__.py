"""Cartesia's REST API as far as agents and their calls are concerned (reference cartesia-protocols §4)."""
