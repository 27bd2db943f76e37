"""ApplicationStorage and secrets: the keys that scenarios read, on every backend.

Import the parts by name: `interface` (what every backend promises), `sqlite` (the default), `secrets` (API keys and
passwords, in a file of their own), `memory` (tests and the simulator).
"""
