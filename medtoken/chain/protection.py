"""The breach cover (R23) and the compensation fund (R22) as Python objects.

As in ``contracts``: a method that sends takes the sender's wallet first and an optional ``key``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from eth_abi import encode

from medtoken._keccak import keccak
from medtoken.chain.contracts import LicenceRef, PayingContract
from medtoken.chain.node import Receipt, Wallet
from medtoken.chain.words import PolicyWord
from medtoken.errors import BadInput


@dataclass(frozen=True)
class BreachClaim:
    """What a custodian asks for after a breach."""

    policy: int
    amount: int  # the damage, base units
    occurred: int  # unix seconds
    evidence: bytes  # digest of what goes to the council

    @property
    def id(self) -> bytes:
        """The claim's id on the chain."""
        words = ["uint256", "uint256", "uint256", "bytes32"]
        return keccak(encode(words, list(asdict(self).values())))


class BreachCover(PayingContract):
    """Premiums, claims, and what the council decided (R23)."""

    name = "BreachCover"

    def policy(self, number: int, block: int | None = None) -> PolicyWord:
        """What is stored of a policy; a custodian of zero is no policy."""
        return PolicyWord.unpack(int(self.read("policy_word", number, block=block)))

    def paid_of(self, policy: int) -> int:
        """Base units that a policy's claims were paid."""
        return int(self.read("paid_of", policy))

    def pool(self) -> int:
        """Base units that claims can be paid from."""
        return int(self.read("books")[1])

    def policies(self) -> int:
        """How many policies there ever were; they are numbered from 1."""
        return int(self.read("books")[0])

    def terms(self) -> tuple[int, bool]:
        """Seconds that a premium covers, and whether premiums are paused."""
        term, paused = self.read("terms")
        return int(term), bool(paused)

    def is_open(self, claim: bytes) -> bool:
        """Whether a claim waits for the council."""
        return int(self.read("claim_state", claim)) == 1

    def claim(self, claim: bytes) -> BreachClaim:
        """A claim that was made. Raises BadInput for an unknown one."""
        found = self.find("ClaimMade", claim)
        if not found:
            raise BadInput(f"No claim 0x{claim.hex()} was made.")
        return BreachClaim(**found[0][1].args["given"])

    def pay_premium(self, wallet: Wallet, amount: int, key: str | None = None) -> Receipt:
        """Pay a premium, approved before. Caller: an accredited custodian."""
        return self.send(wallet, "pay_premium", amount, key=key)

    def make_claim(self, wallet: Wallet, claim: BreachClaim, key: str | None = None) -> Receipt:
        """Claim the damage of a breach. Caller: the policy's custodian."""
        return self.send(wallet, "make_claim", asdict(claim), key=key)

    def decide_claim(
        self,
        wallet: Wallet,
        claim: BreachClaim,
        granted: int,
        reason: bytes,
        key: str | None = None,
    ) -> Receipt:
        """Grant up to what was claimed, or nothing. Caller: the council role."""
        return self.send(wallet, "decide_claim", asdict(claim), granted, reason, key=key)


class CompensationFund(PayingContract):
    """Contributions of licensees, and what is kept for those who are harmed (R22)."""

    name = "CompensationFund"

    def kept(self) -> int:
        """Base units that are kept."""
        return int(self.read("kept"))

    def pay(self, wallet: Wallet, ref: LicenceRef, amount: int, key: str | None = None) -> Receipt:
        """Pay for the use of a licence, approved before. Caller: its licensee."""
        return self.send(wallet, "pay", asdict(ref), amount, key=key)
