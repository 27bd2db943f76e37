"""`cordboard demo`: three real calls through all processes, judged by what the softphones' own sockets received."""
