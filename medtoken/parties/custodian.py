"""The custodian (a hospital, a laboratory): seals, stores, deposits key shares, registers (R6, R33).

The steps are journaled, so that a crash between any two of them loses no key and registers nothing
twice: shares are with the keepers before the record is on the chain.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medtoken import sealing, vocabulary
from medtoken.chain.contracts import Draft, SealedCopy, Suite
from medtoken.chain.node import Wallet
from medtoken.errors import (
    BadInput,
    ContractRefused,
    IntegrityError,
    KeyRefused,
    NotPermitted,
    StateError,
)
from medtoken.home import Home
from medtoken.interop import crypt4gh
from medtoken.ipfs import CID, Store
from medtoken.keeper.certificate import Certificate
from medtoken.keys import (
    EVERY_LICENCE,
    Custodianship,
    Keeper,
    Rendition,
    deposit,
    order_with,
    rotate,
    shred,
)
from medtoken.masking import (
    Masked,
    Profile,
    load_profile,
    mask_file,
    narrower,
    profile_names,
    profile_of,
)
from medtoken.parties.copies import Copies

if TYPE_CHECKING:
    from medtoken.formats import MedicalFile

_CHUNK = 1 << 20


@dataclass(frozen=True)
class RegisteredRecord:
    """A record on the chain, and where its sealed bytes are."""

    record: bytes
    draft: Draft
    cid: CID
    bytes: int  # of the file, before sealing
    description: str
    new: bool  # whether this call registered it


@dataclass(frozen=True)
class AddedRendition:
    """A masked copy of a record, sealed and on the chain."""

    rendition: Rendition
    copy: SealedCopy
    cid: CID
    sha256: bytes  # of the copy, before sealing
    masked: Masked
    places: int  # in which it was marked; 0: not marked
    new: bool  # whether this call put it on the chain


class Custodian:
    """One accredited custodian with its store and the key keepers it deposits with."""

    def __init__(
        self,
        suite: Suite,
        wallet: Wallet,
        home: Home,
        *,
        store: Store | None = None,
        keepers: Sequence[Keeper] | None = None,
    ) -> None:
        """``store`` and ``keepers`` default to those of the home folder."""
        self._suite = suite
        self._wallet = wallet
        self._home = home
        self._store = store if store is not None else home.store
        self._given = keepers

    @functools.cached_property
    def _keepers(self) -> Sequence[Keeper]:
        """Opened when first needed: a file that is refused leaves no vault behind."""
        return self._given if self._given is not None else self._home.keepers(self._suite)

    def add_record(
        self,
        path: str | PathLike[str],
        owner: str,
        *,
        region: str,
        tier: int = vocabulary.Tier.SENSITIVE,
        annotator: str | None = None,
        previous: bytes = bytes(32),
        profile: str = "all",
        key: str | None = None,
    ) -> RegisteredRecord:
        """Read, seal, store, deposit the key's shares, and register for the patient ``owner``.

        ``profile`` is the masking profile that the file keeps to as it is: keepers give its key
        under consents that name this one (R9); ``add_rendition`` makes copies for others.
        Running it again with the same file and owner finds the record registered and changes
        nothing. Raises UnsupportedFile or MalformedFile for the file, NotPermitted without
        accreditation, ContractRefused when the file is registered for somebody else.
        """
        return self._add(path, owner, region, tier, annotator, previous, profile, key)

    def add_derived(
        self,
        path: str | PathLike[str],
        *,
        region: str,
        tier: int = vocabulary.Tier.SENSITIVE,
        previous: bytes = bytes(32),
        profile: str = "de-identified",
        key: str | None = None,
    ) -> RegisteredRecord:
        """As ``add_record``, of a dataset that was derived from licensed records (R3).

        It is owned by the account of the asset that it becomes, or of which it is a new version.
        """
        return self._add(path, None, region, tier, None, previous, profile, key)

    def _add(
        self,
        path: str | PathLike[str],
        owner: str | None,
        region: str,
        tier: int,
        annotator: str | None,
        previous: bytes,
        profile: str,
        key: str | None,
    ) -> RegisteredRecord:
        """Register a file; one without an owner was derived."""
        from medtoken import formats

        file = formats.read(path)
        fields = load_profile(profile).digest
        number = self._suite.registry.number_of(self._wallet.address)
        if number == 0:
            raise NotPermitted(f"{self._wallet.address} is not an accredited institution.")
        if not self._suite.registry.may(self._wallet.address, vocabulary.Capability.CUSTODIAN):
            raise NotPermitted(f"{self._wallet.address} is not accredited for this.")
        code = vocabulary.region_code(region)
        annotating = self._annotator(annotator)
        tag = duplicate_tag(path, self._home.custodian_secret())
        record = self._suite.registry.record_id(number, tag)
        # Two processes that seal the same file would deposit the keys of two different sealings.
        with self._home.locked("custodian"):
            new = not self._suite.registry.exists(record)
            entry = self._home.read_journal(_entry(record))
            if entry is None and not new:
                raise StateError(
                    f"The file is registered as 0x{record.hex()}, but not from the folder "
                    f"{self._home.folder}."
                )
            if entry is None:
                entry = self._seal(path, file, Rendition(record, fields), number, tag)
        sealed = _Sealed.parse(entry)
        derived = owner is None
        if owner is None and any(previous):
            owner = self._suite.registry.facts(previous).owner
        elif owner is None:
            owner = self._suite.assets.account_of(record)
        if new:
            draft = Draft(
                owner=owner,
                fingerprint=sealed.fingerprint,
                tag=tag,
                content=sealed.cid.digest,
                codec=int(sealed.cid.codec),
                size=sealed.size,
                kind=int(formats.RecordKind.DERIVED if derived else file.kind),
                tier=int(tier),
                region=code,
                codes=codes_commitment(file.codes),
                annotator=annotating,
                previous=previous,
            )
            self._suite.registry.register(self._wallet, draft, key=key)
        draft = self._suite.registry.draft(record)
        if draft.owner.lower() != owner.lower():
            raise ContractRefused(f"The file is registered for another owner, {draft.owner}.")
        return RegisteredRecord(
            record=record,
            draft=draft,
            cid=sealed.cid,
            bytes=file.size,
            description=file.describe(),
            new=new,
        )

    def add_records(
        self,
        paths: Sequence[str | PathLike[str]],
        owner: str,
        *,
        region: str,
        tier: int = vocabulary.Tier.SENSITIVE,
        annotator: str | None = None,
        key: str | None = None,
    ) -> list[RegisteredRecord]:
        """``add_record`` for several files of one patient, none before all of them could be read."""
        from medtoken import formats

        for path in paths:
            formats.read(path)
        return [
            self.add_record(
                path,
                owner,
                region=region,
                tier=tier,
                annotator=annotator,
                key=f"{key}:{number}" if key else None,
            )
            for number, path in enumerate(paths)
        ]

    def import_record(
        self,
        path: str | PathLike[str],
        secret: crypt4gh.SecretKey,
        owner: str,
        *,
        region: str,
        sender: bytes | None = None,
        sha256: bytes | None = None,
        tier: int = vocabulary.Tier.SENSITIVE,
        annotator: str | None = None,
        previous: bytes = bytes(32),
        key: str | None = None,
    ) -> RegisteredRecord:
        """As ``add_record``, of a file that came encrypted as Crypt4GH for ``secret`` (R40).

        ``sender``: the public key that must have written it; ``sha256``: what its content must
        hash to. Raises IntegrityError when either is not so or anything was altered; nothing is
        sealed or registered then. The content passes through the home's scratch folder.
        """
        with self._home.scratch() as folder:
            plain = folder / "record"
            digest = hashlib.sha256()
            try:
                with open(path, "rb") as source, open(plain, "wb") as file:
                    for piece in crypt4gh.decrypt(source, secret, sender=sender):
                        digest.update(piece)
                        file.write(piece)
            except OSError as error:
                raise BadInput(f"{path} cannot be read: {error.strerror}.") from None
            if sha256 is not None and not hmac.compare_digest(digest.digest(), sha256):
                raise IntegrityError(
                    f"{path} holds a file with the SHA-256 {digest.hexdigest()}, not the one asked for."
                )
            return self.add_record(
                plain,
                owner,
                region=region,
                tier=tier,
                annotator=annotator,
                previous=previous,
                key=key,
            )

    def add_rendition(
        self,
        record: bytes,
        path: str | PathLike[str],
        *,
        profile: str | None = None,
        licence: bytes = EVERY_LICENCE,
        role: str | None = None,
        scope: str | None = None,
        inspected: bool = False,
        marked: bool = True,
        columns: Sequence[str] = (),
        key: str | None = None,
    ) -> AddedRendition:
        """Mask the file behind a record, seal the copy under a key of its own, and state it on the chain.

        For every licence whose consent names ``profile``; or for one ``licence``, by the profile of
        its consent, narrowed to the reader's ``role`` and, if ``marked``, with that licence's
        watermark (R9, R35). ``path`` must be the very file that was registered. It mints nothing.
        ``scope`` and ``inspected`` as in ``mask_file``, ``columns`` as in ``Copies.mark``. Run again
        it finds what is done. Raises BadInput for another file, UnsupportedFile for one that the
        profile does not let out or that cannot be marked.
        """
        registry = self._suite.registry
        number = self._own(record)
        tag = duplicate_tag(path, self._home.custodian_secret())
        if registry.draft(record).tag != tag:
            raise BadInput(f"{path} is not the file that was registered as 0x{record.hex()}.")
        chosen = self._profile_for(record, licence, profile)
        mask_by = chosen if role is None else narrower(chosen, role)
        rendition = Rendition(record, chosen.digest, licence)
        # In this order, as where a file comes in.
        with self._home.scratch() as folder, self._home.locked("custodian"):
            copy = folder / "masked"
            masked = mask_file(
                path,
                copy,
                mask_by,
                self._home.copies_secret(),
                scope=scope,
                inspected=inspected,
            )
            places = 0
            if licence != EVERY_LICENCE and marked:
                master, copy = copy, folder / "marked"
                name = f"0x{licence.hex()}"
                places = Copies(self._home).mark(master, copy, name, columns=columns).places
            plain = _sha256(copy)
            entry = self._home.read_journal(_copy_entry(rendition))
            if entry is None or entry.get("plain") != plain.hex():
                entry = self._seal_copy(copy, rendition, number, plain)
            sealed = _Sealed.parse(entry)
            stated = SealedCopy(
                fields=rendition.fields,
                licence=licence,
                fingerprint=sealed.fingerprint,
                content=sealed.cid.digest,
                codec=int(sealed.cid.codec),
                size=sealed.size,
            )
            new = stated not in registry.renditions(record)
            if new:
                registry.add_rendition(self._wallet, record, stated, key=key)
        return AddedRendition(rendition, stated, sealed.cid, plain, masked, places, new)

    def rotate_shares(self, record: bytes) -> int:
        """Give the keepers fresh shares of the keys of a record and its copies.

        Returns the newest version that they then hold. Nobody sees a key on the way, and nothing is
        sealed anew. Run again after a crash, it goes on where it stopped. Raises KeyRefused when a
        keeper does not take part.
        """
        # Two rotations at once would get in each other's way.
        with self._home.locked("custodian"):
            standing = self._custodianship()
            versions = [rotate(one, self._keepers, standing) for one in self._held(record)]
            return max(versions)

    def destroy_record(self, record: bytes, *, key: str | None = None) -> Certificate:
        """Have every share of a record's keys shredded, and certify it on the chain (R35).

        Nobody can open the record or a copy of it afterwards who has not opened it before. Run
        again after a crash, it goes on where it stopped. Raises KeyRefused naming the keepers that
        did not answer: until two have shredded, the record can still be opened.
        """
        registry = self._suite.registry
        self._own(record)
        receipts = shred(record, self._keepers, self._custodianship())
        certificate = Certificate.of(record, self._wallet.address, registry.address, receipts)
        self._home.write_certificate(record, certificate.document)
        if registry.destruction(record) is None:
            registry.destroy(self._wallet, record, certificate.hash, key=key)
        return certificate

    def _own(self, record: bytes) -> int:
        """This custodian's number; NotPermitted unless the record is its own."""
        registry = self._suite.registry
        number = registry.facts(record).custodian
        if not number or number != registry.number_of(self._wallet.address):
            raise NotPermitted(f"{self._wallet.address} is not the custodian of this record.")
        return number

    def _held(self, record: bytes) -> list[Rendition]:
        """A record and its copies, as the keepers hold keys of them.

        The registry knows of the copies. By which profile the record's own file was deposited, the
        journal knows; without it, that is one of the profiles that the keepers hold a share for.
        """
        copies = self._suite.registry.renditions(record)
        entry = self._home.read_journal(_entry(record))
        known = [_fields_of(entry)] if entry else [load_profile(n).digest for n in profile_names()]
        found = {Rendition(record, copy.fields, copy.licence) for copy in copies}
        found |= {
            one
            for one in (Rendition(record, fields) for fields in known)
            if any(keeper.holding(one.id).version for keeper in self._keepers)
        }
        if not found:
            raise KeyRefused(f"the keepers hold no key of record 0x{record.hex()}")
        return sorted(found, key=lambda one: one.id)

    def _profile_for(self, record: bytes, licence: bytes, name: str | None) -> Profile:
        """The profile that a copy is made by: of the consent behind its licence, or as named."""
        if licence == EVERY_LICENCE:
            return load_profile(name if name is not None else "de-identified")
        market = self._suite.market
        _, ref, _ = market.licence_bought(licence)
        if ref.record != record:
            raise BadInput(f"The licence 0x{licence.hex()} is for another record.")
        fields = market.consent_terms(ref.consent).fields
        found = load_profile(name) if name is not None else profile_of(fields)
        if found is None or found.digest != fields:
            raise BadInput(
                f"The consent behind the licence names the profile 0x{fields.hex()}: give its file."
            )
        return found

    def _seal_copy(
        self, path: Path, rendition: Rendition, number: int, plain: bytes
    ) -> dict[str, Any]:
        sealed = sealing.seal(
            path, custodian_secret=self._home.custodian_secret(), store=self._store
        )
        deposit(rendition, sealed.dek, self._keepers, self._custodianship(number))
        entry = {
            "record": rendition.record.hex(),
            "cid": str(sealed.cid),
            "fingerprint": sealed.manifest.fingerprint.hex(),
            "size": sealed.sealed_size,
            "plain": plain.hex(),
        }
        self._home.write_journal(_copy_entry(rendition), entry)
        return entry

    def _seal(
        self,
        path: str | PathLike[str],
        file: MedicalFile,
        rendition: Rendition,
        number: int,
        tag: bytes,
    ) -> dict[str, Any]:
        """Seal, store and deposit; the journal says so only once the keepers have every share."""
        sealed = sealing.seal(
            path, custodian_secret=self._home.custodian_secret(), store=self._store
        )
        if sealed.duplicate_tag != tag:
            raise BadInput(f"{path} changed while it was being read.")
        deposit(rendition, sealed.dek, self._keepers, self._custodianship(number, tag))
        record = rendition.record
        entry = {
            "record": record.hex(),
            "fields": rendition.fields.hex(),
            "cid": str(sealed.cid),
            "fingerprint": sealed.manifest.fingerprint.hex(),
            "size": sealed.sealed_size,
            "codes": list(file.codes),
        }
        self._home.write_journal(_entry(record), entry)
        return entry

    def _custodianship(self, number: int = 0, tag: bytes = bytes(32)) -> Custodianship:
        """This custodian's standing towards the keepers of its records."""
        node = self._suite.node
        return Custodianship(
            chain_id=node.chain_id,
            market=self._suite.market.address,
            sign=order_with(self._wallet.key),
            now=lambda: node.head().timestamp,
            custodian=number,
            tag=tag,
        )

    def _annotator(self, account: str | None) -> int:
        if account is None:
            return 0
        number = self._suite.registry.number_of(account)
        if number == 0:
            raise NotPermitted(f"The annotator {account} is not an accredited institution.")
        return number


def duplicate_tag(path: str | PathLike[str], secret: bytes) -> bytes:
    """HMAC-SHA256 of a file under the custodian's secret: the same file registers once (R6)."""
    tag = hmac.new(secret, digestmod=hashlib.sha256)
    try:
        with open(path, "rb") as file:
            while chunk := file.read(_CHUNK):
                tag.update(chunk)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from None
    return tag.digest()


def _sha256(path: Path) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def codes_commitment(codes: Sequence[str]) -> bytes:
    """The commitment to a record's codes: SHA-256 of the sorted codes, a line each."""
    return hashlib.sha256("\n".join(sorted(codes)).encode()).digest()


def _entry(record: bytes) -> str:
    return f"record-{record.hex()}"


def _copy_entry(rendition: Rendition) -> str:
    return f"rendition-{rendition.id.hex()}"


def _fields_of(entry: dict[str, Any]) -> bytes:
    try:
        return bytes.fromhex(entry["fields"])
    except (KeyError, TypeError, ValueError):
        raise StateError("The journal of a record is damaged.") from None


@dataclass(frozen=True)
class _Sealed:
    """A journal entry: what a file was sealed to."""

    cid: CID
    fingerprint: bytes
    size: int

    @classmethod
    def parse(cls, entry: dict[str, Any]) -> _Sealed:
        try:
            fingerprint = bytes.fromhex(entry["fingerprint"])
            return cls(CID.parse(entry["cid"]), fingerprint, int(entry["size"]))
        except (KeyError, TypeError, ValueError, BadInput):
            raise StateError("The journal of a record is damaged.") from None
