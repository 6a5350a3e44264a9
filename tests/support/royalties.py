"""Studies of the royalty vault in tests: sealed, open, paid; and what its words hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from medtoken.chain.contracts import study_id
from medtoken.chain.words import BooksWord, EarningsWord, MemberWord, SharesWord, StudyWord
from medtoken.messages import Domain, Withdrawal
from medtoken.royalty import Roster
from support.evm import CHAIN_ID, Contract
from support.world import DUT, Actor, World

REASON = b"\7" * 32
EVIDENCE = b"\x08" * 32
MANIFEST = b"\x09" * 32
MILESTONE = b"\x0a" * 32
WINDOW = 7 * 86_400


@dataclass
class Stage:
    """The vault of a world, and short ways to say what its people do."""

    world: World

    def __post_init__(self) -> None:
        self.vault: Contract = self.world.suite["RoyaltyVault"]
        self.people = self.world.people
        self.dut = self.world.dut
        self.domain = Domain(CHAIN_ID, self.vault.address)
        for payer in (self.people.licensee, self.people.other_licensee):
            self.dut.approve(self.vault.address, 2**256 - 1, sender=payer)

    # ------------------------------------------------------------- studies

    def roster(self, weights: Mapping[str, int], number: int, payer: str) -> Roster:
        return Roster(study_id(payer, number), weights)

    def seal(
        self, weights: Mapping[str, int], payer: Actor | None = None, total: int | None = None
    ) -> Study:
        """Seal a roster as the custodian."""
        payer = payer or self.people.licensee
        number = int.from_bytes(self.world.fresh("number")[:4])
        roster = self.roster(weights, number, payer)
        self.vault.seal(
            payer,
            number,
            roster.root,
            roster.total if total is None else total,
            len(roster),
            MANIFEST,
            sender=self.people.custodian,
        )
        return Study(self, payer, number, roster)

    def open(
        self, weights: Mapping[str, int], payer: Actor | None = None, total: int | None = None
    ) -> Study:
        """A study that was sealed, undertaken and is open."""
        study = self.seal(weights, payer, total)
        self.world.evm.warp(WINDOW)
        self.vault.undertake(study.number, study.roster.root, sender=study.payer)
        return study

    # ------------------------------------------------------------- money

    def credited(self, who: str) -> int:
        return EarningsWord.unpack(self.vault.balance_word(who)).earned

    def held(self) -> int:
        """The vault's own DUT."""
        return int(self.dut.balanceOf(self.vault.address))

    def withdrawal(self, account: Actor, amount: int, **changes: object) -> Withdrawal:
        values: dict[str, object] = {
            "account": str(account),
            "to": str(account),
            "amount": amount,
            "nonce": EarningsWord.unpack(self.vault.balance_word(account)).nonce,
            "deadline": self.world.now + 3600,
        }
        return Withdrawal(**(values | changes))  # type: ignore[arg-type]

    def withdraw(self, message: Withdrawal, signer: Actor, sender: str | None = None) -> None:
        self.vault.withdraw(
            message.account,
            message.to,
            message.amount,
            message.deadline,
            message.sign(signer.key, self.domain),
            sender=sender or self.people.relay,
        )


@dataclass
class Study:
    """One sealed study."""

    stage: Stage
    payer: Actor
    number: int
    roster: Roster

    @property
    def id(self) -> bytes:
        return self.roster.study

    @property
    def word(self) -> StudyWord:
        return StudyWord.unpack(self.stage.vault.study_word(self.id))

    @property
    def books(self) -> BooksWord:
        return BooksWord.unpack(self.stage.vault.books_word(self.id))

    @property
    def shares(self) -> SharesWord:
        return SharesWord.unpack(self.stage.vault.shares_word(self.id))

    def member(self, who: str) -> MemberWord:
        return MemberWord.unpack(self.stage.vault.member_word(self.id, who))

    def attest(self, sales: int, period: int | None = None) -> int:
        """Attest sales, by default of the next period; returns the royalty."""
        number = self.books.period + 1 if period is None else period
        sender = self.stage.people.products
        return int(self.stage.vault.attest_sales(self.id, number, sales, EVIDENCE, sender=sender))

    def pay(self, amount: int | None = None) -> None:
        """Pay some of what is due, by default all of it."""
        amount = self.books.due if amount is None else amount
        self.stage.vault.pay(self.payer, self.number, amount, sender=self.stage.people.relay)

    def bring(self, amount: int) -> None:
        """Have sales attested whose royalty is ``amount``, and paid."""
        self.attest(amount * 100)
        self.pay(amount)

    def join(self, who: str) -> int:
        index = self.roster.index(who)
        assert index is not None
        m = self.roster.member(index)
        return int(
            self.stage.vault.join(
                self.id, m.index, m.account, m.weight, m.proof, sender=self.stage.people.relay
            )
        )

    def claim(self, who: str) -> int:
        return int(self.stage.vault.claim(self.id, who, sender=self.stage.people.relay))

    def grant(
        self, amount: int = 1000 * DUT, term: int = 86_400, milestone: bytes = MILESTONE
    ) -> None:
        """The payer escrows a milestone option."""
        expiry = self.stage.world.now + term
        self.stage.vault.grant_option(self.id, milestone, amount, expiry, sender=self.payer)

    def vest(self, milestone: bytes = MILESTONE) -> None:
        self.stage.vault.vest_option(
            self.id, self.payer, milestone, EVIDENCE, sender=self.stage.people.products
        )

    def give_back(self, milestone: bytes = MILESTONE) -> None:
        self.stage.vault.return_option(
            self.id, self.payer, milestone, sender=self.stage.people.stranger
        )
