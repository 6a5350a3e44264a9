"""Institution assets (R3): the institution that makes one, who checks its lineage, who holds it."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from medtoken import vocabulary
from medtoken.chain.contracts import LicenceRef, Lineage, Source, Suite
from medtoken.chain.node import Receipt, Wallet
from medtoken.errors import BadInput, ConsentRefused, ContractRefused
from medtoken.lineage import Manifest, Roster, may_derive
from medtoken.messages import Consent

# The owner's part of an asset's provider part: its lineage is counted by it.
_OWNER_SHARE = 8_000
_DEADLINE = 3_600
_DAY = 86_400
# What the contract takes in one transaction.
_BATCH = 50


@dataclass(frozen=True)
class Fault:
    """Why a line of a lineage does not count."""

    licence: bytes
    sentence: str


class Assets:
    """The verbs of everybody who deals with assets."""

    def __init__(self, suite: Suite) -> None:
        """On one deployment."""
        self._suite = suite
        self.desk = suite.assets

    # -------------------------------------------------------------- lineages

    def manifest(self, asset: bytes, licences: Iterable[bytes]) -> Manifest:
        """The list of a lineage: each licence weighs the DVI of its record.

        Raises ContractRefused on a licence that nobody bought, BadInput on a record without a DVI.
        """
        weights = {}
        for licence in licences:
            record = self._suite.market.licence_ref(licence).record
            weights[licence] = self._suite.registry.facts(record).dvi
            if not weights[licence]:
                raise BadInput(f"Record 0x{record.hex()} was not attested: it has no weight.")
        made = Manifest(asset, weights)
        made.roster()
        return made

    def create(self, wallet: Wallet, manifest: Manifest, *, key: str | None = None) -> Receipt:
        """Make an asset of a derived record, or state its lineage anew when it was taken back.

        Raises BadInput when a line does not count: anybody could take such a lineage back.
        """
        faults = self.faults(manifest, wallet.address)
        if faults:
            raise BadInput(faults[0].sentence)
        stated = _stated(manifest)
        if int(self.desk.asset(manifest.asset).creator, 16):
            return self.desk.restate(wallet, manifest.asset, stated, key=key)
        return self.desk.create(wallet, manifest.asset, stated, key=key)

    def faults(self, manifest: Manifest, creator: str | None = None) -> list[Fault]:
        """Lines that do not count, with the reason; ``creator`` None is the asset's own."""
        who = creator or self.desk.asset(manifest.asset).creator
        return list(self._faults(manifest, who))

    def check(self, manifest: Manifest) -> list[str]:
        """What is wrong with the lineage that stands, in sentences; empty when it is right."""
        stated, roster = self.desk.stated(manifest.asset), manifest.roster()
        wrong = [fault.sentence for fault in self.faults(manifest)]
        if manifest.cid().digest != stated.manifest:
            wrong.append("The list is not the one that was stated.")
        if (roster.root, roster.total) != self.desk.lineage(manifest.asset):
            wrong.append("The lineage that stands is another one, or was taken back.")
        if len(roster) != stated.count:
            wrong.append(f"The list has {len(roster)} lines, and {stated.count} were stated.")
        return wrong

    def refute(
        self, wallet: Wallet, manifest: Manifest, licence: bytes, *, key: str | None = None
    ) -> Receipt:
        """Take a lineage back by a line that does not count. Anybody may, before it opens."""
        roster = manifest.roster()
        line = roster.line(_place(roster, licence)).values()
        return self.desk.refute(wallet, manifest.asset, line, self._source(licence), key=key)

    def join(
        self,
        wallet: Wallet,
        manifest: Manifest,
        licences: Iterable[bytes] = (),
        *,
        key: str | None = None,
    ) -> int:
        """Prove lines of an open lineage, by default all that count and have not joined; how many."""
        roster, asset = manifest.roster(), manifest.asset
        bad = {fault.licence for fault in self.faults(manifest)}
        named = list(licences) or [each for each in roster.licences if each not in bad]
        fresh = [each for each in named if not self.desk.line(asset, each).weight]
        for number, some in enumerate(_batches(fresh)):
            self.desk.join(
                wallet,
                asset,
                [roster.line(_place(roster, each)).values() for each in some],
                [self._source(each) for each in some],
                key=f"{key}:{number}" if key else None,
            )
        return len(fresh)

    def _faults(self, manifest: Manifest, creator: str) -> Iterator[Fault]:
        market = self._suite.market
        account = self.desk.account_of(manifest.asset)
        for licence in manifest.weights:
            name = f"Licence 0x{licence.hex()}"
            if not market.licence(licence).form:
                yield Fault(licence, f"{name} was bought by nobody.")
                continue
            source = self._source(licence)
            if source.ref.licensee.lower() != creator.lower():
                yield Fault(licence, f"{name} was bought by another than the creator.")
            elif source.consent.patient.lower() == account.lower():
                yield Fault(licence, f"{name} is on the asset itself.")
            elif not may_derive(source.consent.purposes):
                yield Fault(
                    licence, f"{name} is under a consent that forbids to derive or to sell."
                )

    def _source(self, licence: bytes) -> Source:
        """A licence with its consent; for one that nobody bought, empty ones."""
        market = self._suite.market
        try:
            ref = market.licence_ref(licence)
            return Source(ref, market.consent_terms(ref.consent))
        except (ContractRefused, ConsentRefused):
            nobody, none = "0x" + "00" * 20, bytes(32)
            empty = Consent(nobody, none, 0, none, 0, none, 0, 0, 0, 0, 0, 0, 0)
            return Source(LicenceRef(none, none, nobody, 0), empty)

    # -------------------------------------------------------------- offers

    def consent(
        self,
        asset: bytes,
        *,
        purposes: Iterable[str],
        licensees: Iterable[str],
        floor_price: int,
        days: int,
        region: str = "WORLD",
        fields: str = "de-identified",
        record: bytes | None = None,
    ) -> Consent:
        """Draw up what an asset is offered under; ``record`` is a later version of it.

        Raises BadInput on anything that the market would refuse.
        """
        now = self._suite.node.head().timestamp
        tier = self._suite.registry.facts(record or asset).tier
        made = Consent(
            patient=self.desk.account_of(asset),
            records=record or asset,
            purposes=vocabulary.duo_mask(purposes),
            diseases=bytes(32),
            licensees=vocabulary.group_mask(licensees),
            fields=vocabulary.profile_hash(fields),
            region=vocabulary.region_code(region),
            tier=max(int(vocabulary.Tier.SENSITIVE), tier),
            patientShare=_OWNER_SHARE,
            floorPrice=floor_price,
            expiry=now + days * _DAY,
            nonce=secrets.randbits(256),
            deadline=now + _DEADLINE,
        )
        made.check(now)
        return made

    # -------------------------------------------------------------- money

    def claim(
        self,
        wallet: Wallet,
        asset: bytes,
        licences: Iterable[bytes] = (),
        *,
        key: str | None = None,
    ) -> int:
        """Credit the sources of joined lines, by default of all that have something to claim.

        Returns the base units that they were credited with.
        """
        joined = [bytes(args["licence"]) for args in self.desk.joined(asset)]
        named = list(licences) or [x for x in joined if self.desk.claimable(asset, x)]
        total = 0
        for number, some in enumerate(_batches(named)):
            refs = [self._suite.market.licence_ref(each) for each in some]
            intent = f"{key}:{number}" if key else None
            receipt = self.desk.claim(wallet, asset, refs, key=intent)
            for log in self.desk.events(receipt.logs, "LineageClaimed"):
                total += int(log.args["patientAmount"]) + int(log.args["custodianAmount"])
        return total


def _stated(manifest: Manifest) -> Lineage:
    roster = manifest.roster()
    return Lineage(roster.root, roster.total, len(roster), manifest.cid().digest)


def _place(roster: Roster, licence: bytes) -> int:
    found = roster.index(licence)
    if found is None:
        raise BadInput(f"Licence 0x{licence.hex()} is not in the lineage.")
    return found


def _batches(licences: list[bytes]) -> Iterator[list[bytes]]:
    return (licences[i : i + _BATCH] for i in range(0, len(licences), _BATCH))
