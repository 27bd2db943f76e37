"""What a handler imports: `from cordboard.scenario import …, events` (HANDLERS §1)."""

from typing import TYPE_CHECKING

from cordboard.contract import webhooks as webhook_events
from cordboard.contract.codec import JSON
from cordboard.contract.patience import Fallback, Patience
from cordboard.storage.interface import StorageItem

from . import events
from .binding import Stores, bind_storage
from .errors import (
    BadRequest,
    CommandFailed,
    KeyNotFound,
    LimitExceeded,
    NotSupported,
    ObjectEnded,
    OutsideTurn,
    Refused,
    ToolError,
)
from .later import MODULES, LaterModule
from .namespaces import ApplicationStorage, Cartesia, Logger, VoxEngine
from .objects import AgentsClient, Call, CallState, Command, Headers, MediaUnit, Player, RealtimeTTSPlayer, Recording
from .registry import OnError, Scenario
from .reply import HttpReply, HttpResponse
from .secret import ControlUrl, Secret
from .session import Session
from .vocabulary import AppEvents, CallEvents, EventType, PlayerEvents, WebSocketEvents
from .webhook_gate import NoWebhookSecret
from .webhooks import CartesiaWebhooks

__all__ = [
    "JSON", "AgentsClient", "AppEvents", "ApplicationStorage", "BadRequest", "Call", "CallEvents", "CallState",
    "Cartesia", "CartesiaWebhooks", "Command", "CommandFailed", "ControlUrl", "EventType", "Fallback", "Headers",
    "HttpReply", "HttpResponse", "KeyNotFound", "LimitExceeded", "Logger", "MediaUnit", "NoWebhookSecret",
    "NotSupported", "ObjectEnded", "OnError", "OutsideTurn", "Patience", "Player", "PlayerEvents",
    "RealtimeTTSPlayer", "Recording", "Refused", "Scenario", "Secret", "Session", "StorageItem", "Stores",
    "ToolError", "VoxEngine", "WebSocketEvents", "bind_storage", "events", "webhook_events",
]  # fmt: skip

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name in MODULES:
            return LaterModule(name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
