"""What people sign: every EIP-712 message of the market, in one place.

Each message knows its types, its hash, and how to ``render()`` itself as sentences for the person
who signs it. The same types are hashed on the chain (``contracts/modules/``); the golden
vectors in ``tests/vectors/eip712.json`` hold both to the same bytes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from eth_abi import encode
from eth_abi.exceptions import EncodingError
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils import to_checksum_address

from medtoken import vocabulary
from medtoken._keccak import keccak
from medtoken.errors import BadInput, InvalidSignature

DUT = 10**18
GRAIN = 10**9
# Half of the curve's order; a larger s is the malleable twin of a valid signature.
_MAX_S = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0

_DOMAIN_FIELDS = [
    {"name": "name", "type": "string"},
    {"name": "version", "type": "string"},
    {"name": "chainId", "type": "uint256"},
    {"name": "verifyingContract", "type": "address"},
]


@dataclass(frozen=True)
class Domain:
    """The EIP-712 domain of one deployed market: a signature is good there and nowhere else."""

    chain_id: int
    market: str

    def data(self) -> dict[str, Any]:
        """The domain as wallets take it."""
        return {
            "name": "medtoken",
            "version": "1",
            "chainId": self.chain_id,
            "verifyingContract": to_checksum_address(self.market),
        }


@dataclass(frozen=True)
class GovernorDomain(Domain):
    """The EIP-712 domain of the governor; ``market`` is the governor's address."""

    def data(self) -> dict[str, Any]:
        """The domain as wallets take it."""
        return super().data() | {"name": "medtoken governor"}


class Message(ABC):
    """Base of the messages: a frozen dataclass whose fields are the EIP-712 fields, in order."""

    types: ClassVar[tuple[tuple[str, str], ...]]

    def values(self) -> dict[str, Any]:
        """Field by field, as wallets and the ABI layer take it."""
        return {name: getattr(self, name) for name, _ in self.types}

    def type_string(self) -> str:
        """The EIP-712 type, for example ``Revocation(bytes32 consent)``."""
        inner = ",".join(f"{kind} {name}" for name, kind in self.types)
        return f"{type(self).__name__}({inner})"

    def struct_hash(self) -> bytes:
        """EIP-712 hashStruct. Of a Consent it is the consent's id on the chain."""
        kinds = ["bytes32", *(kind for _, kind in self.types)]
        values = [keccak(text=self.type_string()), *self.values().values()]
        return keccak(encode(kinds, values))

    def typed_data(self, domain: Domain) -> dict[str, Any]:
        """The whole message as ``eth_signTypedData_v4`` takes it."""
        name = type(self).__name__
        return {
            "types": {
                "EIP712Domain": _DOMAIN_FIELDS,
                name: [{"name": n, "type": k} for n, k in self.types],
            },
            "primaryType": name,
            "domain": domain.data(),
            "message": self.values(),
        }

    def digest(self, domain: Domain) -> bytes:
        """The EIP-712 digest, which a wallet signs, and which is a passkey's challenge."""
        signable = encode_typed_data(full_message=self.typed_data(domain))
        return keccak(b"\x19" + signable.version + signable.header + signable.body)

    def sign(self, key: bytes | str, domain: Domain) -> bytes:
        """Sign with a private key; 65 bytes r, s, v with low s."""
        signable = encode_typed_data(full_message=self.typed_data(domain))
        return bytes(Account.sign_message(signable, key).signature)

    def signer(self, signature: bytes, domain: Domain) -> str:
        """The address whose key made ``signature``, if the market takes it as a key's.

        Raises InvalidSignature on anything but 65 bytes r, s, v with low s and v of 27 or 28.
        """
        malformed = InvalidSignature("The signature is not a well-formed wallet signature.")
        if len(signature) != 65 or signature[64] not in (27, 28):
            raise malformed
        if int.from_bytes(signature[32:64], "big") > _MAX_S:
            raise malformed
        signable = encode_typed_data(full_message=self.typed_data(domain))
        try:
            return str(Account.recover_message(signable, signature=signature))
        except Exception:
            raise malformed from None

    @abstractmethod
    def render(self) -> str:
        """What signing this means, in sentences for the person who signs."""


@dataclass(frozen=True)
class Consent(Message):
    """A patient's consent (R9): who may use what, for what, where, until when, at what price."""

    patient: str
    records: bytes
    purposes: int
    diseases: bytes
    licensees: int
    fields: bytes
    region: int
    tier: int
    patientShare: int  # noqa: N815  the name in the signed type
    floorPrice: int  # noqa: N815
    expiry: int
    nonce: int
    deadline: int

    types = (
        ("patient", "address"),
        ("records", "bytes32"),
        ("purposes", "uint256"),
        ("diseases", "bytes32"),
        ("licensees", "uint256"),
        ("fields", "bytes32"),
        ("region", "uint256"),
        ("tier", "uint256"),
        ("patientShare", "uint256"),
        ("floorPrice", "uint256"),
        ("expiry", "uint256"),
        ("nonce", "uint256"),
        ("deadline", "uint256"),
    )

    @property
    def trustee(self) -> str | None:
        """Whom this consent mandates to manage what it covers (R21); None for nobody."""
        if self.patientShare != vocabulary.TRUST_SHARE:
            return None
        return str(to_checksum_address((self.nonce % 2**160).to_bytes(20)))

    def check(self, now: int) -> None:
        """Refuse, before anybody signs, what the market would refuse. Raises BadInput."""
        try:
            self.struct_hash()
        except (EncodingError, TypeError, ValueError) as error:
            raise BadInput(f"A consent has a value that does not fit its field: {error}") from None
        if not int(self.patient, 16):
            raise BadInput("A consent must name its patient.")
        named = self.records != bytes(32) and self.fields != bytes(32)
        if not (named and self.purposes and self.licensees and self.region):
            raise BadInput("A consent must name records, fields, purposes, licensees and a region.")
        if not any(self.purposes >> n & 1 for n, _ in vocabulary.DUO_PERMISSIONS.values()):
            raise BadInput("A consent must name at least one permitted purpose.")
        if self.tier not in list(vocabulary.Tier):
            raise BadInput("A consent must name a tier from 1 (public) to 3 (highly sensitive).")
        if self.trustee is not None:
            if not self.licensees & vocabulary.AUCTION_ONLY:
                raise BadInput("What a trustee manages must not be for simple purchase.")
            if int(self.trustee, 16) in (0, int(self.patient, 16)):
                raise BadInput("A mandate must name a trustee, and not the patient.")
        elif not 7_000 <= self.patientShare <= 8_000:
            raise BadInput("The patient's share must be from 70 to 80 per cent.")
        if self.floorPrice % GRAIN or not 0 <= self.floorPrice <= (2**64 - 1) * GRAIN:
            raise BadInput(
                "The floor price must be a multiple of 10^9 base units, at most 2^64 times."
            )
        if self.expiry <= now or self.expiry >= 2**40:
            raise BadInput("The consent's expiry has passed, or is not a time.")
        if self.deadline < now:
            raise BadInput("The deadline for bringing the signature has passed.")

    def render(self) -> str:
        """The consent in layers: what it allows first, then its limits, then how to take it back."""
        codes = vocabulary.duo_names(self.purposes)
        known = vocabulary.DUO_PERMISSIONS
        allowed = [known[code][1] for code in codes if code in known]
        limits = [_modifier(code) for code in codes if code not in known]
        who = [
            vocabulary.GROUPS[name][1] if name in vocabulary.GROUPS else name
            for name in vocabulary.group_names(self.licensees & ~vocabulary.AUCTION_ONLY)
        ]
        place = vocabulary.region_name(self.region)
        where = place if self.region == vocabulary.REGIONS["WORLD"][0] else f"in {place}"
        lines = [
            f"You allow {_list(who)} to use your record for {_list(allowed)}, "
            f"{where}, until {_date(self.expiry)}.",
            f"They may see: {vocabulary.profile_words(self.fields)}.",
        ]
        lines.append(f"It covers {vocabulary.tier_words(self.tier)}.")
        if self.trustee is not None:
            sale = "You sign no further sale."
            if self.tier >= vocabulary.Tier.HIGHLY_SENSITIVE:
                sale = "You approve each sale with your passkey."
            lines.append(
                f"You mandate the trustee {self.trustee} to manage this for you. It alone sells, to "
                "whom these terms allow, never below the tariff's price; it may ask more, or hold "
                f"back. {sale} Taking this back ends the mandate."
            )
        elif self.licensees & vocabulary.AUCTION_ONLY:
            lines.append("Nobody can simply buy: only by an auction that you sign.")
        if self.diseases != bytes(32):
            lines.append(
                f"Diseases: those of the list with the fingerprint 0x{self.diseases.hex()}."
            )
        if limits:
            lines.append(f"Conditions: {'; '.join(limits)}.")
        share = f"Of the provider's part, {self.patientShare / 100:g} % is yours."
        if self.trustee is not None:
            share = (
                "Of the whole price, 60 % is yours and 40 % the custodian's. "
                "They pay the trustee 15 % of it on top."
            )
        lines += [
            f"They pay at least {_dut(self.floorPrice)} DUT for each use or licence. {share}",
            "You can take this back at any time with one signature; every later use then stops. "
            "What was already released cannot be called back.",
            f"Record or set of records: 0x{self.records.hex()}.",
        ]
        return "\n".join(lines)


@dataclass(frozen=True)
class Revocation(Message):
    """A patient takes a consent back (R9). It never expires."""

    consent: bytes
    types = (("consent", "bytes32"),)

    def render(self) -> str:
        """What signing this means."""
        return (
            f"You take back the consent 0x{self.consent.hex()}. From the moment this reaches the "
            "chain nobody can use your record under it any more, and unearned money goes back to "
            "those who prepaid."
        )


@dataclass(frozen=True)
class Withdrawal(Message):
    """An earner has what it earned paid out (R2)."""

    account: str
    to: str
    amount: int
    nonce: int
    deadline: int
    types = (
        ("account", "address"),
        ("to", "address"),
        ("amount", "uint256"),
        ("nonce", "uint256"),
        ("deadline", "uint256"),
    )

    def render(self) -> str:
        """What signing this means."""
        where = "your own wallet" if self.to.lower() == self.account.lower() else self.to
        return f"{_dut(self.amount)} DUT of your earnings are paid to {where}, by {_date(self.deadline)}."


@dataclass(frozen=True)
class Voucher(Message):
    """A licensee acknowledges how many units of a licence it used in all, until a time (R14)."""

    licence: bytes
    units: int
    time: int
    types = (("licence", "bytes32"), ("units", "uint256"), ("time", "uint256"))

    def render(self) -> str:
        """What signing this means."""
        return (
            f"You acknowledge {self.units:,} units used of the licence 0x{self.licence.hex()} "
            f"until {_date(self.time)}. They will be paid from what you prepaid."
        )


@dataclass(frozen=True)
class AuctionOffer(Message):
    """A patient offers a fixed term of a record in an auction (R12). Its hash is the auction's id.

    It is signed in the auction house's domain: ``Domain(chain_id, auction house)``.
    """

    consent: bytes
    record: bytes
    reserve: int
    opens: int
    ends: int
    term: int
    certifiedFirst: int  # noqa: N815  the name in the signed type
    nonce: int
    types = (
        ("consent", "bytes32"),
        ("record", "bytes32"),
        ("reserve", "uint256"),
        ("opens", "uint256"),
        ("ends", "uint256"),
        ("term", "uint256"),
        ("certifiedFirst", "uint256"),
        ("nonce", "uint256"),
    )

    def check(self, now: int) -> None:
        """Refuse, before anybody signs, what no auction house takes. Raises BadInput."""
        if self.opens < now or not self.opens < self.ends <= self.opens + 90 * 86_400:
            raise BadInput("An auction opens in the future and ends within 90 days of that.")
        if not 0 <= self.certifiedFirst < self.ends - self.opens:
            raise BadInput("Certified licensees go first for a part of the auction, not longer.")
        if self.term <= 0:
            raise BadInput("The licence to be auctioned must last some time.")
        if self.reserve <= 0 or self.reserve % GRAIN or self.reserve > (2**64 - 1) * GRAIN:
            raise BadInput("The reserve must be a positive multiple of 10^9 base units.")

    def render(self) -> str:
        """What signing this means."""
        days = f"{self.term / 86_400:.4g} days"
        lines = [
            f"You auction a licence of {days} to your record, from {_date(self.opens)} to "
            f"{_date(self.ends)}, for at least {_dut(self.reserve)} DUT. Late bids move the end.",
        ]
        if self.certifiedFirst:
            lines.append(f"Until {_date(self.opens + self.certifiedFirst)} only certified bid.")
        lines += [
            "You can take the offer back as long as nobody has bid; afterwards only by taking "
            "back your consent, which ends every licence under it.",
            f"Record: 0x{self.record.hex()}. Consent: 0x{self.consent.hex()}.",
        ]
        return "\n".join(lines)


@dataclass(frozen=True)
class AuctionWithdrawal(Message):
    """A patient takes an auction back on which nobody has bid. It never expires."""

    auction: bytes
    types = (("auction", "bytes32"),)

    def render(self) -> str:
        """What signing this means."""
        return (
            f"You take back the auction 0x{self.auction.hex()}, as long as nobody has bid. It can "
            "never be opened again."
        )


@dataclass(frozen=True)
class StorageWitness(Message):
    """An attester has read a record's sealed bytes and computed the root over their chunks (R5).

    It is signed in the domain of StorageRewards: ``Domain(chain_id, StorageRewards)``.
    """

    record: bytes
    root: bytes
    size: int
    types = (("record", "bytes32"), ("root", "bytes32"), ("size", "uint256"))

    def render(self) -> str:
        """What signing this means."""
        return (
            f"You confirm that the sealed bytes of the record 0x{self.record.hex()}, {self.size:,} "
            f"of them, have the chunk root 0x{self.root.hex()}. Its custodian can then prove that "
            "it stores them."
        )


@dataclass(frozen=True)
class Referral(Message):
    """A patient brought another; both sign the same (R25)."""

    referrer: str
    referred: str
    deadline: int
    types = (("referrer", "address"), ("referred", "address"), ("deadline", "uint256"))

    def render(self) -> str:
        """What signing this means."""
        return (
            f"{self.referred} was brought by {self.referrer}. This joins the two accounts in public, "
            f"for good; it counts until {_date(self.deadline)}."
        )


@dataclass(frozen=True)
class Donation(Message):
    """The holder of a Health Ambassador badge says where its donation goes (R25)."""

    badge: int
    recipient: str
    deadline: int
    types = (("badge", "uint256"), ("recipient", "address"), ("deadline", "uint256"))

    def render(self) -> str:
        """What signing this means."""
        return f"The donation of your badge goes to {self.recipient}, by {_date(self.deadline)}."


@dataclass(frozen=True)
class Redemption(Message):
    """An account's tokens are burned for a listed service (R26)."""

    account: str
    service: int
    price: int
    nonce: int
    deadline: int
    types = (
        ("account", "address"),
        ("service", "uint256"),
        ("price", "uint256"),
        ("nonce", "uint256"),
        ("deadline", "uint256"),
    )

    def render(self) -> str:
        """What signing this means."""
        return (
            f"{_dut(self.price)} of your tokens are burned, for good, for service {self.service}, "
            f"by {_date(self.deadline)}."
        )


@dataclass(frozen=True)
class CopyDestruction(Message):
    """A licensee attests that it destroyed what it had of a record, its licence being over (R35).

    It is signed in the domain of LicenceView: ``Domain(chain_id, LicenceView)``. It never expires.
    """

    licence: bytes
    statement: bytes
    types = (("licence", "bytes32"), ("statement", "bytes32"))

    def render(self) -> str:
        """What signing this means."""
        return (
            "You attest, in public and for good, that you destroyed every copy of what the licence "
            f"0x{self.licence.hex()} let you open, with the keys, wherever it was stored or backed "
            "up, as your statement with the SHA-256 "
            f"0x{self.statement.hex()} says. What you derived from it by the licence's terms is not "
            "meant."
        )


@dataclass(frozen=True)
class PasskeyChange(Message):
    """A patient enrols, replaces or removes (all zero) the passkey that approves licences (R10).

    It is signed by the wallet in the domain of the Passkeys: ``Domain(chain_id, Passkeys)``.
    """

    patient: str
    x: bytes
    y: bytes
    relyingParty: bytes  # noqa: N815  the name in the signed type
    nonce: int
    deadline: int
    types = (
        ("patient", "address"),
        ("x", "bytes32"),
        ("y", "bytes32"),
        ("relyingParty", "bytes32"),
        ("nonce", "uint256"),
        ("deadline", "uint256"),
    )

    def render(self) -> str:
        """What signing this means."""
        if not any(self.relyingParty):
            return (
                "You remove the passkey that approves the use of your highly sensitive data. When "
                "this counts nobody can buy a licence to them any more, until you enrol another one."
            )
        return (
            "From now on the use of your highly sensitive data is approved with the passkey "
            f"0x{self.x.hex()}, for each licence anew. If you have a passkey already, this one counts "
            "only after a delay, in which your wallet or the one before can cancel it."
        )


@dataclass(frozen=True)
class PasskeyCancellation(Message):
    """A patient cancels a change of the passkey that does not count yet (R10).

    Signed by the wallet, or by the passkey that still counts, in the domain of the Passkeys.
    """

    patient: str
    nonce: int
    types = (("patient", "address"), ("nonce", "uint256"))

    def render(self) -> str:
        """What signing this means."""
        return "You cancel the change of your passkey: the one that counts now stays."


@dataclass(frozen=True)
class LicenceApproval(Message):
    """A patient allows one licence of highly sensitive data (R10): signed by the passkey alone.

    In the domain of the Passkeys; its ``digest`` is the challenge of the assertion.
    """

    patient: str
    consent: bytes
    licensee: str
    record: bytes
    form: int
    units: int
    end: int
    purposes: int
    diseases: bytes
    urgent: bool
    maxPrice: int  # noqa: N815  the name in the signed type
    agreement: bytes
    salt: int
    deadline: int
    types = (
        ("patient", "address"),
        ("consent", "bytes32"),
        ("licensee", "address"),
        ("record", "bytes32"),
        ("form", "uint256"),
        ("units", "uint256"),
        ("end", "uint256"),
        ("purposes", "uint256"),
        ("diseases", "bytes32"),
        ("urgent", "bool"),
        ("maxPrice", "uint256"),
        ("agreement", "bytes32"),
        ("salt", "uint256"),
        ("deadline", "uint256"),
    )

    def render(self) -> str:
        """What approving this means."""
        codes = vocabulary.duo_names(self.purposes)
        known = vocabulary.DUO_PERMISSIONS
        purpose = _list([known[code][1] for code in codes if code in known])
        most = f"at most {_dut(self.maxPrice)} DUT"
        if self.form == vocabulary.Form.METERED:
            what = f"{self.units:,} calls or MB, each for {most}"
        else:
            what = f"a licence for {most} a year"
        lines = [
            f"You let {self.licensee} buy {what}, for {purpose}, until {_date(self.end)}.",
            f"It is good for this one licence, and must be bought by {_date(self.deadline)}.",
        ]
        limits = [_modifier(code) for code in codes if code not in known]
        if limits:
            lines.append(f"The buyer undertakes: {'; '.join(limits)}.")
        if self.urgent:
            lines.append("It is bought at the price of a public-health emergency.")
        lines.append(f"Record: 0x{self.record.hex()}. Consent: 0x{self.consent.hex()}.")
        return "\n".join(lines)


@dataclass(frozen=True)
class Ballot(Message):
    """A vote on a proposal (R28), as OpenZeppelin's Governor takes it from any relay.

    It is signed in the domain of the governor: ``GovernorDomain``. It is good for this nonce alone.
    """

    proposalId: int  # noqa: N815
    support: int
    voter: str
    nonce: int
    types = (
        ("proposalId", "uint256"),
        ("support", "uint8"),
        ("voter", "address"),
        ("nonce", "uint256"),
    )

    def render(self) -> str:
        """What signing this means."""
        try:
            side = ("against", "for", "neither for nor against")[self.support]
        except IndexError:
            raise BadInput("A vote is 0 (against), 1 (for) or 2 (abstain).") from None
        return (
            f"You vote {side} the proposal {self.proposalId}, with all votes that you had when it "
            "was made. A vote that was counted is not changed any more, and everybody sees it."
        )


@dataclass(frozen=True)
class Objection(Message):
    """A council seat objects to a proposal while its gate is open (R28).

    It is signed in the domain of the governor: ``GovernorDomain``.
    """

    proposalId: int  # noqa: N815
    seat: str
    types = (("proposalId", "uint256"), ("seat", "address"))

    def render(self) -> str:
        """What signing this means."""
        return (
            f"You object, as a seat of the council, to the proposal {self.proposalId}. When the "
            "objections weigh more than half of the council it is rejected, for good. An objection "
            "is not taken back, and everybody sees it."
        )


def _dut(amount: int) -> str:
    """Base units as DUT, exactly: without an exponent, rounding or needless zeros."""
    whole, rest = divmod(amount, DUT)
    return f"{whole}.{rest:018d}".rstrip("0").rstrip(".") if rest else str(whole)


def _date(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, ValueError, OSError):
        return f"{seconds} seconds after 1970, beyond the year 9999"


def _list(words: list[str]) -> str:
    if len(words) < 2:
        return words[0] if words else "none"
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _modifier(code: str) -> str:
    known = vocabulary.DUO_MODIFIERS
    return known[code][1] if code in known else f"as {code} says"
