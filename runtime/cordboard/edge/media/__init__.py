"""A media plane's process: UDP ports, agents' connections, recordings' raw files, and the 5 ms wheel. Nothing else."""
