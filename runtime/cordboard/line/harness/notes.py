"""What a program tells of itself (reference cartesia-protocols §3.5), as it stands in its call's transcript."""

from cordboard.line.harness.messages import Note
from cordboard.line.transcript import Transcript


def write_note(transcript: Transcript, note: Note) -> None:
    """Put a tool call, a log's event or a metric into the transcript; anything else is for the call's record alone."""
    fields = note.fields
    match note.kind:
        case "tool_call":
            id = fields.get("id")
            told = id if isinstance(id, str) else None
            transcript.tool(fields["name"], fields.get("arguments"), fields.get("result"), told)
        case "log_event":
            metadata = fields.get("metadata")
            transcript.log_event(fields["event"], metadata if isinstance(metadata, dict) else None)
        case "log_metric":
            transcript.log_metric(fields["name"], fields.get("value"))
