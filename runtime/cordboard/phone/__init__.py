"""A SIP softphone over UDP: calls, answers, plays, records, presses digits and says what it heard."""
