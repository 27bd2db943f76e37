"""The media plane's engine: legs, agents, recordings and the cords between them; no socket, no clock."""
