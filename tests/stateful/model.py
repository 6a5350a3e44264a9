"""A plain model of the whole ledger, written from the rules and not from the contracts.

Every state-changing function of the suite has a method of the same name here: first the sender,
then the arguments. It either changes the model or raises ``Refused`` with the reasons that forbid
the call. Amounts are exact integers of base units; where a rule speaks of a fraction it is one, and
``whole`` insists that what comes out of it is a whole number of base units.

What the rules leave open, and what is assumed here:

A1. A price is rounded down to a grain of 10^9 base units, once, for a whole unit (R13).
A2. What a fixed term has earned is counted from its start and rounded down to a grain (R9, R12).
A3. The record shows Q rounded down to a whole point; the half counts (R1, R7).
A4. When several reasons forbid a call, any one of them may be given.
A5. An amount of 2^255 or more, which nobody can ever have, may be refused without a sentence.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple

from eth_abi import encode
from eth_utils import keccak, to_checksum_address

from medtoken.messages import Consent, Revocation, Voucher, Withdrawal

BPS = 10_000
GRAIN = 10**9
TOKEN = 10**18
DAY = 86_400
YEAR = 365 * DAY
ZERO = "0x" + "00" * 20
NONE = bytes(32)
KINDS = range(1, 9)
WORLD_REGION = 1
HIGHLY_SENSITIVE = 3
UNLIMITED = 2**256 - 1
FIXED, METERED, RENTAL = 1, 2, 3
WEEK = 7 * DAY
DIMENSIONS = ("volume", "completeness", "timeliness", "accuracy", "annotation", "traceability")

# Amounts that no balance can reach overflow before anything looks at them (A5).
SILENT = "the contract refused and gave no reason"
ABSURD = 2**255

State = dict[tuple[Any, ...], Any]


class Refused(Exception):
    """The rules forbid the call. ``reasons`` are the beginnings of the sentences that say why."""

    def __init__(self, reasons: Iterable[str]) -> None:
        self.reasons = frozenset(reasons)
        super().__init__(" | ".join(sorted(self.reasons)))


def refuse(*checks: tuple[object, str]) -> None:
    """Refuse when any of the things that are wrong is the case."""
    reasons = [sentence for wrong, sentence in checks if wrong]
    if reasons:
        raise Refused(reasons)


def whole(amount: Fraction | int) -> int:
    """The amount, which the rules make a whole number of base units."""
    assert amount == int(amount), f"{amount} is no whole number of base units"
    return int(amount)


def pack(*parts: tuple[Any, int]) -> int:
    """A word of parts and their widths in bits, lowest first."""
    word = at = 0
    for part, bits in parts:
        value = int(part, 16) if isinstance(part, str) else int(part)
        assert 0 <= value < 1 << bits, f"{part} does not fit {bits} bits"
        word |= value << at
        at += bits
    return word


@dataclass(frozen=True)
class Signature:
    """A signature as bytes, and what no verifier can see: who made it, and over what."""

    by: str | None
    over: Any
    raw: bytes

    def counts(self, sender: str, owner: str, message: Any) -> bool:
        """Whether ``owner`` said this, by signature or by sending the transaction itself."""
        return sender == owner or (self.by == owner != ZERO and self.over == message)


class PermitSignature(Signature):
    """A signature that a function takes as v, r and s."""


class Permit(NamedTuple):
    """What a holder of DUT signs to give an allowance (ERC-2612)."""

    owner: str
    spender: str
    value: int
    nonce: int
    deadline: int


@dataclass(frozen=True)
class Proof:
    """A Merkle proof as hashes, and what it was made for."""

    root: bytes = NONE
    leaf: bytes = NONE
    raw: tuple[bytes, ...] = ()

    def leads(self, root: bytes, leaf: bytes) -> bool:
        """Whether it shows that ``leaf`` is in the set of ``root``."""
        return (self.root, self.leaf) == (root, leaf) if self.raw else root == leaf


class Ref(NamedTuple):
    """What names a licence."""

    consent: bytes
    record: bytes
    licensee: str
    salt: int

    @property
    def id(self) -> bytes:
        return keccak(encode(["bytes32", "bytes32", "address", "uint256"], list(self)))

    @property
    def key(self) -> str:
        """Whose vouchers count: the low bits of the salt; zero is nobody's."""
        return to_checksum_address((self.salt % 2**160).to_bytes(20))


class Rates(NamedTuple):
    """bps of a price, and of the levy on top."""

    provider: int
    annotator: int
    platform: int
    levy: int

    def levy_on(self, gross: int) -> int:
        return whole(gross * Fraction(self.levy, BPS))


class Shares(NamedTuple):
    """What a settled amount becomes."""

    patient: int
    custodian: int
    annotator: int
    platform: int


def shares(gross: int, rates: Rates, patient_share: int, annotated: bool) -> Shares:
    """R15 and R8: who gets what of a price."""
    trusted = patient_share == 6000  # R21: all of it is the provider's
    annotator = whole(gross * Fraction(rates.annotator, BPS)) if annotated and not trusted else 0
    platform = 0 if trusted else whole(gross * Fraction(rates.platform, BPS))
    provider = gross - annotator - platform
    patient = whole(provider * Fraction(patient_share, BPS))
    return Shares(patient, provider - patient, annotator, platform)


# -------------------------------------------------------------------------------- who may do what


class Access:
    """Roles. What belongs to no role belongs to the timelock."""

    EXCHANGE, COMPLIANCE = 2, 1

    def __init__(self, timelock: str, roles: dict[str, set[str]]) -> None:
        self.timelock = timelock
        self.roles = roles

    def denied(self, sender: str, role: str | None) -> bool:
        allowed = {self.timelock} if role is None else self.roles.get(role, set())
        return sender not in allowed

    def grantRole(self, sender: str, role: int, account: str, delay: int) -> None:  # noqa: N802
        """Only of the role that compliance gives and takes: EXCHANGE."""
        assert (role, delay) == (self.EXCHANGE, 0)
        refuse((self.denied(sender, "COMPLIANCE"), "AccessManagerUnauthorizedAccount("))
        self.roles["EXCHANGE"].add(account)

    def revokeRole(self, sender: str, role: int, account: str) -> None:  # noqa: N802
        assert role == self.EXCHANGE
        refuse((self.denied(sender, "COMPLIANCE"), "AccessManagerUnauthorizedAccount("))
        self.roles["EXCHANGE"].discard(account)


class Book:
    """What the parts of the model share: the time, the roles, and each other."""

    def __init__(self, model: Model) -> None:
        self.model = model

    @property
    def now(self) -> int:
        return self.model.now

    def _domain(self, sender: str, role: str | None = None) -> tuple[bool, str]:
        return self.model.access.denied(sender, role), "access: caller may not do this"

    def _token(self, sender: str, role: str | None = None) -> tuple[bool, str]:
        return self.model.access.denied(sender, role), f"AccessManagedUnauthorized({sender})"


# -------------------------------------------------------------------------------- DUT (R2)


class Usage(Book):
    """The token that pays: issued by exchanges, moved between those who may hold it."""

    ADMITTED, PROTOCOL, FROZEN = 1, 2, 4
    MAX_CAP = 10**30

    def __init__(self, model: Model, cap: int, protocol: Iterable[str]) -> None:
        super().__init__(model)
        self.balances: dict[str, int] = defaultdict(int)
        self.allowances: dict[tuple[str, str], int] = {}
        self.standing: dict[str, int] = defaultdict(int)
        self.nonces: dict[str, int] = defaultdict(int)
        self.issued: dict[int, int] = defaultdict(int)
        self.cap = cap
        self.minted = self.burned = 0
        # What reached the market or the treasury without a reason that their books know.
        self.gifts: dict[str, int] = defaultdict(int)
        for account in protocol:
            self.standing[account] = self.PROTOCOL

    @property
    def supply(self) -> int:
        return self.minted - self.burned

    def holds(self, account: str) -> bool:
        bits = self.standing[account]
        return not bits & self.FROZEN and bits & (self.ADMITTED | self.PROTOCOL) != 0

    def _unfit(self, account: str) -> Iterator[tuple[bool, str]]:
        """Why an account may not send or receive."""
        bits = self.standing[account]
        yield bits & self.FROZEN != 0, "DUT: the account is frozen"
        yield not bits & (self.ADMITTED | self.PROTOCOL), "DUT: the account is not admitted"

    def move_checks(self, sender: str, to: str, amount: int) -> Iterator[tuple[bool, str]]:
        yield to == ZERO, "ERC20InvalidReceiver("
        yield from self._unfit(sender)
        if to != ZERO:
            yield from self._unfit(to)
        held = self.balances[sender]
        yield held < amount, f"ERC20InsufficientBalance({sender}, {held}, {amount})"

    def spend_checks(
        self, owner: str, spender: str, to: str, amount: int
    ) -> Iterator[tuple[bool, str]]:
        allowed = self.allowances.get((owner, spender), 0)
        yield self.standing[spender] & self.FROZEN != 0, "DUT: the account is frozen"
        yield allowed < amount, f"ERC20InsufficientAllowance({spender}, {allowed}, {amount})"
        yield from self.move_checks(owner, to, amount)

    def move(self, sender: str, to: str, amount: int) -> None:
        refuse(*self.move_checks(sender, to, amount))
        self.balances[sender] -= amount
        self.balances[to] += amount

    def spend(self, owner: str, spender: str, to: str, amount: int) -> None:
        refuse(*self.spend_checks(owner, spender, to, amount))
        allowed = self.allowances.get((owner, spender), 0)
        if allowed != UNLIMITED:
            self.allowances[owner, spender] = allowed - amount
        self.move(owner, to, amount)

    def _give(self, to: str, amount: int) -> None:
        if to in (self.model.market.address, self.model.treasury.address):
            self.gifts[to] += amount

    def _destroy(self, holder: str, amount: int) -> None:
        held = self.balances[holder]
        refuse(
            *self._unfit(holder),
            (held < amount, f"ERC20InsufficientBalance({holder}, {held}, {amount})"),
        )
        self.balances[holder] -= amount
        self.burned += amount

    def issue(self, sender: str, to: str, amount: int, payment: bytes) -> None:
        day = self.now // DAY
        issued = self.issued[day] + amount
        overflows = issued >= 2**256
        refuse(
            self._token(sender, "EXCHANGE"),
            (overflows, "panic 0x11"),
            (issued > self.cap and not overflows, "DUT: the epoch's issuance cap is reached"),
            (to == ZERO, "ERC20InvalidReceiver("),
            *(self._unfit(to) if to != ZERO else ()),
        )
        self.issued[day] = issued
        self.balances[to] += amount
        self.minted += amount
        self._give(to, amount)

    def redeem(self, sender: str, amount: int, payment: bytes) -> None:
        refuse(self._token(sender, "EXCHANGE"))
        self._destroy(sender, amount)

    def burn(self, sender: str, amount: int) -> None:
        protocol = self.standing[sender] & self.PROTOCOL
        refuse((not protocol, "DUT: only a protocol contract burns"))
        self._destroy(sender, amount)

    def transfer(self, sender: str, to: str, amount: int) -> bool:
        self.move(sender, to, amount)
        self._give(to, amount)
        return True

    def transferFrom(self, sender: str, owner: str, to: str, amount: int) -> bool:  # noqa: N802
        self.spend(owner, sender, to, amount)
        self._give(to, amount)
        return True

    def approve(self, sender: str, spender: str, amount: int) -> bool:
        refuse((spender == ZERO, "ERC20InvalidSpender("))
        self.allowances[sender, spender] = amount
        return True

    def permit(
        self,
        sender: str,
        owner: str,
        spender: str,
        amount: int,
        deadline: int,
        signature: Signature,
    ) -> None:
        message = Permit(owner, spender, amount, self.nonces[owner], deadline)
        genuine = signature.by == owner and signature.over == message
        refuse(
            (deadline < self.now, f"ERC2612ExpiredSignature({deadline})"),
            (not genuine, "ERC2612InvalidSigner("),
            (spender == ZERO, "ERC20InvalidSpender("),
        )
        self.nonces[owner] += 1
        self.allowances[owner, spender] = amount

    def admit(self, sender: str, account: str) -> None:
        refuse(self._token(sender, "ADMISSION"), (account == ZERO, "DUT: no account is named"))
        self.standing[account] |= self.ADMITTED

    def setProtocol(self, sender: str, account: str, enabled: bool) -> None:  # noqa: N802
        refuse(self._token(sender), (account == ZERO, "DUT: no account is named"))
        self._mark(account, self.PROTOCOL, enabled)

    def setFrozen(self, sender: str, account: str, frozen: bool) -> None:  # noqa: N802
        protocol = self.standing[account] & self.PROTOCOL
        refuse(
            self._token(sender, "SANCTIONS"),
            (protocol, "DUT: a protocol contract cannot be frozen"),
        )
        self._mark(account, self.FROZEN, frozen)

    def setCap(self, sender: str, cap: int) -> None:  # noqa: N802
        refuse(self._token(sender), (cap > self.MAX_CAP, "DUT: the cap is out of bounds"))
        self.cap = cap

    def _mark(self, account: str, bit: int, on: bool) -> None:
        bits = self.standing[account]
        self.standing[account] = bits | bit if on else bits & ~bit

    def state(self, accounts: Iterable[str]) -> Iterator[tuple[tuple[Any, ...], Any]]:
        name = "UsageToken"
        yield (name, "totalSupply"), self.supply
        yield (name, "cap"), self.cap
        for account in accounts:
            yield (name, "balanceOf", account), self.balances[account]
            yield (name, "standing", account), self.standing[account]
            yield (name, "nonces", account), self.nonces[account]
        for pair, amount in self.allowances.items():
            yield (name, "allowance", *pair), amount
        for day, amount in self.issued.items():
            yield (name, "issuedIn", day), amount


# -------------------------------------------------------------------------------- DCT (R1)


class Contribution(Book):
    """The token that is earned by contributing. It never moves but by recovery."""

    def __init__(self, model: Model, registry: str) -> None:
        super().__init__(model)
        self.registry = registry
        self.balances: dict[str, int] = defaultdict(int)
        self.minted = self.burned = 0
        # Balances at the end of each second in which one changed, and the supply likewise.
        self.history: dict[str, dict[int, int]] = defaultdict(dict)
        self.supplies: dict[int, int] = {}

    @property
    def supply(self) -> int:
        return self.minted - self.burned

    def _note(self, *accounts: str) -> None:
        for account in accounts:
            self.history[account][self.now] = self.balances[account]
        self.supplies[self.now] = self.supply

    def credit(self, to: str, amount: int) -> None:
        """What an attestation mints."""
        self.balances[to] += amount
        self.minted += amount
        self._note(to)

    def mint(self, sender: str, to: str, amount: int) -> None:
        assert sender != self.registry
        refuse((True, "soulbound: only the bound minter mints"))

    def bindMinter(self, sender: str, account: str) -> None:  # noqa: N802
        refuse(self._token(sender), (True, "soulbound: the minter is already bound"))

    def burn(self, sender: str, holder: str, amount: int) -> None:
        held = self.balances[holder]
        refuse(
            self._token(sender, "REDEMPTION"),
            (holder == ZERO, "ERC20InvalidSender("),
            (held < amount, f"ERC20InsufficientBalance({holder}, {held}, {amount})"),
        )
        self.balances[holder] -= amount
        self.burned += amount
        self._note(holder)

    def recover(self, sender: str, previous: str, current: str) -> int:
        refuse(
            self._token(sender, "RECOVERY"),
            (current in (ZERO, previous), "soulbound: no new wallet is named"),
        )
        amount = self.balances.pop(previous, 0)
        self.balances[current] += amount
        self._note(previous, current)
        return amount

    def transfer(self, sender: str, to: str, amount: int) -> None:
        refuse((True, "soulbound: not transferable"), (to == ZERO, "ERC20InvalidReceiver("))

    def transferFrom(self, sender: str, owner: str, to: str, amount: int) -> None:  # noqa: N802
        refuse(
            (True, "soulbound: not transferable"),
            (owner == ZERO, "ERC20InvalidSender("),
            (owner == ZERO, "ERC20InvalidApprover("),
            (to == ZERO, "ERC20InvalidReceiver("),
            (amount > 0, f"ERC20InsufficientAllowance({sender}, 0, {amount})"),
        )

    def approve(self, sender: str, spender: str, amount: int) -> None:
        refuse((True, "soulbound: not transferable"))

    def delegate(self, sender: str, to: str) -> None:
        refuse((True, "soulbound: votes cannot be delegated"))

    def state(self, accounts: Iterable[str]) -> Iterator[tuple[tuple[Any, ...], Any]]:
        name = "ContributionToken"
        yield (name, "totalSupply"), self.supply
        yield (name, "minter"), int(self.registry, 16)
        for account in accounts:
            held = self.balances.get(account, 0)
            yield (name, "balanceOf", account), held
            yield (name, "getVotes", account), held

    def past(self, history: dict[int, int], moment: int) -> int:
        """The balance or supply at the end of an earlier second."""
        times = [t for t in history if t <= moment]
        return history[max(times)] if times else 0


# -------------------------------------------------------------------------------- records (R6–R8)


@dataclass
class Record:
    owner: str
    custodian: int
    annotator: int
    kind: int
    tier: int
    region: int
    commitment: bytes
    attester: int = 0
    quality: int = 0
    dvi: int = 0
    attested: bool = False
    minted: bool = False
    superseded: bool = False
    destroyed: bool = False

    @property
    def live(self) -> bool:
        return self.attested and not self.superseded and not self.destroyed


@dataclass
class Institution:
    account: str
    capabilities: int


NOT_ACCREDITED = "institutions: the caller is not accredited for this"


class Registry(Book):
    """Institutions, records and what their quality mints."""

    CUSTODIAN, ANNOTATOR, ATTESTER = 1, 2, 4

    def __init__(self, model: Model, coefficients: Iterable[int], min_quality: int) -> None:
        super().__init__(model)
        self.institutions: dict[int, Institution] = {}
        self.numbers: dict[str, int] = defaultdict(int)
        self.records: dict[bytes, Record] = {}
        self.latest: dict[bytes, bytes] = {}  # first statement about a file → the last one
        self.batches: dict[tuple[int, bytes], int] = {}
        self.renditions: dict[bytes, bytes] = {}  # copy → commitment to it
        self.coefficients = dict(zip(KINDS, coefficients, strict=True))
        self.min_quality = min_quality

    def account(self, number: int) -> str:
        return self.institutions[number].account if number in self.institutions else ZERO

    def may(self, number: int, capability: int) -> bool:
        found = self.institutions.get(number)
        return found is not None and bool(found.capabilities & capability)

    def record_id(self, custodian: int, tag: bytes) -> bytes:
        kinds = ["bytes32", "uint256", "bytes32"]
        return keccak(encode(kinds, [keccak(text="medtoken record"), custodian, tag]))

    def version_id(self, previous: bytes) -> bytes:
        kinds = ["bytes32", "bytes32"]
        return keccak(encode(kinds, [keccak(text="medtoken record version"), previous]))

    def supply(self, kind: int) -> int:
        """How many records of a kind can be licensed."""
        return sum(x.live and x.kind == kind for x in self.records.values())

    def accredit(self, sender: str, account: str, capabilities: int) -> int:
        refuse(
            self._domain(sender, "ACCREDITATION"),
            (account == ZERO, "institutions: no account is named"),
            (capabilities > 7, "institutions: unknown capability"),
        )
        number = self.numbers[account] or len(self.institutions) + 1
        self.numbers[account] = number
        self.institutions[number] = Institution(account, capabilities)
        return number

    def move(self, sender: str, number: int, account: str) -> None:
        refuse(
            self._domain(sender, "ACCREDITATION"),
            (number not in self.institutions, "institutions: unknown institution"),
            (account == ZERO, "institutions: no account is named"),
            (self.numbers[account] != 0, "institutions: the account is taken"),
        )
        found = self.institutions[number]
        self.numbers[found.account] = 0
        self.numbers[account] = number
        found.account = account

    def register(self, sender: str, draft: dict[str, Any]) -> bytes:
        number = self.numbers[sender]
        refuse((not self.may(number, self.CUSTODIAN), NOT_ACCREDITED))
        return self._register(number, draft)

    def register_batch(self, sender: str, root: bytes, count: int, manifest: bytes) -> None:
        number = self.numbers[sender]
        refuse(
            (not self.may(number, self.CUSTODIAN), NOT_ACCREDITED),
            (root == NONE, "registry: the batch has no root"),
            (count == 0, "registry: the batch is empty"),
            ((number, root) in self.batches, "registry: the batch is already registered"),
        )
        self.batches[number, root] = count

    def register_from_batch(
        self, sender: str, custodian: int, root: bytes, draft: dict[str, Any], proof: Proof
    ) -> bytes:
        known = (custodian, root) in self.batches
        allowed = self.may(custodian, self.CUSTODIAN)
        refuse(
            (not known, "registry: unknown batch"),
            (not allowed, "registry: the custodian is not accredited"),
            (not proof.leads(root, leaf_of(draft)), "registry: the record is not in the batch"),
        )
        return self._register(custodian, draft)

    def _register(self, custodian: int, draft: dict[str, Any]) -> bytes:
        file = self.record_id(custodian, draft["tag"])
        last = self.latest.get(file)  # the same file again: only to correct its last statement
        record = file if last is None else self.version_id(last)
        annotator = draft["annotator"]
        refuse(
            (draft["owner"] == ZERO, "registry: the record has no owner"),
            (draft["fingerprint"] == NONE, "registry: the record has no fingerprint"),
            (draft["tag"] == NONE, "registry: the record has no duplicate tag"),
            (draft["content"] == NONE, "registry: the record has no content"),
            (draft["codec"] not in (0x55, 0x70), "registry: unknown codec of the CID"),
            (draft["size"] == 0, "registry: the record is empty"),
            (draft["kind"] not in KINDS, "registry: unknown kind of record"),
            (draft["tier"] not in (1, 2, 3), "registry: unknown sensitivity tier"),
            (not 1 <= draft["region"] <= 999, "registry: unknown region"),
            (
                annotator and annotator == custodian,
                "registry: nobody names themselves annotator",
            ),
            (
                annotator and not self.may(annotator, self.ANNOTATOR),
                "registry: the annotator is not accredited",
            ),
            (last and draft["previous"] != last, "registry: the record is already registered"),
            *self._correction(custodian, draft),
        )
        made = Record(
            owner=draft["owner"],
            custodian=custodian,
            annotator=annotator,
            kind=draft["kind"],
            tier=draft["tier"],
            region=draft["region"],
            commitment=keccak(
                encode(
                    ["bytes32", "bytes32", "uint256", "uint256", "bytes32"],
                    [draft[n] for n in ("fingerprint", "content", "codec", "size", "codes")],
                )
            ),
        )
        if draft["previous"] != NONE:
            previous = self.records[draft["previous"]]
            previous.superseded = True
            made.minted = previous.minted  # a correction is never a second mint (R6)
        self.records[record] = made
        self.latest[file] = record
        return record

    def _correction(self, custodian: int, draft: dict[str, Any]) -> Iterator[tuple[bool, str]]:
        if draft["previous"] == NONE:
            return
        previous = self.records.get(draft["previous"])
        yield previous is None, "registry: the previous version is unknown"
        if previous is not None:
            yield previous.superseded, "registry: the previous version was superseded"
            yield (
                (previous.custodian, previous.owner) != (custodian, draft["owner"]),
                "registry: the previous version is somebody else's",
            )

    def attest(self, sender: str, record: bytes, scores: dict[str, Any]) -> int:
        number, found = self.numbers[sender], self.records.get(record)
        refuse(
            (not self.may(number, self.ATTESTER), NOT_ACCREDITED),
            (found is None, "registry: unknown record"),
            (found and found.superseded, "registry: the record was superseded"),
            (found and found.destroyed, "registry: the record was destroyed"),
            (found and found.attested, "registry: the record is already attested"),
            (
                found and number in (found.custodian, found.annotator),
                "registry: nobody attests their own work",
            ),
            (any(scores[name] > 100 for name in DIMENSIONS), "scores: a score is over 100"),
            (not 1 <= scores["dvi"] <= 100, "scores: the DVI must be from 1 to 100"),
            (not 1 <= scores["units"] <= 100_000, "scores: units are out of range"),
            (
                not 1 <= scores["asOf"] <= self.model.now // DAY,
                "scores: the day of reference is missing or to come",
            ),
            (scores["method"] == NONE, "scores: no method is named"),
        )
        assert found is not None
        quality = Fraction(scores["completeness"] + scores["annotation"], 2)
        found.quality = int(quality)
        found.dvi = scores["dvi"]
        found.attested = True
        found.attester = number
        if found.minted or quality < self.min_quality:
            return 0
        amount = whole(  # R1
            Fraction(scores["units"], 1000)
            * Fraction(self.coefficients[found.kind], 1000)
            * 100
            * (1 + 4 * quality / 100)
            * TOKEN
        )
        if amount:
            found.minted = True
            self.model.dct.credit(found.owner, amount)
        return amount

    def add_rendition(self, sender: str, record: bytes, rendition: dict[str, Any]) -> None:
        number, found = self.numbers[sender], self.records.get(record)
        refuse(
            (not self.may(number, self.CUSTODIAN), NOT_ACCREDITED),
            (found is None, "registry: unknown record"),
            (found and found.destroyed, "registry: the record was destroyed"),
            (found and number != found.custodian, "registry: not the record's custodian"),
            (rendition["fields"] == NONE, "registry: the rendition has no profile"),
            (rendition["fingerprint"] == NONE, "registry: the record has no fingerprint"),
            (rendition["content"] == NONE, "registry: the record has no content"),
            (rendition["codec"] not in (0x55, 0x70), "registry: unknown codec of the CID"),
            (rendition["size"] == 0, "registry: the record is empty"),
        )
        tag = keccak(text="medtoken record rendition")
        name = encode(["bytes32"] * 4, [tag, record, rendition["fields"], rendition["licence"]])
        kinds = ["bytes32", "bytes32", "uint256", "uint256"]
        parts = [rendition[part] for part in ("fingerprint", "content", "codec", "size")]
        self.renditions[keccak(name)] = keccak(encode(kinds, parts))

    def destroy(self, sender: str, record: bytes, certificate: bytes) -> None:
        number, found = self.numbers[sender], self.records.get(record)
        refuse(
            (not self.may(number, self.CUSTODIAN), NOT_ACCREDITED),
            (found is None, "registry: unknown record"),
            (found and found.destroyed, "registry: the record was destroyed"),
            (found and number != found.custodian, "registry: not the record's custodian"),
            (certificate == NONE, "registry: no certificate is named"),
        )
        assert found is not None
        found.destroyed = True

    def set_coefficient(self, sender: str, kind: int, coefficient: int) -> None:
        refuse(
            self._domain(sender),
            (kind not in KINDS, "registry: unknown kind of record"),
            (coefficient > 100_000, "registry: the coefficient is out of bounds"),
        )
        self.coefficients[kind] = coefficient

    def set_min_quality(self, sender: str, quality: int) -> None:
        refuse(
            self._domain(sender),
            (quality > 100, "registry: the least quality is out of bounds"),
        )
        self.min_quality = quality

    def parties(self, record: bytes) -> tuple[str, str, str]:
        """Who is paid: owner, custodian, annotator or zero."""
        found = self.records[record]
        return found.owner, self.account(found.custodian), self.account(found.annotator)

    def state(self, accounts: Iterable[str]) -> Iterator[tuple[tuple[Any, ...], Any]]:
        name = "RecordRegistry"
        yield (name, "min_quality"), self.min_quality
        for kind, coefficient in self.coefficients.items():
            yield (name, "coefficient", kind), coefficient
            yield (name, "supply", kind), self.supply(kind)
        for account in accounts:
            yield (name, "number_of", account), self.numbers[account]
        for number in range(1, len(self.institutions) + 2):
            found = self.institutions.get(number, Institution(ZERO, 0))
            yield (name, "institution", number), (int(found.account, 16), found.capabilities)
        for (number, root), count in self.batches.items():
            yield (name, "batch", number, root), count
        for rendition, commitment in self.renditions.items():
            yield (name, "rendition", rendition), int.from_bytes(commitment)
        for record, facts in self.records.items():
            yield (name, "facts", record), _facts_word(facts)
            yield (name, "commitment", record), int.from_bytes(facts.commitment)
            parties = tuple(int(account, 16) for account in self.parties(record))
            yield (name, "parties", record), (*parties, facts.kind)
            yield (
                (name, "terms", record),
                (
                    *(int(facts.owner, 16), facts.kind, facts.tier),
                    *(facts.region, facts.dvi, int(facts.live)),
                ),
            )


def leaf_of(draft: dict[str, Any]) -> bytes:
    """The leaf of a record in a batch: the twice hashed ABI encoding of its draft."""
    kinds = ["address", *["bytes32"] * 3, *["uint256"] * 5, "bytes32", "uint256", "bytes32"]
    return keccak(keccak(encode(kinds, list(draft.values()))))


def _facts_word(facts: Record) -> int:
    return pack(
        (facts.owner, 160),
        (facts.custodian, 20),
        (facts.annotator, 20),
        (facts.attester, 20),
        (facts.kind, 4),
        (facts.tier, 2),
        (facts.region, 10),
        (facts.quality, 7),
        (facts.dvi, 7),
        (facts.attested, 1),
        (facts.minted, 1),
        (facts.superseded, 1),
        (facts.destroyed, 1),
    )


# -------------------------------------------------------------------------------- reserve (R16, R17)


class Treasury(Book):
    """Levies, and what of them is burned."""

    def __init__(self, model: Model, address: str, ceiling: int, burn_share: int) -> None:
        super().__init__(model)
        self.address = address
        self.ceiling, self.burn_share = ceiling, burn_share
        self.levies = self.burned = 0

    def take(self, payer: str, amount: int) -> None:
        """A levy arrives; supply is looked at as it does."""
        dut = self.model.dut
        burn = 0
        if dut.supply > self.ceiling:
            burn = whole(amount * Fraction(self.burn_share, BPS))
        protocol = dut.standing[self.address] & dut.PROTOCOL
        refuse(
            *dut.move_checks(payer, self.address, amount),
            (burn and not protocol, "DUT: only a protocol contract burns"),
        )
        dut.move(payer, self.address, amount)
        if burn:
            dut.burn(self.address, burn)
        self.levies += amount
        self.burned += burn

    def receive_levy(self, sender: str, amount: int) -> None:
        refuse(self._domain(sender, "LEVY"), (amount == 0, "treasury: the levy is zero"))
        raise AssertionError("only the market holds the levy role, and it does not call from here")

    def set_ceiling(self, sender: str, ceiling: int) -> None:
        refuse(self._domain(sender))
        self.ceiling = ceiling

    def set_burn_share(self, sender: str, share: int) -> None:
        over = share > BPS
        refuse(self._domain(sender), (over, "treasury: the share to burn is over 10,000 bps"))
        self.burn_share = share

    def state(self) -> Iterator[tuple[tuple[Any, ...], Any]]:
        yield ("Treasury", "books"), (self.levies, self.burned, self.levies - self.burned)
        yield ("Treasury", "burn_rule"), (self.ceiling, self.burn_share)


# -------------------------------------------------------------------------------- prices (R13)


class Ask(NamedTuple):
    """What a price is asked for."""

    record: bytes
    form: int
    purposes: int
    urgent: bool
    floor: int
    region: int
    certified: bool


class Tariff(Book):
    """References, factors, emergencies, and scarcity that follows supply and demand."""

    BOUNDS = (  # commercial, emergency, public, sensitive, highly sensitive, region, discount, rental
        *((10_000, 100_000), (1_000, 10_000), (1_000, 10_000), (5_000, 20_000)),
        *((10_000, 50_000), (10_000, 30_000), (0, 5_000), (1_000, 10_000)),
    )
    NON_COMMERCIAL = 1 << 18 | 1 << 46  # DUO: NPUNCU, NCU

    def __init__(self, model: Model, references: Iterable[int], factors: Iterable[int]) -> None:
        super().__init__(model)
        self.references = dict(zip(KINDS, references, strict=True))
        self.scarcities = dict.fromkeys(KINDS, BPS)
        self.moved = dict.fromkeys(KINDS, 0)  # the week of the last move
        self.levels = dict.fromkeys(KINDS, 0)  # what a record settled in a week like that
        self.factors = list(factors)
        self.emergencies: dict[int, int] = {}

    def set_reference(self, sender: str, kind: int, amount: int) -> None:
        refuse(
            self._domain(sender),
            (kind not in KINDS, "tariff: unknown kind"),
            (
                amount and (not 85 * GRAIN <= amount <= 10**24 or amount % GRAIN),
                "tariff: out of bounds",
            ),
        )
        self.references[kind] = amount

    def set_scarcity(self, sender: str, kind: int, scarcity: int) -> None:
        refuse(
            self._domain(sender),
            (kind not in KINDS, "tariff: unknown kind"),
            (not 5_000 <= scarcity <= 100_000, "tariff: out of bounds"),
        )
        self.scarcities[kind], self.levels[kind] = scarcity, 0

    def set_factor(self, sender: str, factor: int, amount: int) -> None:
        known = factor < len(self.BOUNDS)
        least, most = self.BOUNDS[factor] if known else (0, 0)
        refuse(
            self._domain(sender),
            (not known, "tariff: unknown factor"),
            (known and not least <= amount <= most, "tariff: out of bounds"),
        )
        self.factors[factor] = amount

    def declare_emergency(self, sender: str, region: int, until: int) -> None:
        refuse(
            self._domain(sender, "REGULATOR"),
            (not 1 <= region <= 999, "tariff: unknown region"),
            (until >= 2**40, "tariff: out of bounds"),
        )
        self.emergencies[region] = until

    def bind_market(self, sender: str, market: str) -> None:
        refuse(
            self._domain(sender),
            (True, "tariff: the market is bound"),
            (market == ZERO, "tariff: no market is named"),
        )

    def move_scarcity(self, sender: str, kind: int) -> int:
        week = self.now // WEEK
        refuse(
            (kind not in KINDS, "tariff: unknown kind"),
            (self.moved.get(kind) == week, "tariff: it moved this week"),
        )
        settled = self.model.market.demand.get((kind, week - 1), 0)
        enough = settled >= 10 * self.references[kind]
        demand = settled // max(self.model.registry.supply(kind), 1) if enough else 0
        scarcity, level = self.scarcities[kind], self.levels[kind]
        if not level:
            level = demand
        elif demand > level * Fraction(5, 4) and scarcity < 100_000:
            scarcity = min(int(scarcity * Fraction(11, 10)), 100_000)
            level = int(level * Fraction(5, 4))
        elif demand < level * Fraction(4, 5) and scarcity > 5_000:
            scarcity = max(int(scarcity * Fraction(9, 10)), 5_000)
            level = int(level * Fraction(4, 5))
        self.scarcities[kind], self.moved[kind], self.levels[kind] = scarcity, week, level
        return scarcity

    def urgent(self, record: bytes) -> bool:
        """Whether there is an emergency where a record lives."""
        found = self.model.registry.records.get(record)
        return self.emergencies.get(found.region if found else 0, 0) > self.now

    def price(self, ask: Ask) -> int:
        """R13 for one unit; zero for what is not for sale."""
        found = self.model.registry.records.get(ask.record)
        reference = self.references[found.kind] if found else 0
        if found is None or not reference or not found.dvi:
            return 0
        commercial, emergency, *tiers, in_region, discount, rental = self.factors
        product = reference * Fraction(found.dvi, 85) * self.scarcities[found.kind]
        product *= commercial if not ask.purposes & self.NON_COMMERCIAL else BPS
        product *= emergency if ask.urgent else BPS
        product *= tiers[found.tier - 1]
        product *= in_region if ask.region == found.region else BPS
        product *= BPS - discount if ask.certified else BPS
        amount = max(product / BPS**6, Fraction(ask.floor))
        amount *= Fraction(rental if ask.form == RENTAL else BPS, BPS)
        return int(amount / GRAIN) * GRAIN

    def state(self) -> Iterator[tuple[tuple[Any, ...], Any]]:
        name = "Tariff"
        yield (name, "factors_word"), pack(*((factor, 32) for factor in self.factors))
        for kind, reference in self.references.items():
            parts = ((reference, 96), (self.scarcities[kind], 32), (self.moved[kind], 32))
            yield (name, "kind_word", kind), pack(*parts)
        for region, until in self.emergencies.items():
            yield (name, "emergency", region), until


# -------------------------------------------------------------------------------- market (R8–R15)


@dataclass
class Granted:
    """A consent on the chain. One that was cancelled before it came has no terms."""

    patient: str
    terms: Consent | None
    revoked_at: int = 0


@dataclass
class Licensee:
    deposit: int = 0
    groups: int = 0
    region: int = 0
    flags: int = 0

    FROZEN, CERTIFIED = 1, 2


@dataclass
class Earner:
    earned: int = 0
    nonce: int = 0
    withdrawn: int = 0


@dataclass
class Licence:
    ref: Ref
    form: int
    price: int  # of the whole term, or of one unit
    start: int
    end: int
    units: int
    epoch: int
    rates: Rates
    paid: int
    levy: int
    used: int = 0
    mark: int = 0  # settled up to: seconds or units
    settled: int = 0
    settled_levy: int = 0
    refund: int = 0
    refund_levy: int = 0
    suspended: bool = False
    closed: bool = False
    urgent: bool = False
    approved: bool = False

    def earned(self, until: int) -> int:
        """What it has earned in all, when time stops for it at ``until``."""
        if self.form == METERED:
            return self.price * self.used
        grains = Fraction(self.price * (until - self.start), (self.end - self.start) * GRAIN)
        return int(grains) * GRAIN

    @property
    def held(self) -> int:
        """What of the money taken was neither paid out nor returned."""
        out = self.settled + self.settled_levy + self.refund + self.refund_levy
        return self.paid + self.levy - out


# Which permissions of a consent allow a purpose (GA4GH DUO): the purpose itself, and what is wider.
NRES, HMB, DS, POA, GRU = (1 << n for n in (4, 6, 7, 11, 42))
PERMISSIONS = NRES | HMB | DS | POA | GRU
WIDER = {GRU: GRU | NRES, HMB: HMB | GRU | NRES, POA: POA | GRU | NRES, DS: HMB | GRU | NRES}


def permits(allowed: int, allowed_diseases: bytes, asked: int, asked_diseases: bytes) -> bool:
    """R9: one permission is asked for and covered, and every modifier is undertaken."""
    modifiers = allowed & ~PERMISSIONS
    purpose = asked & PERMISSIONS
    if modifiers & asked != modifiers or purpose not in WIDER:
        return False
    if purpose == DS and asked_diseases == NONE:
        return False
    enough = WIDER[purpose]
    if purpose == DS and asked_diseases == allowed_diseases:
        enough |= DS
    return allowed & enough != 0


@dataclass
class Totals:
    """Sums over all time."""

    deposited: int = 0
    reclaimed: int = 0
    paid: int = 0
    paid_levy: int = 0
    settled: int = 0
    levy: int = 0
    refunded: int = 0
    refunded_levy: int = 0
    withdrawn: int = 0
    parts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(Shares._fields, 0))


class Market(Book):
    """Consents, licences, and the money between licensees and everybody else."""

    MAX_PRICE = (2**64 - 1) * GRAIN
    MAX_NUMBER = 2**40 - 1

    def __init__(
        self,
        model: Model,
        address: str,
        rates: Rates,
        platform: str,
        window: int,
        agreement: bytes,
    ) -> None:
        super().__init__(model)
        self.address = address
        self.epochs = [rates]  # epoch 1 is the first
        self.platform = platform
        self.window = window
        self.agreement = agreement
        self.paused = False
        self.consents: dict[bytes, Granted] = {}
        self.licensees: dict[str, Licensee] = defaultdict(Licensee)
        self.earners: dict[str, Earner] = defaultdict(Earner)
        self.licences: dict[Ref, Licence] = {}
        self.demand: dict[tuple[int, int], int] = {}  # kind and week → settled
        self.totals = Totals()

    # ---------------------------------------------------------------- consents (R9)

    def grant_consent(self, sender: str, terms: Consent, signature: Signature) -> bytes:
        consent = terms.struct_hash()
        named = (
            *(terms.patient != ZERO, terms.records != NONE, terms.fields != NONE),
            *(terms.purposes, terms.licensees, terms.region, terms.tier),
        )
        refuse(
            (not all(named), "consent: part of it is empty"),
            (
                not 7000 <= terms.patientShare <= 8000
                and not (terms.patientShare == 6000 and terms.licensees >> 255),
                "consent: share out of bounds",
            ),
            (
                terms.floorPrice % GRAIN or terms.floorPrice > self.MAX_PRICE,
                "consent: floor out of bounds",
            ),
            (terms.deadline < self.now, "consent: signature is too late"),
            (not self.now < terms.expiry < 2**40, "consent: it has expired"),
            (consent in self.consents, "consent: it was on chain before"),
            (
                not signature.counts(sender, terms.patient, terms),
                "signature: not by its owner",
            ),
        )
        self.consents[consent] = Granted(terms.patient, terms)
        return consent

    def grant_consents(
        self, sender: str, several: list[Consent], signatures: list[Signature]
    ) -> None:
        refuse((len(several) != len(signatures), "consent: signatures are missing"))
        before = dict(self.consents)
        try:
            for terms, signature in zip(several, signatures, strict=True):
                # Somebody who brings one of them first must not spoil the rest.
                if terms.struct_hash() not in self.consents:
                    self.grant_consent(sender, terms, signature)
        except Refused:
            self.consents = before
            raise

    def revoke_consent(self, sender: str, consent: bytes, signature: Signature) -> None:
        found = self.consents.get(consent)
        refuse((found is None, "consent: unknown consent"))
        assert found is not None
        self._check_revocation(sender, found, consent, signature)
        found.revoked_at = self.now

    def cancel_consent(self, sender: str, terms: Consent, signature: Signature) -> None:
        consent = terms.struct_hash()
        refuse((consent in self.consents, "consent: it was on chain before"))
        never = Granted(terms.patient, None, self.now)
        self._check_revocation(sender, Granted(terms.patient, None), consent, signature)
        self.consents[consent] = never

    def _check_revocation(
        self, sender: str, found: Granted, consent: bytes, signature: Signature
    ) -> None:
        mine = signature.counts(sender, found.patient, Revocation(consent))
        refuse(
            (found.revoked_at, "consent: it was revoked"),
            (not mine, "signature: not by its owner"),
        )

    # ---------------------------------------------------------------- accounts

    def set_licensee(self, sender: str, account: str, groups: int, region: int, flags: int) -> None:
        refuse(
            self._domain(sender, "CREDENTIALS"),
            (account == ZERO, "account: no account is named"),
            (
                groups >= 2**96 or region > 999 or flags > 3,
                "account: unknown group or region",
            ),
        )
        before = self.licensees[account]
        self.licensees[account] = Licensee(before.deposit, groups, region, flags)

    def deposit(self, sender: str, account: str, amount: int) -> None:
        dut = self.model.dut
        refuse(
            (self.paused, "market: paused"),
            (account == ZERO, "account: no account is named"),
            (amount == 0, "account: the amount is zero"),
            (amount >= ABSURD, SILENT),
            *dut.spend_checks(sender, self.address, self.address, amount),
        )
        dut.spend(sender, self.address, self.address, amount)
        self.licensees[account].deposit += amount
        self.totals.deposited += amount

    def deposit_with_permit(
        self, sender: str, account: str, amount: int, deadline: int, signature: Signature
    ) -> None:
        dut = self.model.dut
        allowances, nonces = dict(dut.allowances), copy(dut.nonces)
        with suppress(Refused):  # the transfer sees whether the allowance is there
            dut.permit(self.address, sender, self.address, amount, deadline, signature)
        try:
            self.deposit(sender, account, amount)
        except Refused:
            dut.allowances, dut.nonces = allowances, nonces
            raise

    def reclaim(self, sender: str, amount: int) -> None:
        mine = self.licensees[sender]
        refuse(
            (amount == 0, "account: the amount is zero"),
            (amount > mine.deposit, "account: deposit is too small"),
            *(
                self.model.dut.move_checks(self.address, sender, amount)
                if amount <= mine.deposit
                else ()
            ),
        )
        self.model.dut.move(self.address, sender, amount)
        mine.deposit -= amount
        self.totals.reclaimed += amount

    def withdraw(
        self,
        sender: str,
        account: str,
        to: str,
        amount: int,
        deadline: int,
        signature: Signature,
    ) -> None:
        mine, dut = self.earners[account], self.model.dut
        message = Withdrawal(account, to, amount, mine.nonce, deadline)
        refuse(
            (deadline < self.now, "account: signature is too late"),
            (amount == 0 or to == self.address, "account: nothing would be paid"),
            (amount > mine.earned, "account: more than was earned"),
            (not signature.counts(sender, account, message), "signature: not by its owner"),
            (dut.standing[account] & dut.FROZEN, "account: it is frozen"),
        )
        before = dut.standing[to]
        if to == account and not before & (dut.ADMITTED | dut.PROTOCOL):
            dut.standing[to] |= dut.ADMITTED  # R2: at the first withdrawal
        try:
            dut.move(self.address, to, amount)
        except Refused:
            dut.standing[to] = before
            raise
        mine.earned -= amount
        mine.nonce += 1
        mine.withdrawn += amount
        self.totals.withdrawn += amount
        if to == self.model.treasury.address:
            dut.gifts[to] += amount

    def charge(self, sender: str, account: str, amount: int) -> None:
        refuse(
            self._domain(sender, "DESK"),
            (self.paused, "market: paused"),
            self._bound(account),
            (amount > self.licensees[account].deposit, "account: deposit is too small"),
        )
        self.licensees[account].deposit -= amount
        self.licensees[sender].deposit += amount

    def release(self, sender: str, account: str, amount: int) -> None:
        refuse(
            self._domain(sender, "DESK"),
            (amount > self.licensees[sender].deposit, "account: deposit is too small"),
        )
        self.licensees[sender].deposit -= amount
        self.licensees[account].deposit += amount

    def _bound(self, account: str) -> tuple[object, str]:
        """A deposit of one who is frozen, here or in DUT, is not spent."""
        frozen = self.licensees[account].flags & Licensee.FROZEN
        dut = self.model.dut
        return frozen or dut.standing[account] & dut.FROZEN, "licence: the licensee is frozen"

    # ---------------------------------------------------------------- parameters (R13, R15, R29)

    def set_rates(self, sender: str, rates: dict[str, int]) -> None:
        new = Rates(**rates)
        refuse(
            self._domain(sender),
            (
                new.provider < 5000
                or new.platform > 2000
                or new.levy > 1000
                or new.provider + new.annotator + new.platform != BPS,
                "rates: out of bounds",
            ),
            (max(new) >= ABSURD, SILENT),
        )
        self.epochs.append(new)

    def set_platform(self, sender: str, account: str) -> None:
        refuse(self._domain(sender), (account == ZERO, "rates: no platform is named"))
        self.platform = account

    def pause(self, sender: str) -> None:
        refuse(self._domain(sender, "GUARDIAN"))
        self.paused = True

    def unpause(self, sender: str) -> None:
        refuse(self._domain(sender))
        self.paused = False

    def set_window(self, sender: str, window: int) -> None:
        refuse(self._domain(sender), (window > 30 * DAY, "licence: window out of bounds"))
        self.window = window

    def set_agreement(self, sender: str, agreement: bytes) -> None:
        refuse(self._domain(sender))
        self.agreement = agreement

    # ---------------------------------------------------------------- licences (R12, R13)

    @property
    def rates(self) -> Rates:
        return self.epochs[-1]

    def buy_licence(
        self, sender: str, order: dict[str, Any], terms: Consent, proof: Proof
    ) -> bytes:
        return self._buy(sender, sender, order, terms, proof, None)

    def issue_licence(
        self,
        sender: str,
        licensee: str,
        order: dict[str, Any],
        terms: Consent,
        proof: Proof,
        price: int,
    ) -> bytes:
        refuse(
            self._domain(sender, "DESK"),
            (price == 0 or price % GRAIN, "licence: price out of range"),
        )
        return self._buy(licensee, sender, order, terms, proof, price)

    def _buy(
        self,
        licensee: str,
        payer: str,
        order: dict[str, Any],
        terms: Consent,
        proof: Proof,
        fixed: int | None,
    ) -> bytes:
        """``fixed`` is the price that a desk made, None for R13's."""
        ref = Ref(terms.struct_hash(), order["record"], licensee, order["salt"])
        quoted = self.quote(licensee, order, terms)
        price = quoted if fixed is None else fixed
        refuse(
            *self._order_checks(order),
            *self._consent_checks(order, terms, proof),
            *self._licensee_checks(licensee, terms),
            *self._record_checks(licensee, order, terms),
            (quoted == 0, "licence: kind is not for sale"),
            (fixed is None and terms.licensees >> 255, "consent: sold by auction only"),
            (price < terms.floorPrice and fixed is not None, "licence: price below the floor"),
            (ref in self.licences, "licence: bought before"),
            *self._price_checks(payer, order, price),
        )
        units, metered = self._units(order), order["form"] == METERED
        paid = price * units
        levy = self.rates.levy_on(paid)
        self._take(payer, paid, levy)
        self.licences[ref] = Licence(
            ref=ref,
            form=order["form"],
            price=price if metered else paid,
            start=self.now,
            end=order["end"],
            units=units if metered else 0,
            epoch=len(self.epochs),
            rates=self.rates,
            paid=paid,
            levy=levy,
            mark=0 if metered else self.now,
            urgent=order["urgent"],
            approved=terms.tier >= 3,
        )
        return ref.id

    def _take(self, payer: str, paid: int, levy: int) -> None:
        self.licensees[payer].deposit -= paid + levy
        self.totals.paid += paid
        self.totals.paid_levy += levy

    def quote(self, licensee: str, order: dict[str, Any], terms: Consent) -> int:
        """R13 for one unit of what is ordered."""
        buyer = self.licensees[licensee]
        ask = Ask(
            *(order["record"], order["form"], order["purposes"], order["urgent"]),
            *(terms.floorPrice, buyer.region, bool(buyer.flags & Licensee.CERTIFIED)),
        )
        return self.model.tariff.price(ask)

    def _units(self, order: dict[str, Any]) -> int:
        """Units to pay for: those of a metered licence, or the years of a term that start."""
        if order["form"] == METERED:
            return int(order["units"])
        return max(0, -(-(order["end"] - self.now) // YEAR))

    def _order_checks(self, order: dict[str, Any]) -> Iterator[tuple[object, str]]:
        form, end = order["form"], order["end"]
        signed = order["agreement"] == self.agreement != NONE
        yield self.paused, "market: paused"
        yield not signed, "licence: agreement not signed"
        yield end <= self.now, "licence: the term has no length"
        yield form not in (FIXED, METERED, RENTAL), "licence: unknown form"
        if form == METERED:
            inside = 1 <= order["units"] <= self.MAX_NUMBER
            yield not inside, "licence: units out of range"
        else:
            yield order["units"] != 0, "licence: a term has no units"
        too_long = form == RENTAL and end > self.now + 90 * DAY
        yield too_long, "licence: too long for a rental"

    def _consent_checks(
        self, order: dict[str, Any], terms: Consent, proof: Proof
    ) -> Iterator[tuple[object, str]]:
        yield from self._dead(terms.struct_hash())
        yield order["end"] > terms.expiry, "licence: outlives the consent"
        covered = permits(terms.purposes, terms.diseases, order["purposes"], order["diseases"])
        yield not covered, "consent: purpose not covered"
        yield not proof.leads(terms.records, order["record"]), "consent: record not covered"

    def _dead(self, consent: bytes) -> Iterator[tuple[object, str]]:
        """Why nothing may be bought under a consent."""
        found = self.consents.get(consent)
        yield found is None, "consent: unknown consent"
        if found is not None:
            yield found.revoked_at, "consent: it was revoked"
            yield found.terms and found.terms.expiry <= self.now, "consent: it has expired"

    def _licensee_checks(self, licensee: str, terms: Consent) -> Iterator[tuple[object, str]]:
        buyer = self.licensees[licensee]
        yield self._bound(licensee)
        yield not buyer.groups & terms.licensees, "consent: licensee not covered"
        inside = buyer.region != 0 and terms.region in (WORLD_REGION, buyer.region)
        yield not inside, "consent: region not covered"

    def _record_checks(
        self, licensee: str, order: dict[str, Any], terms: Consent
    ) -> Iterator[tuple[object, str]]:
        record = order["record"]
        found = self.model.registry.records.get(record)
        yield found is None or not found.live, "licence: record is not attested"
        if found is not None:
            yield found.owner != terms.patient, "consent: not by record's owner"
            yield found.tier > terms.tier, "consent: tier not covered"
        asked = (terms.patient, terms.struct_hash(), licensee, order)
        needed = terms.tier >= HIGHLY_SENSITIVE and not self.model.approves(*asked)
        yield needed, "licence: patient's passkey needed"
        calm = order["urgent"] and not self.model.tariff.urgent(record)
        yield calm, "tariff: no emergency there"

    def _price_checks(
        self, payer: str, order: dict[str, Any], price: int
    ) -> Iterator[tuple[object, str]]:
        yield price > order["maxPrice"], "licence: price above the limit"
        paid = price * self._units(order)
        stored = price if order["form"] == METERED else paid
        yield stored > self.MAX_PRICE, "licence: price out of range"
        due = paid + self.rates.levy_on(paid)
        yield due > self.licensees[payer].deposit, "account: deposit is too small"

    def top_up(self, sender: str, ref: Ref, units: int) -> None:
        found = self.licences.get(ref)
        unknown = found is None or ref.licensee != sender
        refuse((unknown, "licence: unknown licence"), (unknown and self.paused, "market: paused"))
        assert found is not None
        metered = found.form == METERED
        paid = found.price * units if metered else 0
        refuse(
            (self.paused, "market: paused"),
            *self._unusable(found),
            *self._dead(ref.consent),
            (not self.model.registry.records[ref.record].live, "licence: record is not attested"),
            (
                not metered or found.urgent or found.approved or self._trusted(ref),
                "licence: it takes no more units",
            ),
            (found.epoch != len(self.epochs), "licence: the rates have changed"),
            (not 1 <= units <= self.MAX_NUMBER - found.units, "licence: units out of range"),
            self._bound(sender),
            (
                paid + self.rates.levy_on(paid) > self.licensees[sender].deposit,
                "account: deposit is too small",
            ),
        )
        levy = self.rates.levy_on(paid)
        self._take(sender, paid, levy)
        found.units += units
        found.paid += paid
        found.levy += levy

    def _trusted(self, ref: Ref) -> bool:
        """Whether a trustee manages what it is for: it must be paid for every unit (R21)."""
        terms = self.consents[ref.consent].terms
        return terms is not None and terms.patientShare == 6000

    def _revoked_at(self, ref: Ref) -> int:
        return self.consents[ref.consent].revoked_at

    def _unusable(self, licence: Licence) -> Iterator[tuple[object, str]]:
        yield licence.closed, "licence: it is closed"
        yield licence.suspended, "licence: it is suspended"
        yield licence.end <= self.now, "licence: it has ended"

    def usable(self, ref: Ref) -> bool:
        """Whether it may be used now."""
        found = self.licences.get(ref)
        checks = (*self._unusable(found), *self._dead(ref.consent)) if found else ()
        return found is not None and not any(wrong for wrong, _ in checks)

    def use_licence(
        self, sender: str, consent: bytes, record: bytes, salt: int, units: int
    ) -> None:
        found = self.licences.get(Ref(consent, record, sender, salt))
        refuse((found is None, "licence: unknown licence"))
        assert found is not None
        metered = found.form == METERED
        refuse(
            *self._unusable(found),
            (self._revoked_at(found.ref), "consent: it was revoked"),
            (not 1 <= units <= self.MAX_NUMBER, "licence: units out of range"),
            (metered and units > found.units - found.used, "licence: too few units prepaid"),
        )
        if metered:
            found.used += units

    def last(self, ref: Ref) -> int:
        """The second at which a licence ends: its own end, or the revocation if that is earlier."""
        return min(self.licences[ref].end, self._revoked_at(ref) or self.licences[ref].end)

    def redeem_vouchers(self, sender: str, vouchers: list[dict[str, Any]]) -> None:
        """R14. All of them or none."""
        before = {ref: x.used for ref, x in self.licences.items()}
        try:
            for voucher in vouchers:
                self._redeem(sender, **voucher)
        except Refused:
            for ref, used in before.items():
                self.licences[ref].used = used
            raise

    def _redeem(self, sender: str, ref: Ref, units: int, time: int, signature: Signature) -> None:
        found = self.licences.get(ref)
        metered = found is not None and found.form == METERED
        refuse((not metered, "voucher: no metered licence"))
        assert found is not None
        last, counted = self.last(ref), units <= found.used
        message = Voucher(ref.id, units, time)
        signed = signature.counts(sender, ref.key, message)
        refuse(
            (found.closed, "voucher: licence is closed"),
            (ref.key == ZERO, "voucher: no signer was named"),
            (time > last or time > self.now, "voucher: dated too late"),
            (self.now > last + self.window, "voucher: the window has closed"),
            # One that is counted already is passed over, whoever signed it.
            (not counted and units > found.units, "licence: too few units prepaid"),
            (not counted and not signed, "signature: not by its owner"),
        )
        found.used = max(found.used, units)

    def set_suspended(self, sender: str, licence: bytes, suspended: bool) -> None:
        found = next((x for ref, x in self.licences.items() if ref.id == licence), None)
        refuse(
            self._domain(sender, "SUPERVISOR"),
            (found is None, "licence: unknown licence"),
            (found and found.closed, "licence: it is closed"),
        )
        assert found is not None
        found.suspended = suspended

    # ---------------------------------------------------------------- settlement (R8, R9, R15)

    def settle(self, sender: str, refs: list[Ref]) -> None:
        """All of them or none. Nothing is written before the treasury has taken its levy."""
        touched: dict[Ref, Licence] = {}
        earnings: list[tuple[str, str, int]] = []
        refunds: list[tuple[str, int]] = []
        for ref in refs:
            found = touched.get(ref) or copy(self.licences.get(ref))
            refuse((found is None, "licence: unknown licence"))
            assert found is not None
            touched[ref] = found
            if found.closed:  # somebody who settles one first must not spoil the rest
                continue
            earnings += self._settle(found)
            if found.closed:
                refunds.append((ref.licensee, found.refund + found.refund_levy))
        levy = sum(x.settled_levy - self.licences[r].settled_levy for r, x in touched.items())
        if levy:
            self.model.treasury.take(self.address, levy)
        for part, account, amount in earnings:
            if amount:
                self.earners[account].earned += amount
            self.totals.parts[part] += amount
        for account, amount in refunds:
            self.licensees[account].deposit += amount
        for ref, after in touched.items():
            before = self.licences[ref]
            gross = after.settled - before.settled
            if gross:
                kind = self.model.registry.records[ref.record].kind, self.now // WEEK
                self.demand[kind] = self.demand.get(kind, 0) + gross
            self.totals.settled += gross
            self.totals.refunded += after.refund - before.refund
            self.totals.refunded_levy += after.refund_levy - before.refund_levy
            self.licences[ref] = after
        self.totals.levy += levy

    def _settle(self, licence: Licence) -> list[tuple[str, str, int]]:
        """Settle one licence, closing it when it has ended; returns who earned what."""
        last, metered = self.last(licence.ref), licence.form == METERED
        until = min(self.now, last)
        earned = licence.earned(until)
        gross = earned - licence.settled
        licence.settled = earned
        licence.settled_levy += licence.rates.levy_on(gross)
        ended = last <= self.now
        if metered and licence.ref.key != ZERO:  # vouchers may still come
            ended = last + self.window < self.now
        if gross or ended:  # where nothing was earned, nothing is written
            licence.mark = licence.used if metered else until
        if ended:
            licence.closed = True
            licence.refund = licence.paid - earned
            licence.refund_levy = licence.rates.levy_on(licence.refund)
        owner, custodian, annotator = self.model.registry.parties(licence.ref.record)
        terms = self.consents[licence.ref.consent].terms
        assert terms is not None
        split = shares(gross, licence.rates, terms.patientShare, annotator != ZERO)
        accounts = (owner, custodian, annotator, self.platform)
        return list(zip(Shares._fields, accounts, split, strict=True))

    def earned_now(self, ref: Ref) -> int:
        """What a licence has earned that nobody has settled."""
        found = self.licences[ref]
        return 0 if found.closed else found.earned(min(self.now, self.last(ref))) - found.settled

    # ---------------------------------------------------------------- what the chain must say

    def state(self, accounts: Iterable[str]) -> Iterator[tuple[tuple[Any, ...], Any]]:
        name = "DataMarket"
        epoch = len(self.epochs)
        widths = [(part, 16) for part in self.rates]
        yield (name, "rates_word"), pack(*widths, (epoch, 16), (self.paused, 1))
        for number, rates in enumerate((*self.epochs, Rates(0, 0, 0, 0)), 1):
            yield (name, "rates_of", number), tuple(rates)
        yield (name, "platform"), int(self.platform, 16)
        yield (name, "agreement"), int.from_bytes(self.agreement)
        yield (name, "window"), self.window
        for (kind, week), amount in self.demand.items():
            yield (name, "demand", kind, week), amount
        for account in accounts:
            owes, due = self.licensees[account], self.earners[account]
            yield (
                (name, "licensee_word", account),
                pack((owes.deposit, 128), (owes.groups, 96), (owes.region, 16), (owes.flags, 16)),
            )
            yield (name, "earnings_word", account), pack((due.earned, 128), (due.nonce, 64))
        for consent, found in self.consents.items():
            terms = found.terms
            yield (
                (name, "consent_word", consent),
                pack(
                    (found.patient, 160),
                    (terms.expiry if terms else 0, 40),
                    (found.revoked_at, 40),
                    (terms.patientShare if terms else 0, 16),
                ),
            )
        for ref, licence in self.licences.items():
            yield (name, "licence_word", ref.id), _licence_word(licence)
            yield ("LicenceView", "is_usable", ref), int(self.usable(ref))
            yield ("LicenceView", "earned_now", (ref,)), self.earned_now(ref)


def _licence_word(licence: Licence) -> int:
    marks = (
        (licence.units, licence.used, licence.mark)
        if licence.form == METERED
        else (licence.start, licence.mark, 0)
    )
    return pack(
        (licence.price // GRAIN, 64),
        (licence.end, 40),
        (licence.epoch, 16),
        (licence.form, 2),
        (licence.suspended, 1),
        (licence.closed, 1),
        (licence.urgent, 1),
        (licence.approved, 1),
        (0, 10),
        *((mark, 40) for mark in marks),
    )


# -------------------------------------------------------------------------------- tokens (R12)


class Tokens(Book):
    """Licences as soulbound tokens: what was shown, and what the market says of it."""

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.shown: list[Ref] = []

    def show(self, sender: str, ref: Ref) -> int:
        refuse(
            (ref not in self.model.market.licences, "licence token: unknown licence"),
            (ref in self.shown, "licence token: shown already"),
        )
        self.shown.append(ref)
        return int.from_bytes(ref.id)

    def approve(self, sender: str, to: str, token: int) -> None:
        refuse((True, "licence token: not transferable"))

    def setApprovalForAll(self, sender: str, to: str, approved: bool) -> None:  # noqa: N802
        refuse((True, "licence token: not transferable"))

    def transferFrom(self, sender: str, owner: str, to: str, token: int) -> None:  # noqa: N802
        refuse(
            (True, "licence token: not transferable"),
            (to == ZERO, "ERC721InvalidReceiver("),
            (True, "ERC721InsufficientApproval("),
            (True, "ERC721NonexistentToken("),
            (True, "ERC721IncorrectOwner("),
        )

    def state(self) -> Iterator[tuple[tuple[Any, ...], Any]]:
        name, market = "LicenceToken", self.model.market
        for ref in self.shown:
            token, found = int.from_bytes(ref.id), market.licences[ref]
            yield (name, "ownerOf", token), int(ref.licensee, 16)
            yield (name, "startTime", token), 0 if found.form == METERED else found.start
            yield (name, "endTime", token), found.end
            expired = found.closed or market.last(ref) <= self.now
            yield (name, "isTokenExpired", token), int(expired)


# -------------------------------------------------------------------------------- all of it


class Model:
    """The whole ledger, as a deployment with these parameters leaves it."""

    def __init__(
        self,
        params: Any,
        agreement: bytes,
        addresses: dict[str, str],
        roles: dict[str, set[str]],
        now: int,
    ) -> None:
        self.now = now
        self.access = Access(addresses["TimelockController"], roles)
        market, treasury = addresses["DataMarket"], addresses["Treasury"]
        self.dut = Usage(self, params.cap, (market, treasury))
        self.dut.allowances[market, treasury] = UNLIMITED
        self.dct = Contribution(self, addresses["RecordRegistry"])
        self.registry = Registry(self, params.coefficients, params.min_quality)
        self.treasury = Treasury(self, treasury, params.ceiling, params.burn_share)
        self.market = Market(
            self,
            market,
            Rates(**params.rates),
            params.platform,
            params.window,
            agreement,
        )
        self.tariff = Tariff(self, params.references, params.factors)
        self.tokens = Tokens(self)
        self.of: dict[str, Any] = {
            "AccessManager": self.access,
            "UsageToken": self.dut,
            "ContributionToken": self.dct,
            "RecordRegistry": self.registry,
            "Treasury": self.treasury,
            "DataMarket": self.market,
            "Tariff": self.tariff,
            "LicenceToken": self.tokens,
        }

    def approves(self, patient: str, consent: bytes, licensee: str, order: dict[str, Any]) -> bool:
        """R10: whether a patient's passkey approved an order. Here nobody has enrolled one."""
        return False

    def state(self, accounts: Iterable[str]) -> State:
        """What every view of every contract must answer now, as integers."""
        accounts = tuple(accounts)
        return {
            **dict(self.dut.state(accounts)),
            **dict(self.dct.state(accounts)),
            **dict(self.registry.state(accounts)),
            **dict(self.treasury.state()),
            **dict(self.market.state(accounts)),
            **dict(self.tariff.state()),
            **dict(self.tokens.state()),
        }
