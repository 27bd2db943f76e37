"""The keys of `cordboard dev`: made up for the stand-in where they are missing, told of where it is not there."""

import time
from typing import Final

from cordboard.cli.terminal import note
from cordboard.edge.atomic import write_atomic
from cordboard.edge.data_dir import DataDir
from cordboard.storage.secrets import SecretStore
from cordboard.storage.sqlite import SqliteStorage

AGENT_KEY: Final = "CARTESIA_AGENT_ID"
SCRIPTED_AGENT: Final = "demo-transfer"  # of the stand-in's script
SECRETS: Final = {"CARTESIA_API_KEY": "key-of-the-stand-in"}  # long: a timeline hides what looks like it
KEYS: Final = {"PSTN_CALLER_ID": "+15550001111"}
_MEMORY: Final = "dev-agent"  # in the data folder: the agent's id that was put here, which may be replaced


def put_keys(data: DataDir, agent: str | None) -> None:
    """Keys that the sample functions read, good for the stand-in alone; those that are there stay.

    `agent`: the id of an agent of one's own, which is to answer whatever agent the key named; None: a scripted one is,
    unless the key names one that was not put here.
    """
    with (
        SecretStore(data.secrets) as secrets,
        SqliteStorage(data.storage, time.time, is_secret=secrets.is_secret) as storage,
    ):
        for name, value in SECRETS.items():
            if not secrets.is_secret(name):
                secrets.put(name, value)
                note(f"secret {name} was missing: set to {value!r}, which only the stand-in takes")
        for name, value in KEYS.items():
            if not secrets.is_secret(name) and storage.get(name) is None:
                storage.put(name, value, None)
                note(f"key {name} was missing: set to {value!r}")
        if secrets.is_secret(AGENT_KEY):
            note(f"{AGENT_KEY} is a secret and stays as it is: the agent that it names is asked for")
            return
        memory = data.root / _MEMORY
        item = storage.get(AGENT_KEY)
        wanted = agent or SCRIPTED_AGENT
        ours = item is None or (memory.exists() and item.value == memory.read_text("utf-8"))
        if (agent is None and not ours) or (item is not None and item.value == wanted):
            return
        storage.put(AGENT_KEY, wanted, None)
        write_atomic(memory, wanted.encode())
        note(f"key {AGENT_KEY} was {'missing' if item is None else repr(item.value)}: set to {wanted!r}")


def tell_missing_keys(data: DataDir) -> None:
    """Name the keys that the sample functions read and that are not there, and the commands that store them."""
    with (
        SecretStore(data.secrets) as secrets,
        SqliteStorage(data.storage, time.time, is_secret=secrets.is_secret) as storage,
    ):
        for name in (*SECRETS, AGENT_KEY, *KEYS):
            if not secrets.is_secret(name) and storage.get(name) is None:
                option = " --secret" if name in SECRETS else ""
                note(f"{name} is missing, which the sample functions read: cordboard keys put {name}{option}")
