"""Keys and values of HANDLERS.md 2.2 that this release does not read. The one list of them.

A key that is asked for and does nothing would deceive, so it is an error, except with a value that asks for nothing.
"""

from typing import Final

NOT_YET: Final[dict[str, tuple[object, ...]]] = {
    # key: the values that ask for nothing beyond what is built
    "edge.drain_timeout": (),
    "http.public.tls": ({}, {"cert": "", "key": ""}),
    "http.public.trusted_proxies": ([],),
    "http.admin.console": (False,),
    "sip.tcp": ("",),
    "sip.tls": ("",),
    "trunks.register": (False,),
    "trunks.auth": ({},),
    "trunks.srtp": ("off",),
    "trunks.number_format": (),
    "trunks.caller_id": (),
    "trunks.max_cps": (),
    "dial.max_minutes_per_day": (),
    "functions.stage": (),
    "agents.cartesia.play_out_on_end": (),
    "recording.format": ("wav",),
    "recording.encrypt": ({}, {"key": ""}),
    "privacy.redact": ([],),
    "limits.agent_silence": (),
    "otel": ({}, {"endpoint": ""}),
    "hooks": ([],),
}

NOT_YET_VALUES: Final[dict[str, tuple[str, ...]]] = {
    "recording.mode": ("all",),
}
