"""Media protocols and signal processing: bytes and sample arrays in, bytes, arrays and events out.

No socket, no clock, no task lives here. The planes call these classes every 20 ms; time comes in as `now`.
"""
