"""``medtoken consent``: grant, revoke, show; FHIR Consent in and out."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from medtoken import vocabulary
from medtoken.cli._context import AMOUNT, PERCENT, WORD, Context, common, hexed
from medtoken.errors import ConsentRefused, WrongChain
from medtoken.masking import profile_names
from medtoken.messages import Consent, Revocation
from medtoken.parties import Patient, Relay
from medtoken.vocabulary import Tier

_VERSIONS = ("R4B", "R5")


@click.group()
def consent() -> None:
    """Consents: a patient signs, a relay brings it to the chain."""


@consent.command()
@click.argument("record_id", metavar="RECORD", type=WORD)
@click.option(
    "--purpose",
    "purposes",
    multiple=True,
    required=True,
    help="DUO code allowed (HMB, DS, GRU, …) or condition (NCU, IRB, …). Repeat for each.",
)
@click.option(
    "--licensee",
    "licensees",
    multiple=True,
    required=True,
    help=f"Who: {', '.join(vocabulary.GROUPS)}. Repeat for each.",
)
@click.option("--disease", "diseases", multiple=True, help="Disease code for DS. Repeat for each.")
@click.option("--region", default="WORLD", show_default=True, help="Where it may be used.")
@click.option(
    "--fields",
    default="de-identified",
    show_default=True,
    help="What they may see: a masking profile's name, or the path of a .json file.",
)
@click.option(
    "--floor", type=AMOUNT, default="0", show_default=True, help="Least price, DUT a unit."
)
@click.option(
    "--share",
    default="75",
    show_default=True,
    type=PERCENT,
    help="Your per cent of the provider part.",
)
@click.option(
    "--days", default=365, show_default=True, type=click.IntRange(1), help="How long it holds."
)
@click.option(
    "--trustee", help="Address or wallet that manages it for you: 60 % of the whole price is yours."
)
@click.option("--dry-run", is_flag=True, help="Only show what would be signed.")
@common
def grant(
    context: Context,
    record_id: bytes,
    purposes: Sequence[str],
    licensees: Sequence[str],
    diseases: Sequence[str],
    region: str,
    fields: str,
    floor: int,
    share: int,
    days: int,
    trustee: str | None,
    dry_run: bool,
) -> None:  # fmt: skip
    """Allow a use of RECORD: shows the terms in words, signs (as the patient), and relays."""
    patient = Patient(context.suite, context.wallet("patient"))
    facts = context.suite.registry.facts(record_id)
    if facts.owner.lower() != patient.address.lower():
        raise ConsentRefused(f"The record does not belong to {patient.address}.")
    terms = patient.consent(
        record_id,
        purposes=purposes,
        licensees=licensees,
        diseases=diseases,
        region=region,
        fields=fields,
        tier=max(Tier.SENSITIVE, facts.tier),
        floor_price=floor,
        patient_share=share,
        days=days,
        trustee=context.address(trustee) if trustee else None,
    )
    _granted(context, patient, terms, dry_run)


def _granted(context: Context, patient: Patient, terms: Consent, dry_run: bool) -> None:
    """Show the terms in words, sign them and bring them to the chain, unless it is only a trial."""
    context.say(terms.render())
    identity = terms.struct_hash()
    if not dry_run:
        relay = Relay(context.suite, context.home.wallet("relay"))
        identity = relay.grant(terms, patient.sign(terms), key=context.intent())
        terms = context.suite.market.consent_terms(identity)
    data = {
        "consent": hexed(identity),
        "granted": not dry_run,
        "terms": {
            k: hexed(v) if isinstance(v, bytes) else str(v) for k, v in terms.values().items()
        },
        "text": terms.render(),
    }
    context.done(data, f"{'Would be' if dry_run else 'Granted'}: consent {hexed(identity)}")


@consent.command()
@click.argument("consent_id", metavar="CONSENT", type=WORD)
@common
def revoke(context: Context, consent_id: bytes) -> None:
    """Take CONSENT back with one signature (as the patient); every later use is refused."""
    patient = Patient(context.suite, context.wallet("patient"))
    revocation = Revocation(consent_id)
    context.say(revocation.render())
    relay = Relay(context.suite, context.home.wallet("relay"))
    relay.revoke(revocation, patient.sign(revocation), key=context.intent())
    at = context.suite.market.consent(consent_id).revoked_at
    context.done(
        {"consent": hexed(consent_id), "revoked_at": at},
        f"Revoked since the block of unix time {at}.",
    )


@consent.command()
@click.argument("consent_id", metavar="CONSENT", type=WORD)
@common
def show(context: Context, consent_id: bytes) -> None:
    """Show CONSENT: its state, and its terms in words."""
    terms = context.suite.market.consent_terms(consent_id)
    word = context.suite.market.consent(consent_id)
    now = context.node.head().timestamp
    state = "revoked" if word.revoked_at else "expired" if word.expiry <= now else "live"
    context.done(
        {
            "consent": hexed(consent_id),
            "state": state,
            "patient": word.patient,
            "expiry": word.expiry,
            "revoked_at": word.revoked_at or None,
            "purposes": vocabulary.duo_names(terms.purposes),
            "licensees": vocabulary.group_names(terms.licensees),
            "region": terms.region,
            "floor_price": str(terms.floorPrice),
            "trustee": terms.trustee,
            "text": terms.render(),
        },
        f"This consent is {state}.\n{terms.render()}",
    )


@consent.command()
@click.argument("consent_id", metavar="CONSENT", type=WORD)
@click.option("--fhir", "version", default="R4B", show_default=True, type=click.Choice(_VERSIONS))
@click.option(
    "--disease", "diseases", multiple=True, help="The codes behind a consent for diseases."
)
@common
def export(context: Context, consent_id: bytes, version: str, diseases: Sequence[str]) -> None:
    """Print CONSENT as a FHIR Consent resource; what FHIR cannot be told is refused by name."""
    from medtoken.interop.consent import to_fhir

    market = context.suite.market
    terms, block = market.consent_granted(consent_id)
    word, now = market.consent(consent_id), context.node.head().timestamp
    resource = to_fhir(
        terms,
        context.node.chain_id,
        version=version,
        diseases=diseases,
        granted_at=context.node.block(block).timestamp,
        active=not word.revoked_at and word.expiry > now,
    )
    context.done(resource, json.dumps(resource, indent=2))


@consent.command("import")
@click.argument("file", type=click.Path())
@click.option("--record", "record_id", type=WORD, help="The record, where FILE names none.")
@click.option("--region", help="Where it may be used, where FILE does not say.")
@click.option("--fields", type=click.Choice(list(profile_names())), help="The same way.")
@click.option("--floor", type=AMOUNT, help="Least price, DUT a unit, where FILE does not say.")
@click.option("--share", type=PERCENT, help="Your per cent of the provider part, the same way.")
@click.option("--dry-run", is_flag=True, help="Only show what would be signed.")
@common
def import_(
    context: Context,
    file: str,
    record_id: bytes | None,
    region: str | None,
    fields: str | None,
    floor: int | None,
    share: int | None,
    dry_run: bool,
) -> None:  # fmt: skip
    """Grant what the FHIR Consent in FILE says: shows it in words, signs (as the patient), relays.

    R4, R4B and R5 are read. Anything in it that is not understood is refused by name.
    """
    from medtoken.interop.consent import from_fhir, read

    patient = Patient(context.suite, context.wallet("patient"))
    now = context.node.head().timestamp
    found = from_fhir(read(file), now=now)
    if found.chain_id not in (None, context.node.chain_id):
        raise WrongChain(f"The FHIR Consent is for chain {found.chain_id}.")
    found = found.given(
        patient=patient.address,
        records=record_id,
        region=vocabulary.region_code(region) if region else None,
        fields=fields,
        floor_price=floor,
        patient_share=share,
    )
    facts = context.suite.registry.facts(found.records) if found.records else None
    if facts is not None and facts.owner.lower() != patient.address.lower():
        raise ConsentRefused(f"The record does not belong to {patient.address}.")
    if facts is not None and found.tier is None:
        found = found.given(tier=max(Tier.SENSITIVE, facts.tier))
    terms = patient.fresh(found)
    _granted(context, patient, terms, dry_run)
