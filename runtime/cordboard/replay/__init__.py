"""Recorded calls asked again of today's functions, offline: what they would command now, and what they did then."""
