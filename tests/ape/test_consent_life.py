"""The life of a consent through Ape, as its users would write it: contracts, accounts, reverts.

The unit and property tests run on an in-process EVM; here the same contracts are seen through Ape's
own objects on a real Anvil: that `ape compile` gives what is deployed, and that events and reverts
read well there.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict

import ape
import pytest
from eth_account import Account

from medtoken import vocabulary
from medtoken.chain.contracts import Draft, Order, Scores
from medtoken.chain.node import Node, Wallet
from medtoken.deploy.execute import deploy
from medtoken.deploy.plan import PEOPLE, agreement_hash, load_params
from medtoken.messages import DUT, Consent, Domain, Revocation

DAY = 86_400


@pytest.fixture(scope="module")
def people(accounts):
    names = ("deployer", "office", "hospital", "laboratory", "pharma", "relay", "stranger")
    return dict(zip(names, accounts, strict=False))


@pytest.fixture(scope="module")
def suite(people, project, networks):
    """The real plan, sent by the package's node client to Ape's node; seen through Ape's objects."""
    node = Node.connect(str(networks.active_provider.http_uri))
    office = people["office"].address
    params = load_params(
        "devnet", operator=office, platform=office, people=dict.fromkeys(PEOPLE, office)
    )
    wallet = Wallet.from_key(people["deployer"].private_key)
    record = deploy(node, wallet, params, network="ape")
    names = ("UsageToken", "ContributionToken", "RecordRegistry", "Treasury", "DataMarket")
    return {name: getattr(project, name).at(record.address(name)) for name in names}


@pytest.fixture(scope="module")
def record(suite, people):
    """A registered and attested health record of a patient who has no ether."""
    registry, patient = suite["RecordRegistry"], Account.create()
    office = people["office"]
    registry.accredit(people["hospital"], 1, sender=office)
    registry.accredit(people["laboratory"], 4, sender=office)
    draft = Draft(
        owner=patient.address,
        fingerprint=secrets.token_bytes(32),
        tag=secrets.token_bytes(32),
        content=secrets.token_bytes(32),
        codec=0x55,
        size=1_000,
        kind=1,
        tier=2,
        region=158,
        codes=bytes(32),
    )
    receipt = registry.register(tuple(asdict(draft).values()), sender=people["hospital"])
    identity = receipt.return_value
    scores = Scores(
        units=1_000,
        completeness=80,
        annotation=90,
        dvi=85,
        asOf=1,
        method=secrets.token_bytes(32),
    )
    registry.attest(identity, tuple(asdict(scores).values()), sender=people["laboratory"])
    return identity, patient


def test_attestation_mints_what_r1_says(suite, record):
    _, patient = record
    # One unit of a health record at Q 85 earns 100 × (1 + 4 × 0.85) = 440 (R1).
    assert suite["ContributionToken"].balanceOf(patient.address) == 440 * DUT


def test_contribution_tokens_do_not_move(suite, record, people):
    with ape.reverts("soulbound: not transferable"):
        suite["ContributionToken"].transfer(people["relay"], 0, sender=people["stranger"])


def test_a_stranger_is_refused(suite, people):
    with ape.reverts("access: caller may not do this"):
        suite["DataMarket"].pause(sender=people["stranger"])
    with ape.reverts("institutions: the caller is not accredited for this"):
        suite["RecordRegistry"].register_batch(b"\1" * 32, 1, bytes(32), sender=people["stranger"])


def test_consent_is_granted_used_and_revoked(suite, record, people, chain):
    market, usage = suite["DataMarket"], suite["UsageToken"]
    identity, patient = record
    pharma, office, relay = people["pharma"], people["office"], people["relay"]
    domain = Domain(chain.chain_id, market.address)
    now = chain.blocks.head.timestamp
    consent = Consent(
        patient=patient.address,
        records=bytes(identity),
        purposes=vocabulary.duo_mask(["HMB", "NCU"]),
        diseases=bytes(32),
        licensees=vocabulary.group_mask(["pharma"]),
        fields=vocabulary.profile_hash("de-identified"),
        region=158,
        tier=2,
        patientShare=7_500,
        floorPrice=50 * DUT,
        expiry=now + 365 * DAY,
        nonce=1,
        deadline=now + DAY,
    )
    terms = tuple(consent.values().values())
    receipt = market.grant_consent(terms, consent.sign(patient.key, domain), sender=relay)
    (granted,) = [e for e in receipt.events if e.event_name == "ConsentGranted"]
    assert granted.patient == patient.address
    assert granted.consent == consent.struct_hash()

    market.set_licensee(pharma, vocabulary.group_mask(["pharma"]), 158, 0, sender=office)
    usage.admit(pharma, sender=office)
    usage.issue(pharma, 1_000 * DUT, b"payment".ljust(32, b"\0"), sender=office)
    usage.approve(market.address, 1_000 * DUT, sender=pharma)
    market.deposit(pharma, 1_000 * DUT, sender=pharma)
    order = Order(
        record=bytes(identity),
        form=2,
        units=10,
        end=now + 90 * DAY,
        purposes=vocabulary.duo_mask(["HMB", "NCU"]),
        diseases=bytes(32),
        urgent=False,
        maxPrice=100 * DUT,
        agreement=agreement_hash(),
        salt=0,
    )
    market.buy_licence(tuple(asdict(order).values()), terms, [], sender=pharma)
    market.use_licence(consent.struct_hash(), identity, 0, 3, sender=pharma)

    revocation = Revocation(consent.struct_hash())
    market.revoke_consent(revocation.consent, revocation.sign(patient.key, domain), sender=relay)
    with ape.reverts("consent: it was revoked"):
        market.use_licence(consent.struct_hash(), identity, 0, 1, sender=pharma)
    with ape.reverts("consent: it was revoked"):
        market.buy_licence(tuple(asdict(order).values()), terms, [], sender=pharma)
