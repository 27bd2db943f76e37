"""`cordboard conform`: plays an edge on its worst days to a program that polls the Runtime API, and judges its answers.

`samples` (plausible events), `program` (its processes), `rounds` (one event, judged), `checks` (what is played),
`descriptions` and `answers` (what is judged beside), `judge` (rows), `functions` (all of a template). Import the parts
by name.
"""
