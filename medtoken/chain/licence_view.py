"""How a key keeper reads the chain: permission at a final block, refusal up to the head (R34)."""

from __future__ import annotations

from medtoken.chain.contracts import LicenceRef, Suite
from medtoken.errors import ContractRefused
from medtoken.keys import LicenceState

_DUT_FROZEN = 4


class MarketView:
    """Reads licences of one deployment through one node. A keeper asks its own node."""

    def __init__(self, suite: Suite) -> None:
        """The suite's node is the one that is trusted."""
        self._suite = suite

    def licence_state(self, licence: bytes) -> LicenceState:
        """The state of a licence; raises NodeUnreachable when the node does not answer."""
        market, node = self._suite.market, self._suite.node
        try:
            _, ref, block = market.licence_bought(licence)
        except ContractRefused as error:
            return LicenceState(live=False, reason=str(error))
        if ref.id() != licence:
            return LicenceState(live=False, reason="the node's log does not match the licence")
        final = node.final()
        reason = self._refusal(ref, licence)
        if not reason and final.number < block:
            reason = "the purchase is not final yet"
        if not reason and not market.is_usable(ref, block=final.number):
            reason = "the licence is not usable at the final block"
        word = market.licence(licence)
        return LicenceState(
            live=not reason,
            reason=reason,
            licensee=ref.licensee,
            record=ref.record,
            expires=word.end,
            block=final.number,
        )

    def _refusal(self, ref: LicenceRef, licence: bytes) -> str:
        """Why the newest state refuses, or nothing."""
        market = self._suite.market
        now = self._suite.node.head().timestamp
        word = market.licence(licence)
        consent = market.consent(ref.consent)
        reasons = (
            (consent.revoked_at != 0, "the consent was revoked"),
            (word.closed or word.end <= now or consent.expiry <= now, "the licence has ended"),
            (word.suspended, "the licence is suspended"),
            (
                word.metered and word.used == 0,
                "no use of the metered licence is on the chain yet",
            ),
            (market.licensee(ref.licensee).frozen, "the licensee is frozen"),
            (
                int(self._suite.usage.read("standing", ref.licensee)) & _DUT_FROZEN != 0,
                "the licensee's account is frozen",
            ),
            (not market.is_usable(ref), "the licence is not usable"),
        )
        return next((reason for refused, reason in reasons if refused), "")
