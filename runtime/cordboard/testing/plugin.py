"""The pytest plugin: the fixture `edge`."""
