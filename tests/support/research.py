"""The suite with people in it, as stories of research need it: outcomes, RT, a reserve that can help."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eth_abi import encode
from eth_utils import keccak

from medtoken.chain.words import BudgetWord, DrawnWord, LicenceWord, SupportWord
from medtoken.deploy.roles import Role
from medtoken.messages import Consent
from support.desks import Desks
from support.world import DUT, Actor

ACCURACY, PUBLICATION, PRODUCT = 1, 2, 3
YEAR = 365 * 86_400


class Research(Desks):
    """A ``World`` with short ways to say what happens at the research desk."""

    def settle_in(self) -> Research:
        super().settle_in()
        self.fill_reserve(10_000 * DUT)
        return self

    def fill_reserve(self, amount: int) -> None:
        """Have the platform, which may for once, pay a levy of this."""
        payer = self.people.platform
        self.as_timelock(self.manager, "grantRole", int(Role.LEVY), payer, 0)
        self.fund(payer, amount)
        self.dut.approve(self.treasury.address, amount, sender=payer)
        self.treasury.receive_levy(amount, sender=payer)
        self.as_timelock(self.manager, "revokeRole", int(Role.LEVY), payer)

    def seat(self) -> Actor:
        """Another technical seat."""
        made = self.new_actor()
        self.as_timelock(self.manager, "grantRole", int(Role.TECHNICAL), made, 0)
        return made

    def budget(self, limit: int, period: int = 90 * 86_400, length: int = YEAR) -> None:
        """Approve another budget for the desk."""
        to = self.research.address
        self.as_timelock(self.treasury, "approve_budget", to, limit, period, length)

    # ------------------------------------------------------------- outcomes

    def outcome(self, ref: dict[str, Any], **changes: Any) -> dict[str, Any]:
        """What a licensee made of a licence: a model, by evidence that nobody showed before."""
        return {
            "licence": self.licence_id(ref),
            "licensee": ref["licensee"],
            "kind": ACCURACY,
            "evidence": self.fresh("evidence"),
        } | changes

    def verify(
        self, outcome: dict[str, Any], ref: dict[str, Any], seat: str | None = None
    ) -> bytes:
        sender = seat or self.people.technical
        return bytes(self.research.verify_outcome(outcome, ref, sender=sender))

    def reward(self, kind: int = ACCURACY, sender: str | None = None) -> dict[str, Any]:
        """A licence with an outcome that was verified, so that its licensee holds RT; its ref."""
        ref = self.buy(self.granted(), sender=sender or self.people.licensee)
        self.verify(self.outcome(ref, kind=kind), ref)
        return ref

    # ------------------------------------------------------------- licences

    def buy_with(
        self,
        consent: Consent,
        amount: int,
        *,
        sender: str | None = None,
        proof: Sequence[bytes] = (),
        **changes: Any,
    ) -> dict[str, Any]:
        """Buy with ``amount`` of RT; the licence's ref."""
        sender = sender or self.people.licensee
        order = self.order(consent, **({"salt": int.from_bytes(self.fresh("salt"))} | changes))
        self.research.buy(order, consent.values(), list(proof), amount, sender=sender)
        return {
            "consent": consent.struct_hash(),
            "record": order["record"],
            "licensee": str(sender),
            "salt": order["salt"],
        }

    def release(self, ref: dict[str, Any]) -> None:
        self.research.release(ref, sender=self.people.stranger)

    def support(self, ref: dict[str, Any]) -> SupportWord:
        return SupportWord.unpack(self.research.support_word(self.licence_id(ref)))

    def sold(self, ref: dict[str, Any]) -> LicenceWord:
        return LicenceWord.unpack(self.market.licence_word(self.licence_id(ref)))

    # ------------------------------------------------------------- the reserve

    def reserve_left(self) -> int:
        return int(self.treasury.books()[2])

    def available(self) -> int:
        return int(self.treasury.available(self.research.address))

    def budget_of(self, spender: str) -> BudgetWord:
        return BudgetWord.unpack(self.treasury.budget_word(spender))

    def drawn_by(self, spender: str) -> DrawnWord:
        return DrawnWord.unpack(self.treasury.drawn_word(spender))


def outcome_id(outcome: dict[str, Any]) -> bytes:
    types = ["bytes32", "address", "uint256", "bytes32"]
    return keccak(encode(types, list(outcome.values())))
