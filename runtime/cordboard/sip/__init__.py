"""SIP: a user-agent core without sockets or clock (RFC 3261, 3264, 3581, 6026). Start reading at `ua.UserAgent`."""
