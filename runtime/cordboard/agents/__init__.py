"""Agents' wires, client side, without I/O: bytes in, events out."""
