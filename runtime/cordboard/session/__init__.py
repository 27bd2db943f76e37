"""The control side's engine: sessions, turns, legs, timers and the end of a call; no socket, no clock."""
