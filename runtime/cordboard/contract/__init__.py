"""The words that every other room speaks: events, commands and records (DESIGN §4)."""
