"""VoxEngine's members that this release has not built: using one raises NotSupported, which says why or what to write.

A misspelled name, VoxEngine's own camelCase above all, is an AttributeError that names the one that is meant.
docs/port-from-voxengine.md lists every member.
"""

import difflib
import re
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from .errors import NotSupported

_CONFERENCE: Final = "calls are joined two by two: send_media_between"
_SOCKET: Final = "VoxEngine's WebSocket media protocol comes later"
_REFER: Final = "transfers by REFER come later; dial with call_pstn or call_sip and join the two"
_EASY: Final = "dial with call_sip or call_pstn in CallAlerting, join them in CallEvents.Connected"
_QUEUE: Final = "queues for people are left to the PBX: call_sip dials it"
_BEEP: Final = "answering machines are not detected"
_RECORDER: Final = "record each call with call.record"

LATER: Final[Mapping[str, Mapping[str, str]]] = {
    "VoxEngine": {
        "call_user_direct": "there are no calls from peer to peer",
        "call_conference": _CONFERENCE,
        "call_whatsapp_user": "reach WhatsApp by a SIP trunk: call_sip",
        "create_web_socket": _SOCKET,
        "allow_web_socket_connections": _SOCKET,
        "create_sequence_player": "start the next player in PlayerEvents.PlaybackFinished of the one before",
        "create_recorder": _RECORDER,
        "create_conference": _CONFERENCE,
        "destroy_conference": _CONFERENCE,
        "create_asr": "the agent hears the caller; keys are collected with call.gather",
        "create_streaming_agent": "there is no RTMP",
        "easy_process": _EASY,
        "forward_call_to_pstn": _EASY,
        "forward_call_to_sip": _EASY,
        "forward_call_to_user": _EASY,
        "forward_call_to_user_direct": _EASY,
        "enqueue_task": _QUEUE,
        "enqueue_acd_request": _QUEUE,
    },
    "Call": {
        "answer_direct": "there are no calls from peer to peer",
        "vad": "the agent's service tells who speaks",
        "handle_mic_status": "the agent's service tells who speaks",
        "handle_blind_transfer": _REFER,
        "notify_blind_transfer_success": _REFER,
        "notify_blind_transfer_failed": _REFER,
        "transfer_to": _REFER,
        "enable_beep_detection": _BEEP,
        "disable_beep_detection": _BEEP,
        "monitor_media_statistics": "loss and jitter of each leg stand in its record",
    },
}
"""Class or namespace → member in snake_case → what to know."""

MODULES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("ElevenLabs", "Deepgram", "OpenAI", "Gemini", "Ultravox", "Grok", "Inworld", "Yandex", "Google",
                     "XAI", "VoxTTS"), "connectors of other vendors come later; Cartesia's are there"),
    **dict.fromkeys(("ASR", "Silero", "Pipecat"), "the agent hears the caller and tells its turns"),
    "AMD": _BEEP,
    "MCP": "call a server's tools with a Python client, through session.once",
    "IVR": "menus are made of call.gather",
    **dict.fromkeys(("SmartQueue", "ACD"), _QUEUE),
    "CallList": "dial a list with POST /v1/sessions",
    "ConferenceRecorder": _RECORDER,
    "Conference": _CONFERENCE,
}  # fmt: skip
"""VoxEngine's modules without a counterpart."""


class LaterModule:
    """A module of VoxEngine that is not built."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, member: str) -> Any:
        if member.startswith("__"):
            raise AttributeError(member)
        return _refusing(f"{self._name}.{member}", MODULES[self._name])


def missing_member(owner: str, kind: type, member: str) -> Any:
    """What an unknown attribute is: a function that raises NotSupported, or AttributeError with the name to write."""
    why = LATER.get(owner, {}).get(member)
    if why is not None:
        return _refusing(f"{owner}.{member}", why)
    known = [name for name in dir(kind) if not name.startswith("_")] + list(LATER.get(owner, {}))
    snake = snake_case(member)
    near = [snake] if snake in known else difflib.get_close_matches(snake, known, 1)
    hint = f"; it is {near[0]} here" if near else "; docs/port-from-voxengine.md lists VoxEngine's members"
    raise AttributeError(f"{owner} has no {member!r}{hint}", name=member)


def snake_case(name: str) -> str:
    """`callPSTN` → `call_pstn`, `createURLPlayer` → `create_url_player`."""
    parted = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name))
    return parted.lower()


def _refusing(member: str, why: str) -> Any:
    def refuse(*args: object, **kwargs: object) -> NoReturn:
        raise NotSupported("not_supported", f"{member} is not built in this release of Cordboard: {why}", member)

    return refuse
