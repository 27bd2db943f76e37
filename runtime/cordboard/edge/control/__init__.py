"""Control's process: SIP over UDP, the control URL, functions, and the files of calls around one ControlEngine."""
