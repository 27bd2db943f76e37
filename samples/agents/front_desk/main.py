"""The front desk of a small hotel: a `cartesia-line` agent that thinks without a language model, so without a key.

It reads what the caller said by a few words. Its tools drive the phone call: they POST an action to the control URL
that the call's scenario put into the metadata (`vox_session_control_url`), once the caller has heard why.

    cordboard line --agent samples/agents/front_desk/main.py

`cordboard_agent_tools.py` beside this file is the helper of `agent_tools/`, as a link; copy it beside your own.
"""

from collections.abc import AsyncIterator

from cordboard_agent_tools import CONTROL_URL, ControlError, post_action
from line import (
    AgentEndCall,
    AgentEnv,
    AgentSendCustom,
    AgentSendText,
    AgentSpec,
    AgentTextSent,
    AgentToolCalled,
    AgentToolReturned,
    AgentTurnEnded,
    CallEnded,
    CallRequest,
    CallStarted,
    InputEvent,
    LogMessage,
    LogMetric,
    OutputEvent,
    TurnEnv,
    UserDtmfSent,
    UserTextSent,
    UserTurnEnded,
    UserTurnStarted,
    VoiceAgentApp,
)

GREETING = (
    "Good evening, this is the front desk. How may I help you? "
    "Ask me when breakfast is, ask for a person, and I transfer you, or say goodbye. "
    "You need not wait until I am done: speak whenever you like, and I will stop and listen."
)


class FrontDesk:
    """One call."""

    def __init__(self, request: CallRequest) -> None:
        metadata = request.metadata or {}
        self._control_url = metadata.get(CONTROL_URL)
        introduction = request.agent.introduction
        self._greeting = GREETING if introduction is None else introduction
        self._turns = 0
        self._promised: tuple[str, str] | None = None

    async def process(self, env: TurnEnv, event: InputEvent) -> AsyncIterator[OutputEvent]:
        """Answer one event."""
        if isinstance(event, CallStarted):
            if self._greeting:
                yield AgentSendText(text=self._greeting)
        elif isinstance(event, UserTurnEnded):
            self._turns += 1
            self._promised = None
            yield LogMetric(name="turn", value=self._turns)
            async for output in self._answer(event):
                yield output
        elif isinstance(event, AgentTurnEnded):
            heard = " ".join(part.content for part in event.content if isinstance(part, AgentTextSent))
            if self._promised is not None and heard.endswith(self._promised[0]):
                (_, action), self._promised = self._promised, None
                async for output in self._tool(action):
                    yield output
        elif isinstance(event, CallEnded):
            yield LogMessage(name="call", level="info", message=f"ended after {self._turns} turns")

    async def _answer(self, event: UserTurnEnded) -> AsyncIterator[OutputEvent]:
        words = " ".join(part.content for part in event.content if isinstance(part, UserTextSent)).lower()
        digits = "".join(part.button for part in event.content if isinstance(part, UserDtmfSent))
        if "transfer" in words or "person" in words or digits == "0":
            yield self._promise("One moment, I transfer you.", "call_transfer")
        elif "bye" in words or "thank" in words or digits == "#":
            yield self._promise("Thank you for your call. Goodbye.", "end_call")
        elif "breakfast" in words or digits == "1":
            yield AgentSendCustom(metadata={"topic": "breakfast"})
            yield AgentSendText(text="Breakfast is served from seven to ten, ")
            yield AgentSendText(text="in the garden room.")
        elif words:
            yield AgentSendText(text=f"You said: {words.rstrip('.')}. Ask me about breakfast, or for a transfer.")
        else:
            yield AgentSendText(text="I did not understand that. Say transfer, or press zero, for a person.")

    def _promise(self, text: str, action: str) -> AgentSendText:
        """Say something; act when it was heard to its end."""
        self._promised = (text, action)
        return AgentSendText(text=text)

    async def _tool(self, action: str) -> AsyncIterator[OutputEvent]:
        """Ask the call's scenario for something; without a control URL an end is the service's own."""
        yield AgentToolCalled(tool_call_id=action, tool_name=action, tool_args={})
        failed = True
        try:
            if self._control_url is None:
                result = f"the call's metadata has no {CONTROL_URL}"
            else:
                result = (await post_action(self._control_url, action)).body
                failed = False
        except ControlError as error:
            result = str(error)
        yield AgentToolReturned(tool_call_id=action, tool_name=action, tool_args={}, result=result)
        if not failed:
            return
        yield LogMessage(name=action, level="error", message=result)
        if action == "end_call":
            yield AgentEndCall()
        else:
            yield AgentSendText(text="I am sorry, nobody is there at the moment.")


async def get_agent(env: AgentEnv, request: CallRequest) -> AgentSpec:
    """Called by the SDK for each call; returns the agent, what makes it run, and what cancels it."""
    return FrontDesk(request), [CallStarted, UserTurnEnded, AgentTurnEnded, CallEnded], [UserTurnStarted]


if __name__ == "__main__":
    VoiceAgentApp(get_agent).run()
