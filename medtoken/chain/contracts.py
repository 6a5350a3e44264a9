"""The suite's contracts as Python objects: one class per contract, one method per function used.

Amounts are base units, times unix seconds, ids and hashes 32 bytes. A method that sends takes the
sender's wallet first and an optional ``key`` that names the intent (see ``Node.send``); it returns
the receipt. A revert raises the exception that ``node.refused`` maps its sentence to.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from eth_abi import encode
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils import is_address, to_checksum_address

from medtoken._keccak import keccak
from medtoken.chain.abi import Log, abi
from medtoken.chain.node import Node, RawLog, Receipt, Wallet
from medtoken.chain.words import (
    AssetBooks,
    AssetWord,
    BooksWord,
    BudgetWord,
    ConsentWord,
    CreditWord,
    EarningsWord,
    Facts,
    HoldingWord,
    LicenceWord,
    LicenseeWord,
    LineWord,
    MemberWord,
    OptionWord,
    PeriodWord,
    RatesWord,
    RoyaltySettings,
    SharesWord,
    StudyWord,
    TallyWord,
)
from medtoken.deploy.record import Deployment
from medtoken.errors import BadInput, ConsentRefused, ContractRefused, DeploymentError, WrongChain
from medtoken.holding import Line, Step
from medtoken.messages import Consent, Domain, Redemption, Withdrawal

EPOCH = dt.date(1970, 1, 1)


@dataclass(frozen=True)
class Draft:
    """What a custodian states about a record when it registers it (R6)."""

    owner: str
    fingerprint: bytes
    tag: bytes
    content: bytes
    codec: int
    size: int
    kind: int
    tier: int
    region: int
    codes: bytes
    annotator: int = 0
    previous: bytes = bytes(32)


@dataclass(frozen=True)
class SealedCopy:
    """A masked copy of a record, sealed by itself, as its custodian states it (R9, R35)."""

    fields: bytes
    licence: bytes
    fingerprint: bytes
    content: bytes
    codec: int
    size: int


@dataclass(frozen=True)
class Scores:
    """What an attester found (R7), or a challenger claims: all zero is that nothing can be attested.

    Thousandths of a unit, scores 0–100, the day of reference in days since 1970, the method's hash.
    """

    units: int = 0
    volume: int = 0
    completeness: int = 0
    timeliness: int = 0
    accuracy: int = 0
    annotation: int = 0
    traceability: int = 0
    dvi: int = 0
    asOf: int = 0  # noqa: N815  the ABI's name
    method: bytes = bytes(32)

    @property
    def day(self) -> dt.date:
        """The day of reference."""
        return EPOCH + dt.timedelta(self.asOf)


@dataclass(frozen=True)
class Challenge:
    """An open challenge of a record's attestation (R7); amounts in base units, time in seconds."""

    challenger: str
    attester: int
    claim: bytes
    bond: int
    at_risk: int
    deadline: int


@dataclass(frozen=True)
class Order:
    """What a licensee asks for (R12); amounts per unit."""

    record: bytes
    form: int
    units: int
    end: int
    purposes: int
    diseases: bytes
    urgent: bool
    maxPrice: int  # noqa: N815  the ABI's name
    agreement: bytes
    salt: int


@dataclass(frozen=True)
class LicenceRef:
    """What names a licence."""

    consent: bytes
    record: bytes
    licensee: str
    salt: int

    def id(self) -> bytes:
        """The licence's id: keccak256 of the ABI encoding."""
        return keccak(abi("LicenceView").call("licence_id", asdict(self))[4:])


@dataclass(frozen=True)
class SignedVoucher:
    """Units of a licence used in all until a time, signed by the key in its salt (R14)."""

    ref: LicenceRef
    units: int
    time: int
    signature: bytes


class _Contract:
    """One contract of a deployment, on one node."""

    name: str

    def __init__(self, node: Node, deployment: Deployment) -> None:
        self._node = node
        self._first = deployment.first_block
        self.address = deployment.address(self.name)

    def read(self, function: str, *args: Any, block: int | None = None) -> Any:
        """Call a view; ``block`` None is the newest state."""
        data = abi(self.name).call(function, *args)
        return abi(self.name).result(function, self._node.call(self.address, data, block))

    def send(self, wallet: Wallet, function: str, *args: Any, key: str | None = None) -> Receipt:
        """Send a transaction and wait until it is mined."""
        data = abi(self.name).call(function, *args)
        return self._node.send(wallet, self.address, data, key=key)

    def events(self, logs: tuple[RawLog, ...], event: str) -> list[Log]:
        """The events of this contract and this name among some logs."""
        own = [log for log in logs if log.address == self.address]
        decoded = [abi(self.name).log(log.topics, log.data) for log in own]
        return [log for log in decoded if log is not None and log.event == event]

    def find(self, event: str, *indexed: bytes | None) -> list[tuple[RawLog, Log]]:
        """Events of this name since the deployment, with these indexed arguments (None: any)."""
        topic = next(t for t, name in abi(self.name).event_topics.items() if name == event)
        last = self._node.head().number
        logs = self._node.logs([self.address], self._first, last, [topic, *indexed])
        found = [(log, abi(self.name).log(log.topics, log.data)) for log in logs]
        return [(log, decoded) for log, decoded in found if decoded is not None]


_FROZEN = 4  # of DUT's standing: admitted 1, protocol 2


class UsageToken(_Contract):
    """DUT (R2)."""

    name = "UsageToken"

    def balance(self, account: str, block: int | None = None) -> int:
        """Base units that an account holds."""
        return int(self.read("balanceOf", account, block=block))

    def supply(self, block: int | None = None) -> int:
        """Base units in existence."""
        return int(self.read("totalSupply", block=block))

    def may_hold(self, account: str) -> bool:
        """Whether an account is admitted (or a protocol contract) and not frozen."""
        return bool(self.read("mayHold", account))

    def is_frozen(self, account: str) -> bool:
        """Whether the sanctions office has frozen an account (R2, R31)."""
        return bool(int(self.read("standing", account)) & _FROZEN)

    def admit(self, wallet: Wallet, account: str, key: str | None = None) -> Receipt:
        """Admit a participant. Caller: the admission role."""
        return self.send(wallet, "admit", account, key=key)

    def issue(
        self, wallet: Wallet, to: str, amount: int, payment: bytes, key: str | None = None
    ) -> Receipt:
        """Issue against money received. Caller: an admitted exchange."""
        return self.send(wallet, "issue", to, amount, payment, key=key)

    def approve(self, wallet: Wallet, spender: str, amount: int, key: str | None = None) -> Receipt:
        """Let a contract take up to ``amount`` base units."""
        return self.send(wallet, "approve", spender, amount, key=key)

    def permit(
        self, wallet: Wallet, spender: str, amount: int, deadline: int
    ) -> tuple[int, bytes, bytes]:
        """Sign an ERC-2612 permit; returns v, r, s."""
        message = {
            "types": {
                "EIP712Domain": [
                    {"name": "name", "type": "string"},
                    {"name": "version", "type": "string"},
                    {"name": "chainId", "type": "uint256"},
                    {"name": "verifyingContract", "type": "address"},
                ],
                "Permit": [
                    {"name": "owner", "type": "address"},
                    {"name": "spender", "type": "address"},
                    {"name": "value", "type": "uint256"},
                    {"name": "nonce", "type": "uint256"},
                    {"name": "deadline", "type": "uint256"},
                ],
            },
            "primaryType": "Permit",
            "domain": {
                "name": self.read("name"),
                "version": "1",
                "chainId": self._node.chain_id,
                "verifyingContract": self.address,
            },
            "message": {
                "owner": wallet.address,
                "spender": spender,
                "value": amount,
                "nonce": self.read("nonces", wallet.address),
                "deadline": deadline,
            },
        }
        signed = Account.sign_message(encode_typed_data(full_message=message), wallet.key)
        return signed.v, signed.r.to_bytes(32), signed.s.to_bytes(32)


class ContributionToken(_Contract):
    """DCT (R1)."""

    name = "ContributionToken"

    def balance(self, account: str, block: int | None = None) -> int:
        """Base units that an account holds."""
        return int(self.read("balanceOf", account, block=block))


class GovernanceToken(_Contract):
    """GT (R5)."""

    name = "GovernanceToken"

    def balance(self, account: str, block: int | None = None) -> int:
        """Base units that an account holds; they are its votes too."""
        return int(self.read("balanceOf", account, block=block))


class Treasury(_Contract):
    """The reserve (R16, R17)."""

    name = "Treasury"

    def books(self, block: int | None = None) -> tuple[int, int, int]:
        """Levies received, burned of them, and the reserve left; base units."""
        levies, burned, reserve = self.read("books", block=block)
        return int(levies), int(burned), int(reserve)

    def available(self, spender: str) -> int:
        """Base units of the reserve that somebody may spend now, within its budget (R16)."""
        return int(self.read("available", spender))

    def budget(self, spender: str, block: int | None = None) -> BudgetWord:
        """What somebody may spend of the reserve in a period; a limit of zero is no budget."""
        return BudgetWord.unpack(int(self.read("budget_word", spender, block=block)))


class RecordRegistry(_Contract):
    """Records (R6, R7)."""

    name = "RecordRegistry"

    def accredit(
        self, wallet: Wallet, account: str, capabilities: int, key: str | None = None
    ) -> Receipt:
        """Accredit an institution. Caller: the accreditation role."""
        return self.send(wallet, "accredit", account, capabilities, key=key)

    def number_of(self, account: str) -> int:
        """An institution's number, or 0."""
        return int(self.read("number_of", account))

    def may(self, account: str, capability: int) -> bool:
        """Whether an account is an institution that is accredited for something."""
        return bool(self.read("institution", self.number_of(account))[1] & capability)

    def record_id(self, custodian: int, tag: bytes) -> bytes:
        """The id of a custodian's record with this duplicate tag, registered or not."""
        return bytes(self.read("record_id", custodian, tag))

    def facts(self, record: bytes, block: int | None = None) -> Facts:
        """What is stored of a record; an owner of zero is no record."""
        return Facts.unpack(int(self.read("facts", record, block=block)))

    def exists(self, record: bytes) -> bool:
        """Whether a record is registered."""
        return int(self.read("facts", record)) != 0

    def draft(self, record: bytes) -> Draft:
        """The whole draft of a registered record, from its event. Raises BadInput when unknown."""
        found = self.find("RecordRegistered", record)
        if not found:
            raise BadInput(f"No record 0x{record.hex()} is registered.")
        return Draft(**found[0][1].args["draft"])

    def attestation(self, record: bytes) -> dict[str, Any] | None:
        """The arguments of a record's last attestation event, or None."""
        found = self.find("RecordAttested", record)
        return found[-1][1].args if found else None

    def scores(self, record: bytes) -> Scores | None:
        """The scores that hold for a record, as attested or as a challenge put right, or None."""
        if not self.facts(record).attested:
            return None
        told = self.find("RecordAttested", record) + self.find("AttestationRevised", record)
        last = max(told, key=lambda each: (each[0].block, each[0].index))
        return Scores(**last[1].args["scores"])

    def register(self, wallet: Wallet, draft: Draft, key: str | None = None) -> Receipt:
        """Register a record. Caller: an accredited custodian."""
        return self.send(wallet, "register", asdict(draft), key=key)

    def attest(
        self, wallet: Wallet, record: bytes, scores: Scores, key: str | None = None
    ) -> Receipt:
        """Attest a record's content and quality. Caller: an accredited attester."""
        return self.send(wallet, "attest", record, asdict(scores), key=key)

    def destroy(
        self, wallet: Wallet, record: bytes, certificate: bytes, key: str | None = None
    ) -> Receipt:
        """Put a destruction certificate on the chain (R35). Caller: the record's custodian."""
        return self.send(wallet, "destroy", record, certificate, key=key)

    def add_rendition(
        self, wallet: Wallet, record: bytes, copy: SealedCopy, key: str | None = None
    ) -> Receipt:
        """State where a masked copy of a record is (R9, R35). Caller: the record's custodian."""
        return self.send(wallet, "add_rendition", record, asdict(copy), key=key)

    def renditions(self, record: bytes) -> list[SealedCopy]:
        """The masked copies of a record that are in force, in the order in which they came first."""
        found: dict[tuple[bytes, bytes], SealedCopy] = {}
        for _, log in self.find("RenditionAdded", record):
            copy = SealedCopy(**log.args["rendition"])
            found[copy.fields, copy.licence] = copy
        return list(found.values())

    def destruction(self, record: bytes) -> dict[str, Any] | None:
        """The arguments of the event of a record's destruction, or None."""
        found = self.find("RecordDestroyed", record)
        return found[0][1].args if found else None


class QualityDisputes(_Contract):
    """Challenges of attested quality (R7)."""

    name = "QualityDisputes"

    def terms(self) -> tuple[int, int, bool]:
        """The bond of a challenge (base units), the arbitrator's seconds, whether it is paused."""
        bond, window, paused = self.read("terms")
        return int(bond), int(window), bool(paused)

    def challenge_of(self, record: bytes) -> Challenge | None:
        """The open challenge of a record, or None."""
        found = self.read("dispute", record)
        values = list(found.values()) if isinstance(found, dict) else list(found)
        return Challenge(*values) if int(values[0], 16) else None

    def claim(self, record: bytes) -> Scores:
        """What the open challenge of a record claims. Raises BadInput when none is open."""
        found = self.find("ChallengeOpened", record)
        if not found or self.challenge_of(record) is None:
            raise BadInput(f"No challenge of record 0x{record.hex()} is open.")
        return Scores(**found[-1][1].args["claim"])

    def stake_of(self, number: int) -> int:
        """Base units that back an institution's attestations and are not at risk."""
        return int(self.read("stake_of", number))

    def credit_of(self, account: str) -> int:
        """Base units that an account can withdraw."""
        return int(self.read("credit_of", account))

    def stake(self, wallet: Wallet, amount: int, key: str | None = None) -> Receipt:
        """Back one's attestations. Caller: an institution that approved the amount."""
        return self.send(wallet, "stake", amount, key=key)

    def unstake(self, wallet: Wallet, amount: int, key: str | None = None) -> Receipt:
        """Take back stake that is not at risk. Caller: an institution."""
        return self.send(wallet, "unstake", amount, key=key)

    def challenge(
        self, wallet: Wallet, record: bytes, claim: Scores, evidence: bytes, key: str | None = None
    ) -> Receipt:
        """Challenge an attestation. Caller: anybody who approved the bond, but not its attester."""
        return self.send(wallet, "challenge", record, asdict(claim), evidence, key=key)

    def resolve(
        self,
        wallet: Wallet,
        record: bytes,
        upheld: bool,
        reason: bytes,
        key: str | None = None,
    ) -> Receipt:
        """Decide the open challenge of a record. Caller: the arbitrator role."""
        claim = asdict(self.claim(record))
        return self.send(wallet, "resolve", record, claim, upheld, reason, key=key)

    def lapse(self, wallet: Wallet, record: bytes, key: str | None = None) -> Receipt:
        """Close a challenge whose deadline has passed. Caller: anybody."""
        return self.send(wallet, "lapse", record, key=key)

    def withdraw(self, wallet: Wallet, key: str | None = None) -> Receipt:
        """Take what one's challenges returned."""
        return self.send(wallet, "withdraw", key=key)


class PayingContract(_Contract):
    """One that credits accounts, and pays them out by their signature over Withdrawal."""

    _credited = "balance_word"

    @property
    def domain(self) -> Domain:
        """The EIP-712 domain that signatures for this contract bind to."""
        return Domain(self._node.chain_id, self.address)

    def earnings(self, account: str, block: int | None = None) -> EarningsWord:
        """What was credited to an account and not paid out, and its next nonce."""
        return EarningsWord.unpack(int(self.read(self._credited, account, block=block)))

    def withdraw(
        self,
        wallet: Wallet,
        account: str,
        to: str,
        amount: int,
        deadline: int,
        signature: bytes,
        key: str | None = None,
    ) -> Receipt:
        """Bring a signed withdrawal to the chain."""
        return self.send(wallet, "withdraw", account, to, amount, deadline, signature, key=key)


class DataMarket(PayingContract):
    """Consents, licences, money (R8, R9, R12, R13, R15)."""

    name = "DataMarket"
    _credited = "earnings_word"

    # consents

    def consent(self, consent: bytes, block: int | None = None) -> ConsentWord:
        """What is stored of a consent; a patient of zero is no consent."""
        return ConsentWord.unpack(int(self.read("consent_word", consent, block=block)))

    def consent_terms(self, consent: bytes) -> Consent:
        """The terms of a granted consent, from its event. Raises ConsentRefused when unknown."""
        return self.consent_granted(consent)[0]

    def consent_granted(self, consent: bytes) -> tuple[Consent, int]:
        """As ``consent_terms``, and the block in which it was granted."""
        found = self.find("ConsentGranted", consent)
        if not found:
            raise ConsentRefused("consent: unknown consent")
        raw, log = found[0]
        return Consent(**log.args["terms"]), raw.block

    def grant(
        self, wallet: Wallet, consent: Consent, signature: bytes, key: str | None = None
    ) -> Receipt:
        """Bring a signed consent to the chain."""
        return self.send(wallet, "grant_consent", consent.values(), signature, key=key)

    def grant_many(
        self, wallet: Wallet, signed: list[tuple[Consent, bytes]], key: str | None = None
    ) -> Receipt:
        """Bring up to 50 signed consents to the chain, all or none."""
        terms = [c.values() for c, _ in signed]
        return self.send(wallet, "grant_consents", terms, [s for _, s in signed], key=key)

    def revoke(
        self, wallet: Wallet, consent: bytes, signature: bytes, key: str | None = None
    ) -> Receipt:
        """Bring a signed revocation to the chain."""
        return self.send(wallet, "revoke_consent", consent, signature, key=key)

    def cancel(
        self, wallet: Wallet, consent: Consent, signature: bytes, key: str | None = None
    ) -> Receipt:
        """Revoke a consent that was signed but never brought."""
        return self.send(wallet, "cancel_consent", consent.values(), signature, key=key)

    # money

    def rates(self) -> RatesWord:
        """The rates for money taken now."""
        return RatesWord.unpack(int(self.read("rates_word")))

    def licensee(self, account: str, block: int | None = None) -> LicenseeWord:
        """A licensee's deposit, groups, region and flags."""
        return LicenseeWord.unpack(int(self.read("licensee_word", account, block=block)))

    def set_licensee(
        self,
        wallet: Wallet,
        account: str,
        groups: int,
        region: int,
        flags: int = 0,
        key: str | None = None,
    ) -> Receipt:
        """State a licensee's credential groups. Caller: the credential role."""
        return self.send(wallet, "set_licensee", account, groups, region, flags, key=key)

    def reclaim(self, wallet: Wallet, amount: int, key: str | None = None) -> Receipt:
        """Take back unspent deposit of the wallet's own, base units."""
        return self.send(wallet, "reclaim", amount, key=key)

    def deposit_with_permit(
        self,
        wallet: Wallet,
        amount: int,
        deadline: int,
        permit: tuple[int, bytes, bytes],
        key: str | None = None,
    ) -> Receipt:
        """Prepay from the wallet's own DUT, permit included."""
        args = (wallet.address, amount, deadline, *permit)
        return self.send(wallet, "deposit_with_permit", *args, key=key)

    # licences

    def agreement(self) -> bytes:
        """Hash of the data-use commitment in force."""
        return bytes(self.read("agreement"))

    def licence(self, licence: bytes, block: int | None = None) -> LicenceWord:
        """What is stored of a licence; a form of zero is no licence."""
        return LicenceWord.unpack(int(self.read("licence_word", licence, block=block)))

    def licence_ref(self, licence: bytes) -> LicenceRef:
        """What names a licence, from its event. Raises ContractRefused when unknown."""
        return self.licence_bought(licence)[1]

    def licence_bought(self, licence: bytes) -> tuple[dict[str, Any], LicenceRef, int]:
        """The purchase event's arguments, the ref, and the block of the purchase."""
        found = self.find("LicenceBought", licence)
        if not found:
            raise ContractRefused("licence: unknown licence")
        raw, log = found[0]
        a = log.args
        ref = LicenceRef(a["consent"], a["record"], a["licensee"], a["salt"])
        return a, ref, raw.block

    def is_usable(self, ref: LicenceRef, block: int | None = None) -> bool:
        """Whether a licence runs: bought, not ended, suspended or closed, its consent live."""
        at = self._node.head() if block is None else self._node.block(block)
        word = self.licence(ref.id(), block)
        consent = self.consent(ref.consent, block)
        ended = word.closed or word.suspended or word.end <= at.timestamp
        revoked = consent.revoked_at != 0 or consent.expiry <= at.timestamp
        return word.form != 0 and not ended and not revoked

    def buy(
        self,
        wallet: Wallet,
        order: Order,
        consent: Consent,
        proof: list[bytes],
        key: str | None = None,
    ) -> Receipt:
        """Buy a licence from the wallet's deposit."""
        args = (asdict(order), consent.values(), proof)
        return self.send(wallet, "buy_licence", *args, key=key)

    def use(self, wallet: Wallet, ref: LicenceRef, units: int, key: str | None = None) -> Receipt:
        """Use the wallet's licence."""
        args = (ref.consent, ref.record, ref.salt, units)
        return self.send(wallet, "use_licence", *args, key=key)

    def window(self) -> int:
        """Seconds after a licence's end in which acknowledged vouchers still count (R14)."""
        return int(self.read("window"))

    def top_up(
        self, wallet: Wallet, ref: LicenceRef, units: int, key: str | None = None
    ) -> Receipt:
        """Prepay further units of the wallet's metered licence."""
        return self.send(wallet, "top_up", asdict(ref), units, key=key)

    def redeem(
        self, wallet: Wallet, vouchers: list[SignedVoucher], key: str | None = None
    ) -> Receipt:
        """Count what up to 100 vouchers acknowledge, all or none. Anybody may."""
        return self.send(wallet, "redeem_vouchers", [asdict(v) for v in vouchers], key=key)

    def settle(self, wallet: Wallet, refs: list[LicenceRef], key: str | None = None) -> Receipt:
        """Credit what up to 100 licences have earned; close those that have ended."""
        return self.send(wallet, "settle", [asdict(r) for r in refs], key=key)


@dataclass(frozen=True)
class Ask:
    """What a price is asked for (R13)."""

    record: bytes
    form: int
    purposes: int
    urgent: bool
    floorPrice: int  # noqa: N815  the ABI's name
    region: int
    certified: bool


@dataclass(frozen=True)
class Quote:
    """The price of one unit and why: base units, then every factor in bps."""

    price: int
    owner: str
    tier: int
    live: bool
    reference: int
    dvi: int
    scarcity: int
    purpose: int
    urgency: int
    sensitivity: int
    locality: int
    discount: int
    rental: int


class Tariff(_Contract):
    """Prices (R13)."""

    name = "Tariff"

    def quote(self, ask: Ask) -> Quote:
        """What one unit of a record costs now; a price of zero is not for sale."""
        return Quote(**self.read("quote", asdict(ask)))

    def move_scarcity(self, wallet: Wallet, kind: int, key: str | None = None) -> Receipt:
        """Let a kind's scarcity follow supply and demand, once a week. Anybody may."""
        return self.send(wallet, "move_scarcity", kind, key=key)


def study_id(payer: str, number: int) -> bytes:
    """The id of a payer's study: keccak256(abi.encode(payer, number))."""
    return keccak(encode(["address", "uint256"], [payer, number]))


def option_id(study: bytes, funder: str, milestone: bytes) -> bytes:
    """The id of a milestone option: keccak256(abi.encode(study, funder, milestone))."""
    return keccak(encode(["bytes32", "address", "bytes32"], [study, funder, milestone]))


@dataclass(frozen=True)
class Membership:
    """One line of a study's roster, with its proof."""

    index: int
    account: str
    weight: int
    proof: list[bytes]


class RoyaltyVault(PayingContract):
    """Royalties and milestone options (R18, R19, R20)."""

    name = "RoyaltyVault"

    # what is stored

    def settings(self, block: int | None = None) -> RoyaltySettings:
        """The rate and window of new studies, the levy, and whether money may come in."""
        return RoyaltySettings.unpack(int(self.read("settings_word", block=block)))

    def study(self, study: bytes, block: int | None = None) -> StudyWord:
        """A study's payer, opening and rate; a payer of zero is no study."""
        return StudyWord.unpack(int(self.read("study_word", study, block=block)))

    def root(self, study: bytes) -> bytes:
        """The root of a study's roster, or zeros."""
        return bytes(self.read("root", study))

    def books(self, study: bytes, block: int | None = None) -> BooksWord:
        """A study's pot, what is due, and the levy that waits; base units."""
        return BooksWord.unpack(int(self.read("books_word", study, block=block)))

    def shares(self, study: bytes, block: int | None = None) -> SharesWord:
        """A study's total weight, number of lines, and what was claimed."""
        return SharesWord.unpack(int(self.read("shares_word", study, block=block)))

    def member(self, study: bytes, account: str, block: int | None = None) -> MemberWord:
        """A member's weight and mark; a weight of zero has not joined."""
        return MemberWord.unpack(int(self.read("member_word", study, account, block=block)))

    def period(self, study: bytes, period: int) -> PeriodWord:
        """What was attested for a period."""
        return PeriodWord.unpack(int(self.read("period_word", study, period)))

    def unpaid(self, study: bytes, period: int) -> int:
        """Base units of a period's royalty that are neither paid nor waived."""
        return int(self.read("unpaid", study, period))

    def option(self, study: bytes, funder: str, milestone: bytes) -> OptionWord:
        """A milestone option; a state of zero is none."""
        return OptionWord.unpack(int(self.read("option_word", option_id(study, funder, milestone))))

    def sealed(self, study: bytes) -> dict[str, Any]:
        """The arguments of the newest sealing of a study. Raises ContractRefused when unknown."""
        found = self.find("StudySealed", study)
        if not found:
            raise ContractRefused("royalty: unknown study")
        return found[-1][1].args

    # what people do

    def seal(
        self,
        wallet: Wallet,
        payer: str,
        number: int,
        root: bytes,
        total: int,
        count: int,
        manifest: bytes,
        key: str | None = None,
    ) -> Receipt:
        """Seal a study's roster. Caller: an accredited custodian."""
        args = (payer, number, root, total, count, manifest)
        return self.send(wallet, "seal", *args, key=key)

    def undertake(
        self, wallet: Wallet, number: int, root: bytes, key: str | None = None
    ) -> Receipt:
        """Undertake to pay the royalty of the wallet's own study."""
        return self.send(wallet, "undertake", number, root, key=key)

    def attest_sales(
        self,
        wallet: Wallet,
        study: bytes,
        period: int,
        sales: int,
        evidence: bytes,
        key: str | None = None,
    ) -> Receipt:
        """Attest what a product sold in a period. Caller: the product attester role."""
        return self.send(wallet, "attest_sales", study, period, sales, evidence, key=key)

    def cancel(
        self, wallet: Wallet, study: bytes, reason: bytes, key: str | None = None
    ) -> Receipt:
        """Cancel a wrong roster before it opens. Caller: the council role."""
        return self.send(wallet, "cancel", study, reason, key=key)

    def waive(
        self, wallet: Wallet, study: bytes, amount: int, reason: bytes, key: str | None = None
    ) -> Receipt:
        """Correct what is due. Caller: the council role."""
        return self.send(wallet, "waive", study, amount, reason, key=key)

    def pay(
        self, wallet: Wallet, payer: str, number: int, amount: int, key: str | None = None
    ) -> Receipt:
        """Pull some of what is due from the payer's allowance. Anybody may."""
        return self.send(wallet, "pay", payer, number, amount, key=key)

    def join(
        self, wallet: Wallet, study: bytes, member: Membership, key: str | None = None
    ) -> Receipt:
        """Prove a line of the roster and credit its account. Anybody may."""
        args = (member.index, member.account, member.weight, member.proof)
        return self.send(wallet, "join", study, *args, key=key)

    def join_many(
        self, wallet: Wallet, study: bytes, members: list[Membership], key: str | None = None
    ) -> Receipt:
        """Prove up to 50 lines. Anybody may."""
        return self.send(wallet, "join_many", study, [asdict(m) for m in members], key=key)

    def claim(self, wallet: Wallet, study: bytes, account: str, key: str | None = None) -> Receipt:
        """Credit a member. Anybody may."""
        return self.send(wallet, "claim", study, account, key=key)

    def claim_many(
        self, wallet: Wallet, study: bytes, accounts: list[str], key: str | None = None
    ) -> Receipt:
        """Credit up to 100 members. Anybody may."""
        return self.send(wallet, "claim_many", study, accounts, key=key)

    def grant_option(
        self,
        wallet: Wallet,
        study: bytes,
        milestone: bytes,
        amount: int,
        expiry: int,
        key: str | None = None,
    ) -> Receipt:
        """Escrow the wallet's DUT for a study's contributors until a milestone or ``expiry`` (R20)."""
        return self.send(wallet, "grant_option", study, milestone, amount, expiry, key=key)

    def vest_option(
        self,
        wallet: Wallet,
        study: bytes,
        funder: str,
        milestone: bytes,
        evidence: bytes,
        key: str | None = None,
    ) -> Receipt:
        """Attest that a milestone was reached. Caller: the product attester role."""
        return self.send(wallet, "vest_option", study, funder, milestone, evidence, key=key)

    def return_option(
        self, wallet: Wallet, study: bytes, funder: str, milestone: bytes, key: str | None = None
    ) -> Receipt:
        """Credit the funder of an option that expired with its escrow. Anybody may."""
        return self.send(wallet, "return_option", study, funder, milestone, key=key)

    def hand_over(self, wallet: Wallet, studies: list[bytes], key: str | None = None) -> Receipt:
        """Hand the levies of up to 100 studies to the treasury. Anybody may."""
        return self.send(wallet, "hand_over", studies, key=key)


class Rewards(_Contract):
    """Credit, boards, services, outcomes (R25, R26, R27)."""

    name = "Rewards"

    @property
    def domain(self) -> Domain:
        """The EIP-712 domain that redemptions, referrals and donations bind to."""
        return Domain(self._node.chain_id, self.address)

    def credit(self, account: str) -> CreditWord:
        """An account's points, months in a row and next nonce."""
        return CreditWord.unpack(int(self.read("account_word", account)))

    def board(self, board: int, period: int) -> list[tuple[str, int]]:
        """Account and points of a period's ten, highest first."""
        found = [int(entry) for entry in self.read("top", board, period) if entry]
        return [
            (to_checksum_address((entry % 2**160).to_bytes(20)), entry >> 160) for entry in found
        ]

    def service(self, number: int) -> dict[str, Any]:
        """A listed service: provider (zero: none), token, price and points."""
        return dict(self.read("service", number))

    def outcomes(self, record: bytes) -> list[dict[str, Any]]:
        """What licensees stated that a record led to, oldest first."""
        found = []
        for place in range(int(self.read("outcomes", record))):
            number = int(self.read("outcome_at", record, place))
            told = self.find("OutcomeReported", number.to_bytes(32))
            found.append(told[0][1].args)
        return found

    def count_record(
        self, wallet: Wallet, custodian: int, tag: bytes, key: str | None = None
    ) -> Receipt:
        """Count a record for patient and custodian. Anybody may."""
        return self.send(wallet, "count_record", custodian, tag, key=key)

    def count_use(self, wallet: Wallet, ref: LicenceRef, key: str | None = None) -> Receipt:
        """Count what a licence has settled. Anybody may."""
        return self.send(wallet, "count_use", asdict(ref), key=key)

    def nominate(
        self, wallet: Wallet, board: int, period: int, account: str, key: str | None = None
    ) -> Receipt:
        """Put an account on a board. Anybody may, in the week after the period."""
        return self.send(wallet, "nominate", board, period, account, key=key)

    def award(self, wallet: Wallet, board: int, period: int, key: str | None = None) -> Receipt:
        """Give a board its badges. Anybody may, once nominations have ended."""
        return self.send(wallet, "award", board, period, key=key)

    def redeem(
        self, wallet: Wallet, redemption: Redemption, signature: bytes, key: str | None = None
    ) -> Receipt:
        """Bring a signed redemption to the chain."""
        r = redemption
        args = (r.account, r.service, r.price, r.deadline, signature)
        return self.send(wallet, "redeem", *args, key=key)

    def serve(self, wallet: Wallet, voucher: int, note: bytes, key: str | None = None) -> Receipt:
        """Mark a voucher as served. Caller: its service's provider."""
        return self.send(wallet, "serve", voucher, note, key=key)

    def report_outcome(
        self,
        wallet: Wallet,
        kind: int,
        statement: bytes,
        refs: list[LicenceRef],
        key: str | None = None,
    ) -> Receipt:
        """State what the records of the wallet's own licences led to."""
        values = [asdict(ref) for ref in refs]
        return self.send(wallet, "report_outcome", kind, statement, values, key=key)


@dataclass(frozen=True)
class Lineage:
    """What is stated of an asset's roster (R3)."""

    root: bytes
    total: int
    count: int
    manifest: bytes


@dataclass(frozen=True)
class Source:
    """A licence that an asset came from, and the terms of the consent that it was bought under."""

    ref: LicenceRef
    consent: Consent

    def values(self) -> dict[str, Any]:
        """As the contract takes it."""
        return {"ref": asdict(self.ref), "consent": self.consent.values()}


class AssetDesk(PayingContract):
    """Institution assets: their lineage, offers and money (R3)."""

    name = "AssetDesk"

    def terms(self) -> tuple[int, int]:
        """The lineage share of new assets (bps), and the seconds until a roster opens."""
        share, window = self.read("terms")
        return int(share), int(window)

    def account_of(self, asset: bytes) -> str:
        """The account that owns an asset's record, whether it was made or not."""
        return str(self.read("account_of", asset))

    def asset(self, asset: bytes, block: int | None = None) -> AssetWord:
        """What is stored of an asset; a creator of zero is no asset."""
        return AssetWord.unpack(int(self.read("asset_word", asset, block=block)))

    def lineage(self, asset: bytes) -> tuple[bytes, int]:
        """Root and sum of the weights of the roster that stands; zeros when it was taken back."""
        root, total = self.read("lineage", asset)
        return bytes(root), int(total)

    def books(self, asset: bytes, block: int | None = None) -> AssetBooks:
        """An asset's money, base units."""
        return AssetBooks.unpack(int(self.read("books_word", asset, block=block)))

    def line(self, asset: bytes, licence: bytes) -> LineWord:
        """What is stored of a line; a weight of zero has not joined."""
        return LineWord.unpack(int(self.read("line_word", asset, licence)))

    def claimable(self, asset: bytes, licence: bytes) -> int:
        """Base units that a line could claim now."""
        return int(self.read("claimable", asset, licence))

    def stated(self, asset: bytes) -> Lineage:
        """The roster that was stated last. Raises ContractRefused for an unknown asset."""
        found = self.find("LineageStated", asset)
        if not found:
            raise ContractRefused("asset: unknown asset")
        return Lineage(**found[-1][1].args["lineage"])

    def joined(self, asset: bytes) -> list[dict[str, Any]]:
        """The lines that have joined, from their events."""
        return [log.args for _, log in self.find("SourceJoined", asset)]

    def create(
        self, wallet: Wallet, asset: bytes, lineage: Lineage, key: str | None = None
    ) -> Receipt:
        """Make an asset of a derived record. Caller: its custodian."""
        return self.send(wallet, "create", asset, asdict(lineage), key=key)

    def restate(
        self, wallet: Wallet, asset: bytes, lineage: Lineage, key: str | None = None
    ) -> Receipt:
        """State another roster for one that was taken back. Caller: the record's custodian."""
        return self.send(wallet, "restate", asset, asdict(lineage), key=key)

    def refute(
        self,
        wallet: Wallet,
        asset: bytes,
        line: dict[str, Any],
        source: Source,
        key: str | None = None,
    ) -> Receipt:
        """Take a roster back by a line that does not count. Anybody may."""
        return self.send(wallet, "refute", asset, line, source.values(), key=key)

    def cancel(
        self, wallet: Wallet, asset: bytes, reason: bytes, key: str | None = None
    ) -> Receipt:
        """Take a roster back for a reason. Caller: the council role."""
        return self.send(wallet, "cancel", asset, reason, key=key)

    def join(
        self,
        wallet: Wallet,
        asset: bytes,
        lines: list[dict[str, Any]],
        sources: list[Source],
        key: str | None = None,
    ) -> Receipt:
        """Prove up to 50 lines of an open roster. Anybody may."""
        return self.send(wallet, "join", asset, lines, [s.values() for s in sources], key=key)

    def offer(
        self, wallet: Wallet, asset: bytes, consent: Consent, key: str | None = None
    ) -> Receipt:
        """Offer an asset under these terms. Caller: the token's holder."""
        return self.send(wallet, "offer", asset, consent.values(), key=key)

    def withdraw_offer(
        self, wallet: Wallet, asset: bytes, consent: bytes, key: str | None = None
    ) -> Receipt:
        """Revoke a consent of the asset. Caller: the token's holder."""
        return self.send(wallet, "withdraw_offer", asset, consent, key=key)

    def collect(self, wallet: Wallet, asset: bytes, key: str | None = None) -> Receipt:
        """Book what an asset has earned. Anybody may."""
        return self.send(wallet, "collect", asset, key=key)

    def claim(
        self, wallet: Wallet, asset: bytes, refs: list[LicenceRef], key: str | None = None
    ) -> Receipt:
        """Credit the sources of up to 50 joined lines. Anybody may."""
        return self.send(wallet, "claim", asset, [asdict(ref) for ref in refs], key=key)


class InstitutionToken(_Contract):
    """Who holds which institution asset (R3); a token's id is its record's, as a number."""

    name = "InstitutionToken"

    def holder(self, asset: bytes) -> str:
        """Who holds an asset. Raises ContractRefused when there is none."""
        return str(self.read("ownerOf", int.from_bytes(asset)))

    def transfer(self, wallet: Wallet, asset: bytes, to: str, key: str | None = None) -> Receipt:
        """Hand an asset to somebody; what it has earned is booked to its holder first."""
        number = int.from_bytes(asset)
        return self.send(wallet, "transferFrom", wallet.address, to, number, key=key)


# Contracts that credit accounts, and pay out against the account's signature over Withdrawal.


class PayoutRelay(_Contract):
    """Several signed withdrawals in one transaction."""

    name = "PayoutRelay"

    def withdraw_many(
        self,
        wallet: Wallet,
        purse: PayingContract,
        signed: Sequence[tuple[Withdrawal, bytes]],
        key: str | None = None,
    ) -> Receipt:
        """Bring up to 20 withdrawals from one purse. What it refuses now is passed over."""
        withdrawals = [
            {
                "account": message.account,
                "to": message.to,
                "amount": message.amount,
                "deadline": message.deadline,
                "signature": signature,
            }
            for message, signature in signed
        ]
        return self.send(wallet, "withdraw_many", purse.address, withdrawals, key=key)


@dataclass(frozen=True)
class Answer:
    """The answer to one sample of a storage challenge (R5)."""

    line: Line
    right: int
    steps: tuple[Step, ...]
    attester: int
    signature: bytes
    chunk: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True)
class StorageRules:
    """What storage must meet to earn (R5)."""

    threshold: int  # the least DVI that counts
    samples: int
    gap: int  # seconds
    window: int  # seconds
    price: int  # base units: the least of a call that counts


class StorageRewards(_Contract):
    """Governance tokens for storage that was proven (R5)."""

    name = "StorageRewards"

    def rules(self) -> StorageRules:
        """The rules for challenges that are opened now."""
        return StorageRules(**self.read("rules"))

    def bonuses(self) -> list[tuple[int, int]]:
        """From so many paid calls in a period on, so many bps more."""
        return [(int(b["calls"]), int(b["share"])) for b in self.read("bonuses")]

    def holding(self, custodian: int, block: int | None = None) -> HoldingWord:
        """What an institution says it stores; a size of zero is nothing."""
        return HoldingWord.unpack(int(self.read("holding_word", custodian, block=block)))

    def root(self, custodian: int) -> bytes:
        """The root of an institution's holding."""
        return bytes(self.read("root", custodian))

    def calls(self, custodian: int) -> int:
        """Paid calls counted in the period that runs."""
        tally = TallyWord.unpack(int(self.read("tally_word", custodian)))
        return tally.calls if tally.begun == self.holding(custodian).begun else 0

    def sample(self, custodian: int, number: int) -> int:
        """Which byte of the holding a sample of the open challenge asks for."""
        return int(self.read("sample", custodian, number))

    def commit(self, wallet: Wallet, root: bytes, size: int, key: str | None = None) -> Receipt:
        """State what the wallet's institution stores. Caller: an accredited custodian."""
        return self.send(wallet, "commit", root, size, key=key)

    def challenge(self, wallet: Wallet, custodian: int, key: str | None = None) -> Receipt:
        """Have the next block draw samples of a holding. Anybody may."""
        return self.send(wallet, "challenge", custodian, key=key)

    def answer(
        self, wallet: Wallet, custodian: int, answers: list[Answer], key: str | None = None
    ) -> Receipt:
        """Answer the next samples, at most 16. Anybody may bring them."""
        return self.send(wallet, "answer", custodian, [asdict(a) for a in answers], key=key)

    def fail(self, wallet: Wallet, custodian: int, key: str | None = None) -> Receipt:
        """Put on record that a challenge was not answered in time. Anybody may."""
        return self.send(wallet, "fail", custodian, key=key)

    def mark_calls(self, wallet: Wallet, refs: list[LicenceRef], key: str | None = None) -> Receipt:
        """Count the settled calls of up to 50 metered licences. Anybody may."""
        return self.send(wallet, "mark_calls", [asdict(r) for r in refs], key=key)


class LicenceView(_Contract):
    """What licensees attested once their licences were over (R35)."""

    name = "LicenceView"

    @property
    def domain(self) -> Domain:
        """In which CopyDestruction is signed."""
        return Domain(self._node.chain_id, self.address)

    def attest_destruction(
        self,
        wallet: Wallet,
        ref: LicenceRef,
        statement: bytes,
        signature: bytes = b"",
        key: str | None = None,
    ) -> Receipt:
        """Put a licensee's attestation on the chain; without a signature the wallet is the licensee."""
        args = (asdict(ref), statement, signature)
        return self.send(wallet, "attest_destruction", *args, key=key)

    def destruction(self, licence: bytes) -> bytes:
        """The hash of the statement, or zeros."""
        return bytes(self.read("destruction", licence))


class Suite:
    """All contracts of a deployment, on one node. Refuses a deployment of another chain."""

    def __init__(self, node: Node, deployment: Deployment) -> None:
        """Raises WrongChain when the deployment is another chain's, DeploymentError when the chain
        has no market where the deployment says, or the record is no record.
        """
        for contract in deployment.contracts.values():
            if not (is_address(contract.address) and isinstance(contract.block, int)):
                raise DeploymentError(
                    f"The deployment record is malformed: it does not say where {contract.name} is."
                )
        if node.chain_id != deployment.chain_id:
            raise WrongChain(
                f"The deployment record is for chain {deployment.chain_id}, "
                f"but the node at {node.url} is on chain {node.chain_id}."
            )
        self.node = node
        self.deployment = deployment
        self.usage = UsageToken(node, deployment)
        self.contributions = ContributionToken(node, deployment)
        self.registry = RecordRegistry(node, deployment)
        self.treasury = Treasury(node, deployment)
        self.tariff = Tariff(node, deployment)
        self.disputes = QualityDisputes(node, deployment)
        self.market = DataMarket(node, deployment)
        self.royalties = RoyaltyVault(node, deployment)
        self.assets = AssetDesk(node, deployment)
        self.institution_assets = InstitutionToken(node, deployment)
        self.governance = GovernanceToken(node, deployment)
        self.storage = StorageRewards(node, deployment)
        self.view = LicenceView(node, deployment)
        self.payouts = PayoutRelay(node, deployment)
        self.rewards = Rewards(node, deployment)
        if not node.code(self.market.address):
            raise DeploymentError(
                f"There is no contract at {self.market.address}, where the deployment record has "
                "the DataMarket: it is of an earlier chain, perhaps."
            )

    def today(self) -> dt.date:
        """The day (UTC) of the newest block."""
        return dt.datetime.fromtimestamp(self.node.head().timestamp, dt.UTC).date()
