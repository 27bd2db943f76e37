"""The platform around a call, as Cartesia's service has it: REST, tokens, agents, calls, deployments, recordings."""
