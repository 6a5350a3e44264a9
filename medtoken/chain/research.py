"""Research tokens and their desk as Python objects (R4).

As in ``contracts``: a method that sends takes the sender's wallet first and an optional ``key``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from medtoken.chain.contracts import LicenceRef, Order, _Contract
from medtoken.chain.node import Receipt, Wallet
from medtoken.chain.words import SupportWord
from medtoken.messages import Consent


@dataclass(frozen=True)
class Outcome:
    """What a licensee made of data that it licensed."""

    licence: bytes  # one of those that it rests on
    licensee: str
    kind: int  # vocabulary.OutcomeKind
    evidence: bytes  # digest of what was verified


class ResearchToken(_Contract):
    """RT."""

    name = "ResearchToken"

    def balance(self, account: str, block: int | None = None) -> int:
        """Base units that an account holds."""
        return int(self.read("balanceOf", account, block=block))


class ResearchDesk(_Contract):
    """Outcomes that earn RT, and licences that it helps to pay."""

    name = "ResearchDesk"

    def seats(self) -> int:
        """How many technical seats must verify an outcome."""
        return int(self.read("seats"))

    def share(self) -> int:
        """How much of a price RT may pay, bps."""
        return int(self.read("share"))

    def reward(self, kind: int) -> int:
        """Base units of RT for a kind of outcome."""
        return int(self.read("reward", kind))

    def rewarded(self, evidence: bytes) -> bytes:
        """The outcome for which a piece of evidence was rewarded; zeros for none."""
        return bytes(self.read("rewarded", evidence))

    def support(self, licence: bytes, block: int | None = None) -> SupportWord:
        """What is stored of a licence's support; an amount of zero is none."""
        return SupportWord.unpack(int(self.read("support_word", licence, block=block)))

    def outcomes(self, licence: bytes) -> list[dict[str, Any]]:
        """What was verified of a licence: the events' arguments, in their order."""
        events = [log.args for _, log in self.find("OutcomeVerified")]
        return [args for args in events if args["given"]["licence"] == licence]

    def verify(
        self, wallet: Wallet, outcome: Outcome, ref: LicenceRef, key: str | None = None
    ) -> Receipt:
        """Verify an outcome. Caller: a technical seat."""
        return self.send(wallet, "verify_outcome", asdict(outcome), asdict(ref), key=key)

    def buy(
        self,
        wallet: Wallet,
        order: Order,
        consent: Consent,
        proof: list[bytes],
        amount: int,
        key: str | None = None,
    ) -> Receipt:
        """Buy a licence, ``amount`` base units of it with the wallet's RT."""
        args = (asdict(order), consent.values(), proof, amount)
        return self.send(wallet, "buy", *args, key=key)

    def release(self, wallet: Wallet, ref: LicenceRef, key: str | None = None) -> Receipt:
        """Release what a licence has earned of its support. Anybody may."""
        return self.send(wallet, "release", asdict(ref), key=key)
