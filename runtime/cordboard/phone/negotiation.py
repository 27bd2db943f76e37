"""Offers and answers of one call: our side of the session description and what became of theirs.

Follows RFC 3264 as `cordboard.sip.offer` speaks it: the session id stays, the version grows with every description
that is new (section 8), and the answer to the first offer is made once, so that 183 and 200 carry the same.

Left out: offers of our own within a call.
"""

import random
from dataclasses import replace

from cordboard.sip.offer import LocalMedia, Negotiated, NotAcceptable, accept_answer, answer, offer
from cordboard.sip.sdp import SdpError


class NoAgreement(Exception):
    """Offer and answer do not meet; `code` is the SIP response to such an offer (488 or 400)."""

    def __init__(self, error: NotAcceptable | SdpError) -> None:
        super().__init__(str(error))
        self.code = 488 if isinstance(error, NotAcceptable) else 400


class Negotiation:
    """Our end of one call's session description."""

    def __init__(self, host: str, port: int, codecs: tuple[str, ...], rng: random.Random) -> None:
        """`host` and `port` are where we take RTP."""
        session = rng.getrandbits(31)
        self._local = LocalMedia(host=host, port=port, codecs=codecs, session_id=session, version=session)
        self._first_answer: bytes | None = None
        self.outcome: Negotiated | None = None
        """What is agreed now; None before the first agreement."""

    def offer(self) -> bytes:
        """Our offer, as it stands."""
        return offer(self._local)

    def take_answer(self, sdp: bytes | None) -> None:
        """Their answer to our offer. NoAgreement when it is missing (unless an earlier one came) or unusable."""
        if sdp is None:
            if self.outcome is None:
                raise NoAgreement(SdpError("there is no answer to our offer"))
            return
        try:
            self.outcome = accept_answer(sdp, self._local)
        except (NotAcceptable, SdpError) as error:
            raise NoAgreement(error) from None

    def answer_first(self, sdp: bytes | None) -> bytes:
        """Our description for an incoming call: the answer to their offer, or an offer when they made none.
        NoAgreement."""
        if self._first_answer is None:
            self._first_answer = self.offer() if sdp is None else self._answer(sdp)
        return self._first_answer

    def answer_again(self, sdp: bytes | None) -> bytes:
        """The same within a call, as a new version. NoAgreement, and what was agreed stays."""
        self._local = replace(self._local, version=self._local.version + 1)
        return self.offer() if sdp is None else self._answer(sdp)

    def _answer(self, sdp: bytes) -> bytes:
        try:
            body, self.outcome = answer(sdp, self._local)
        except (NotAcceptable, SdpError) as error:
            raise NoAgreement(error) from None
        return body
