"""The command line `cordboard` (HANDLERS §2.1): one file per family of verbs, imported when a verb is used."""
