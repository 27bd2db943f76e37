"""Mouths: what makes speech of text, each behind the interface of `voice`."""
