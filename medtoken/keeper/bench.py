"""How many keys three key keepers release in a second, end to end: a measurement, not a test."""

from __future__ import annotations

import contextlib
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from eth_utils import keccak

from medtoken.chain.contracts import Draft, Scores, Suite
from medtoken.chain.devnet import anvil
from medtoken.chain.node import Wallet
from medtoken.demo.people import REGION, Cast, deploy_devnet
from medtoken.errors import KeyRefused
from medtoken.home import Home
from medtoken.keeper.process import running_keepers
from medtoken.keys import (
    Custodianship,
    HpkePrivateKey,
    Keeper,
    KeyRequest,
    Rendition,
    Wanted,
    deposit,
    order_with,
    release_keys,
    sign_with,
)
from medtoken.messages import DUT
from medtoken.parties import Licensee, Patient, Relay
from medtoken.vocabulary import Form, Tier, profile_hash, region_code

PURPOSES = ("HMB", "NPUNCU")
BATCH = 100


@dataclass(frozen=True)
class Bench:
    """Licences that are live, and everything that it takes to ask for their records' keys."""

    suite: Suite
    wallet: Wallet
    keepers: Sequence[Keeper]
    private_key: HpkePrivateKey
    licences: tuple[Licensed, ...]

    def wanted(self, count: int) -> list[Wanted]:
        """Requests for so many keys, over the licences in turn."""
        expiry = self.suite.node.head().timestamp + 600
        return [
            Wanted(
                KeyRequest(
                    chain_id=self.suite.node.chain_id,
                    market=self.suite.market.address,
                    licence=one.licence,
                    record=one.record,
                    requester=self.wallet.address,
                    public_key_hash=self.private_key.public_key.fingerprint,
                    block=one.block,
                    expiry=expiry,
                ),
                one.rendition,
                one.key.__eq__,
            )
            for one in (self.licences[i % len(self.licences)] for i in range(count))
        ]


def releases_per_second(bench: Bench, count: int = 400, batch: int = 1) -> float:
    """Complete 2-of-3 releases in a second: signed, asked, answered, opened, put together, checked.

    ``batch`` keys are asked for at once, each batch after the one before. Raises KeyRefused when
    one does not come.
    """
    sign = sign_with(bench.wallet.account)
    # Connections are open, licences have been read once in this block.
    _release(bench, bench.wanted(min(count, len(bench.licences))), sign)
    wanted = bench.wanted(count)
    started = time.perf_counter()
    for at in range(0, count, batch):
        _release(bench, wanted[at : at + batch], sign)
    return count / (time.perf_counter() - started)


def _release(bench: Bench, wanted: Sequence[Wanted], sign: Callable[[KeyRequest], bytes]) -> None:
    for key in release_keys(bench.keepers, wanted, bench.private_key, sign=sign):
        if isinstance(key, KeyRefused):
            raise key


@contextlib.contextmanager
def bench_keepers(licences: int = 10, folder: Path | None = None) -> Iterator[Bench]:
    """A private chain with so many live licences, and three keeper processes on loopback."""
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        home = Home(folder / "home")
        node = stack.enter_context(anvil())
        suite, cast = deploy_devnet(node, home, lambda line: None)
        keepers = stack.enter_context(
            running_keepers(
                folder / "keepers",
                home.keepers_file,
                rpc=node.url,
                deployment=home.deployment(node.chain_id),
            )
        )
        licensee = Licensee(suite, cast["pharma"])
        licensee.deposit(1_000_000 * DUT)
        bought = tuple(licensed(suite, cast, licensee, keepers) for _ in range(licences))
        for _ in range(3):
            node.rpc("evm_mine")
        yield Bench(suite, cast["pharma"], keepers, HpkePrivateKey.generate(), bought)


@dataclass(frozen=True)
class Licensed:
    """A record whose key three keepers hold, and a licence of it."""

    licence: bytes
    record: bytes
    rendition: Rendition
    """The copy of it that the consent lets out."""
    block: int
    """In which the licence was bought."""
    key: bytes
    patient: Patient


def licensed(
    suite: Suite,
    cast: Cast,
    licensee: Licensee,
    keepers: Sequence[Keeper],
    *,
    metered: int = 0,
) -> Licensed:
    """Deposit a new record's key, register and attest it, consent to its use and buy a licence.

    Nothing is sealed: only the key is wanted. ``metered`` units are prepaid; 0 is a fixed term.
    """
    hospital, node = cast["hospital"], suite.node
    number, tag = suite.registry.number_of(hospital.address), secrets.token_bytes(32)
    record, key = suite.registry.record_id(number, tag), secrets.token_bytes(32)
    custodian = Custodianship(
        chain_id=node.chain_id,
        market=suite.market.address,
        sign=order_with(hospital.key),
        now=lambda: node.head().timestamp,
        custodian=number,
        tag=tag,
    )
    rendition = Rendition(record, profile_hash("de-identified"))
    deposit(rendition, key, keepers, custodian)
    patient = Patient(suite, Wallet.create())
    suite.registry.register(
        hospital,
        Draft(
            owner=patient.address,
            fingerprint=keccak(tag),
            tag=tag,
            content=keccak(key),
            codec=85,
            size=1,
            kind=1,
            tier=int(Tier.SENSITIVE),
            region=region_code(REGION),
            codes=keccak(b""),
        ),
    )
    scores = Scores(
        units=1_000, completeness=80, annotation=80, dvi=85, asOf=1, method=keccak(b"bench")
    )
    suite.registry.attest(cast["laboratory"], record, scores)
    consent = patient.consent(
        record,
        purposes=PURPOSES,
        licensees=["pharma"],
        region=REGION,
        floor_price=0,
        days=365,
    )
    Relay(suite, cast["relay"]).grant(consent, patient.sign(consent))
    bought = licensee.buy(
        record,
        consent.struct_hash(),
        form=Form.METERED if metered else Form.FIXED_TERM,
        purposes=PURPOSES,
        days=30,
        units=metered,
    )
    return Licensed(bought.licence, record, rendition, node.head().number, key, patient)


def measure(count: int = 400) -> dict[str, float]:
    """Releases a second, one key at a time and in batches, of three processes on this machine."""
    with bench_keepers() as bench:
        return {
            "single": round(releases_per_second(bench, count), 1),
            "batch": round(releases_per_second(bench, max(count, BATCH), BATCH), 1),
        }
