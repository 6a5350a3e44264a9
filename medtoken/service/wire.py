"""What goes over the line between the service and a page: JSON, checked field by field.

Bytes are 0x hexadecimal; amounts are decimal strings of base units (10^18 make 1 DUT); times are
unix seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from eth_utils import is_address, to_checksum_address

from medtoken.bodies import Body, hexed, word
from medtoken.errors import BadInput
from medtoken.messages import (
    Consent,
    LicenceApproval,
    Message,
    PasskeyCancellation,
    PasskeyChange,
    Revocation,
    Withdrawal,
)


class Problem(Body, frozen=True):
    """A refusal: a code that stays the same, one sentence, and whether to ask again."""

    code: str
    detail: str
    status: int
    retry: bool


class Block(Body, frozen=True):
    """A block."""

    number: int
    hash: str
    time: int


class Moment(Body, frozen=True):
    """Where on the chain something happened."""

    block: int
    time: int
    tx: str


class Rates(Body, frozen=True):
    """How a price is split now, in bps; the levy comes on top (R15)."""

    provider: int
    annotator: int
    platform: int
    levy: int


class Info(Body, frozen=True):
    """The market, and up to where the service has read its chain."""

    chain_id: int
    contracts: dict[str, str]
    agreement: str
    rates: Rates
    block: Block
    final: int
    relay: bool
    """Whether this service brings what patients sign to the chain, and pays the gas."""
    trouble: str | None
    """Why what is shown may be old; None where it is not."""


class Health(Body, frozen=True):
    """Whether the chain is being followed."""

    ok: bool
    block: int | None
    detail: str | None


class Institution(Body, frozen=True):
    """A hospital, laboratory or annotator: its number and account (R8)."""

    number: int
    account: str


class Who(Body, frozen=True):
    """A licensee as the market knows it now; in a use, as it was known when it bought. No group: a
    certified institution that shows no more (R11)."""

    account: str | None
    groups: list[str]
    region: int
    certified: bool


class Outcome(Body, frozen=True):
    """What a licensee stated that a record led to (R27). ``statement`` is its digest."""

    number: int
    at: Moment
    licence: str
    kind: int
    statement: str


class Scores(Body, frozen=True):
    """The six scores of a record's data and what follows from them (R7)."""

    dvi: int
    volume: int
    completeness: int
    timeliness: int
    accuracy: int
    annotation: int
    traceability: int
    units: int
    day: int


class RecordState(Body, frozen=True):
    """A record (R6): what is stored where, how good it is, and who may use it now."""

    block: Block
    record: str
    owner: str
    state: str
    """waiting (not attested), live, replaced or destroyed."""
    kind: int
    tier: int
    region: int
    size: int
    cid: str
    custodian: Institution
    annotator: Institution | None
    attester: Institution | None
    registered: Moment
    scores: Scores | None
    minted: str
    copies: list[str]
    """Masking profiles, by their hash, of which there is a copy for every licence."""
    consents: list[str]
    """Consents that are live and name this record."""
    licences: list[str]
    """Licences that run now."""
    earned: str
    """What the record has earned its owner."""
    outcomes: list[Outcome]


class ConsentState(Body, frozen=True):
    """A consent (R9): its state, its terms as signed, and these in words."""

    block: Block
    consent: str
    patient: str
    state: str
    """live, revoked, expired, or cancelled before it ever came."""
    granted: Moment | None
    revoked: Moment | None
    expiry: int
    terms: dict[str, str | int] | None
    text: str | None
    licences: list[str]
    """Licences that were bought under it."""


class Step(Body, frozen=True):
    """Something that happened to a licence; which of the numbers mean something is the event's."""

    at: Moment
    event: str
    units: int | None = None
    amount: str | None = None
    suspended: bool | None = None


class Use(Body, frozen=True):
    """A licence (R12) as those whose data it uses see it: who, what for, paid, earned, what came of it."""

    licence: str
    record: str
    consent: str
    who: Who
    purposes: list[str]
    form: int
    state: str
    """running, suspended, ended (not yet closed) or closed."""
    bought: Moment
    end: int
    units: int
    used: int
    uses: int
    """How often it was used, in transactions, vouchers counted as one each."""
    last_used: Moment | None
    urgent: bool
    paid: str
    levy: str
    settled: str
    refund: str
    earned: str
    """What it has brought the account that was asked for."""
    steps: list[Step]
    outcomes: list[Outcome]


class Credit(Body, frozen=True):
    """What one settlement brought an account."""

    at: Moment
    licence: str
    record: str
    part: str
    amount: str


class Payout(Body, frozen=True):
    """A withdrawal."""

    at: Moment
    to: str
    amount: str


class Alert(Body, frozen=True):
    """Something to look at. ``kind`` says what; the page has the words."""

    kind: str
    at: Moment | None
    record: str | None
    consent: str | None
    licence: str | None
    numbers: dict[str, int]


class Records(Body, frozen=True):
    """Records, newest first."""

    block: Block
    total: int
    records: list[RecordState]


class Consents(Body, frozen=True):
    """Consents, newest first."""

    block: Block
    total: int
    consents: list[ConsentState]


class Uses(Body, frozen=True):
    """Licences, newest first."""

    block: Block
    total: int
    uses: list[Use]


class Earnings(Body, frozen=True):
    """An account's earnings. ``earned`` is what the chain holds for it, to be withdrawn now."""

    block: Block
    account: str
    earned: str
    nonce: int
    unsettled: str
    """Its part of what running licences have earned by now and nobody has settled yet."""
    total: str
    withdrawn: str
    by_record: dict[str, str]
    credits: list[Credit]
    payouts: list[Payout]


class Points(Body, frozen=True):
    """Points for one thing (R25): ``source`` is record, use, streak, feedback, referral or idea."""

    at: Moment
    source: str
    points: int


class Badge(Body, frozen=True):
    """A soulbound badge: of a month or a year (counted from 1970), and its place among the ten."""

    badge: str
    year: bool
    period: int
    rank: int
    donated: bool
    """Whether its donation was directed."""


class Service(Body, frozen=True):
    """What can be had for DCT or GT (R26); a price of zero is a privilege."""

    service: int
    provider: str
    token: str
    price: str
    points: int
    """The score that opens it."""
    open: bool
    """Whether this account's score opens it, and its tokens pay for it."""


class Voucher(Body, frozen=True):
    """A service that was redeemed."""

    voucher: int
    service: int
    served: bool


class Standing(Body, frozen=True):
    """A patient's credit (R25), and what it opens (R26)."""

    block: Block
    account: str
    points: int
    month: int
    """Points of this month of 30 days."""
    place: int
    """Among patients of this month; 0 without points, equal for equal points."""
    records: int
    """Records that counted."""
    run: int
    """Months in a row with points; six bring 60."""
    contribution: str
    """DCT, base units."""
    governance: str
    """GT, base units."""
    history: list[Points]
    badges: list[Badge]
    services: list[Service]
    vouchers: list[Voucher]


class Alerts(Body, frozen=True):
    """What to look at, newest first."""

    block: Block
    alerts: list[Alert]


class Licensee(Body, frozen=True):
    """A licensee's standing in the market, and its licences."""

    block: Block
    account: str
    who: Who
    deposit: str
    frozen: bool
    total: int
    uses: list[Use]


class Custodian(Body, frozen=True):
    """A custodian's records. Without a number the account is no institution."""

    block: Block
    account: str
    number: int
    total: int
    records: list[RecordState]


class Offer(Body, frozen=True):
    """A consent under which a record can be licensed now."""

    consent: str
    purposes: list[str]
    groups: list[str]
    region: int
    fields: str
    floor: str
    expiry: int
    auction_only: bool
    tier: int
    """The highest covered; under 3 the patient approves each licence by passkey first (R10)."""
    trustee: str | None  # who alone sells it (R21)


class Found(Body, frozen=True):
    """A record that can be licensed."""

    record: str
    kind: int
    tier: int
    region: int
    size: int
    dvi: int
    offers: list[Offer]


class Catalogue(Body, frozen=True):
    """Records that can be licensed, best quality first (R40)."""

    block: Block
    total: int
    found: list[Found]


class Quote(Body, frozen=True):
    """What a licence would cost now (R13), and whom it would pay (R15). ``unit`` is the price of one."""

    block: Block
    unit: str
    price: str
    levy: str
    patient: str
    custodian: str
    annotator: str
    platform: str
    allowed: bool
    reason: str | None
    """Why it could not be bought; None where it could."""


class ConsentDraft(Body, frozen=True):
    """What a consent is to say; the service adds who owns the record, times and a nonce."""

    record: str
    purposes: list[str]
    licensees: list[str]
    region: str
    fields: str
    floor: str
    share: int
    days: int
    diseases: list[str] = msgspec.field(default_factory=list)


class Unsigned(Body, frozen=True):
    """A message for a wallet to sign (EIP-712), its hash, and what signing it means."""

    id: str
    text: str
    typed_data: dict[str, Any]


class SignedConsent(Body, frozen=True):
    """A consent with the patient's signature. Whole numbers may be decimal strings."""

    message: dict[str, str | int]
    signature: str


class SignedRevocation(Body, frozen=True):
    """A revocation with the patient's signature."""

    consent: str
    signature: str


class SignedWithdrawal(Body, frozen=True):
    """A withdrawal with the earner's signature."""

    message: dict[str, str | int]
    signature: str


class Passkey(Body, frozen=True):
    """A public key on P-256, and the SHA-256 of the host that it is for."""

    x: str
    y: str
    relying_party: str


class Request(Body, frozen=True):
    """What a licensee asks a patient to approve (R10); ``order`` as the chain takes it."""

    at: Moment
    consent: str
    patient: str
    licensee: str
    who: Who
    purposes: list[str]
    order: dict[str, str | bool]
    approved_until: int | None
    """Unix seconds; None where the patient has not approved it."""


class Passkeys(Body, frozen=True):
    """A patient's passkey, a change of it that waits, and what is asked of it."""

    block: Block
    account: str
    passkey: Passkey | None
    change: Passkey | None
    since: int
    """Unix seconds at which the change counts; zero is none. A change to None removes the passkey."""
    nonce: int
    delay: int
    requests: list[Request]


class Requests(Body, frozen=True):
    """What a licensee has asked patients for, the newest first."""

    block: Block
    account: str
    requests: list[Request]


class SignedPasskey(Body, frozen=True):
    """A change of a passkey, or its cancellation, with the signature of the patient's wallet."""

    message: dict[str, str | int]
    signature: str


class Assertion(Body, frozen=True, rename=None):
    """What a browser's navigator.credentials.get() answered; base64url."""

    authenticatorData: str  # noqa: N815  the browser's name
    clientDataJSON: str  # noqa: N815
    signature: str


class ApprovedLicence(Body, frozen=True):
    """An approval of a licence by the patient's passkey."""

    message: dict[str, str | int | bool]
    assertion: Assertion


class Carried(Body, frozen=True):
    """Something of a patient's that was brought to the chain."""

    account: str


class Granted(Body, frozen=True):
    """A consent that is on the chain. ``at`` is None until the service has read its block."""

    consent: str
    at: Moment | None


class Revoked(Body, frozen=True):
    """A consent that was taken back, and the block in which that took effect."""

    consent: str
    at: Moment | None


class Paid(Body, frozen=True):
    """A withdrawal that was paid."""

    account: str
    to: str
    amount: str


def address(text: str) -> str:
    """A checksummed address. Raises BadInput."""
    if not is_address(text) or not text.startswith("0x"):
        raise BadInput("An address is 0x and 40 hexadecimal digits.")
    return str(to_checksum_address(text))


def amount(text: str) -> int:
    """Base units, zero at least. Raises BadInput."""
    if not (text.isascii() and text.isdigit() and len(text) <= 78):
        raise BadInput("An amount is a decimal number of base units.")
    return int(text)


def plain(message: Message) -> dict[str, str | int]:
    """A message's fields for JSON: bytes as hex, numbers as decimal strings."""
    return {
        name: hexed(value)
        if isinstance(value, bytes)
        else value
        if isinstance(value, bool)
        else str(value)
        for name, value in message.values().items()
    }


def typed_data(message: Message, data: dict[str, Any]) -> dict[str, Any]:
    """``Message.typed_data`` for JSON, as wallets take it."""
    return {**data, "message": plain(message)}


def consent_of(fields: dict[str, str | int]) -> Consent:
    """A consent from its fields. Raises BadInput."""
    return Consent(**_fields(Consent, fields))


def withdrawal_of(fields: dict[str, str | int]) -> Withdrawal:
    """A withdrawal from its fields. Raises BadInput."""
    return Withdrawal(**_fields(Withdrawal, fields))


def change_of(fields: dict[str, str | int]) -> PasskeyChange:
    """A change of a passkey from its fields. Raises BadInput."""
    return PasskeyChange(**_fields(PasskeyChange, fields))


def cancellation_of(fields: dict[str, str | int]) -> PasskeyCancellation:
    """The cancellation of such a change from its fields. Raises BadInput."""
    return PasskeyCancellation(**_fields(PasskeyCancellation, fields))


def approval_of(fields: Mapping[str, str | int | bool]) -> LicenceApproval:
    """An approval from its fields. Raises BadInput."""
    return LicenceApproval(**_fields(LicenceApproval, fields))


def revocation_of(consent: str) -> Revocation:
    """A revocation. Raises BadInput."""
    return Revocation(word(consent))


def _fields(kind: type[Message], fields: Mapping[str, str | int | bool]) -> dict[str, Any]:
    names = dict(kind.types)
    if fields.keys() != names.keys():
        raise BadInput(f"A {kind.__name__.lower()} has the fields {', '.join(names)}.")
    found: dict[str, Any] = {}
    for name, solidity in names.items():
        value = fields[name]
        if isinstance(value, bool) or solidity == "bool":
            if not isinstance(value, bool) or solidity != "bool":
                raise BadInput(f"{name} is not of its type.")
            found[name] = value
        elif solidity == "uint256":
            number = value if isinstance(value, int) else amount(value)
            if not 0 <= number < 1 << 256:
                raise BadInput(f"{name} does not fit its field.")
            found[name] = number
        elif not isinstance(value, str):
            raise BadInput(f"{name} is text.")
        else:
            found[name] = word(value) if solidity == "bytes32" else address(value)
    return found
