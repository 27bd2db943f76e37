"""Sonic's and Ink's sockets, served by the stand-in's own voice and ear."""
