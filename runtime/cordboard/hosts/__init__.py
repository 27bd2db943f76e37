"""Where functions run: in process (tests), or in awslambdaric workers (default). Import the parts by name.

`host` (the interface and releases), `in_process`, `workers`, `template` (SAM), `errors`.
"""
