"""`cordboard line`: a stand-in for Cartesia's Line service, for demos, tests and work without an account."""
