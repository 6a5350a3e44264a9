"""Consents as FHIR Consent and back: nothing is lost, nothing is widened, the rest is refused by name."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from eth_utils import to_checksum_address
from hypothesis import given, settings
from hypothesis import strategies as st

from medtoken import vocabulary
from medtoken.errors import MalformedFile, MedtokenError, UnsupportedFile
from medtoken.interop._fhir import LAST_SECOND, Unmappable
from medtoken.interop.consent import DUO, from_fhir, parse, to_fhir
from medtoken.masking import profile_names
from medtoken.messages import GRAIN, Consent
from medtoken.vocabulary import Tier

NOW = 1_800_000_000
VERSIONS = ("R4B", "R5")
NAMES = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x24F, exclude_categories=["C", "Z"]),
    min_size=1,
    max_size=20,
)


def plain(**changes: Any) -> Consent:
    values: dict[str, Any] = {
        "patient": to_checksum_address("0x" + "a1" * 20),
        "records": b"\x07" * 32,
        "purposes": vocabulary.duo_mask(["HMB", "NPUNCU"]),
        "diseases": bytes(32),
        "licensees": vocabulary.group_mask(["pharma", "research"]),
        "fields": vocabulary.profile_hash("de-identified"),
        "region": 158,
        "tier": Tier.SENSITIVE,
        "patientShare": 7_250,
        "floorPrice": 50 * 10**18,
        "expiry": NOW + 86_400,
        "nonce": 2**255 + 1,
        "deadline": NOW + 60,
    }
    return Consent(**values | changes)


@st.composite
def consents(draw: st.DrawFn) -> tuple[Consent, list[str]]:
    """Any consent that the market would take, and the codes behind its diseases."""
    permissions = draw(st.sets(st.sampled_from(list(vocabulary.DUO_PERMISSIONS)), min_size=1))
    modifiers = draw(st.sets(st.sampled_from(list(vocabulary.DUO_MODIFIERS))))
    diseases = draw(st.lists(NAMES, max_size=4)) if "DS" in permissions else []
    consent = Consent(
        patient=to_checksum_address(draw(st.binary(min_size=20, max_size=20).filter(any))),
        records=draw(st.binary(min_size=32, max_size=32).filter(any)),
        purposes=vocabulary.duo_mask(permissions | modifiers),
        diseases=vocabulary.disease_commitment(diseases),
        licensees=vocabulary.group_mask(
            draw(st.sets(st.sampled_from(list(vocabulary.GROUPS)), min_size=1))
        ),
        fields=vocabulary.profile_hash(draw(st.sampled_from(list(profile_names())))),
        region=draw(st.integers(1, 999)),
        tier=draw(st.sampled_from(list(Tier))),
        patientShare=draw(st.integers(7_000, 8_000)),
        floorPrice=draw(st.integers(0, 2**64 - 1)) * GRAIN,
        expiry=draw(st.integers(NOW + 1, LAST_SECOND)),
        nonce=draw(st.integers(0, 2**256 - 1)),
        deadline=draw(st.integers(NOW, 2**256 - 1)),
    )
    return consent, diseases


@pytest.mark.parametrize("version", VERSIONS)
@given(made=consents(), granted_at=st.none() | st.integers(0, NOW))
@settings(max_examples=60)
def test_there_and_back_it_is_the_same_consent(
    version: str, made: tuple[Consent, list[str]], granted_at: int | None
) -> None:
    consent, diseases = made
    resource = to_fhir(consent, 1, version=version, diseases=diseases, granted_at=granted_at)
    again = parse("consent.json", json.dumps(resource).encode())
    terms = from_fhir(again, now=NOW)
    assert terms.chain_id == 1
    assert terms.consent() == consent
    assert terms.consent().struct_hash() == consent.struct_hash()


@pytest.mark.parametrize(
    ("changes", "diseases", "reason"),
    [
        ({"purposes": 1 << 6 | 1 << 99}, [], "purposes (bit 99"),
        ({"licensees": 1 << 50}, [], "licensees (a group"),
        ({"licensees": 1 | vocabulary.AUCTION_ONLY}, [], "licensees (that nobody may simply buy"),
        ({"fields": b"\x01" * 32}, [], "fields"),
        ({"diseases": b"\x01" * 32}, [], "diseases (the consent only commits"),
        ({"diseases": vocabulary.disease_commitment(["X"])}, ["X"], "diseases (without DS"),
        ({}, ["X"], "diseases (the consent only commits"),
        ({"region": 1000}, [], "region"),
        ({"region": 0}, [], "region"),
        ({"tier": 9}, [], "tier"),
        ({"expiry": LAST_SECOND + 1}, [], "expiry"),
        ({"patientShare": 10_001}, [], "patientShare"),
    ],
)
def test_what_fhir_cannot_be_told_is_refused_by_name(
    changes: dict[str, Any], diseases: list[str], reason: str
) -> None:
    with pytest.raises(Unmappable) as caught:
        to_fhir(plain(**changes), 1, diseases=diseases)
    assert any(one.startswith(reason) for one in caught.value.reasons)
    assert "\n" not in str(caught.value)


def test_every_reason_is_named_at_once() -> None:
    with pytest.raises(Unmappable) as caught:
        to_fhir(plain(region=0, tier=0, fields=bytes(32)), 1)
    assert len(caught.value.reasons) == 3


def test_what_was_revoked_is_inactive_and_not_taken_over() -> None:
    resource = to_fhir(plain(), 1, active=False)
    assert resource["status"] == "inactive"
    with pytest.raises(Unmappable, match="status"):
        from_fhir(resource, now=NOW)


def provision(resource: dict[str, Any]) -> dict[str, Any]:
    found = resource["provision"]
    return found[0] if isinstance(found, list) else found


Change = Callable[[dict[str, Any]], object]
MEANINGFUL: dict[str, tuple[Change, str]] = {
    "a denial": (
        lambda r: r.update(decision="deny") if "decision" in r else provision(r).update(type="deny"),
        "permit",
    ),
    "an exception": (lambda r: provision(r).update(provision=[{"type": "deny"}]), "provision.provision"),
    "an action": (lambda r: provision(r).update(action=[{"text": "correct"}]), "provision.action"),
    "a code": (lambda r: provision(r).update(code=[{"text": "x"}]), "provision.code"),
    "a span of data": (
        lambda r: provision(r).update(dataPeriod={"start": "2020"}), "provision.dataPeriod"
    ),
    "a modifier": (
        lambda r: r.update(modifierExtension=[{"url": "urn:x", "valueBoolean": True}]),
        "modifierExtension",
    ),
    "rules": (lambda r: r.update(implicitRules="urn:x"), "implicitRules"),
    "no end": (lambda r: provision(r)["period"].pop("end"), "no end is named"),
    "no period": (lambda r: provision(r).pop("period"), "no end is named"),
    "a beginning to come": (lambda r: provision(r)["period"].update(start="2900"), "future"),
    "a purpose of treatment": (
        lambda r: provision(r)["purpose"].append(
            {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}
        ),
        "TREAT",
    ),
    "an unknown DUO code": (
        lambda r: provision(r)["purpose"].append({"system": DUO, "code": "DUO:0000999"}), "0000999"
    ),
    "modifiers only": (
        lambda r: provision(r).update(purpose=[{"system": DUO, "code": "DUO:0000046"}]),
        "no DUO permission",
    ),
    "no purpose": (lambda r: provision(r).pop("purpose"), "no DUO permission"),
    "a person": (
        lambda r: provision(r)["actor"][0].update(reference={"reference": "Practitioner/1"}),
        "number 1 is no group",
    ),
    "another role": (
        lambda r: provision(r)["actor"][0].update(role={"text": "custodian"}), "number 1 is no group"
    ),
    "no actor": (lambda r: provision(r).pop("actor"), "no group of licensees"),
    "a class of FHIR": (
        lambda r: provision(r)["class" if "class" in provision(r) else "resourceType"].append(
            {"system": "http://hl7.org/fhir/resource-types", "code": "Observation"}
        ),
        "class",
    ),
    "another version of a profile": (
        lambda r: provision(r)["class" if "class" in provision(r) else "resourceType"][0].update(
            version="00" * 32
        ),
        "another version",
    ),
    "a path for a profile": (
        lambda r: provision(r)["class" if "class" in provision(r) else "resourceType"][0].update(
            code="/etc/passwd.json"
        ),
        "not known here",
    ),
    "a label": (
        lambda r: provision(r)["securityLabel"].append(
            {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "ETH"}
        ),
        "securityLabel",
    ),
    "two records": (lambda r: provision(r)["data"].append(provision(r)["data"][0]), "one record"),
    "data of others": (
        lambda r: provision(r).update(
            data=[{"meaning": "related", "reference": {"reference": "Patient/1"}}]
        ),
        "one record",
    ),
    "another region": (
        lambda r: provision(r)["extension"][0]["valueCoding"].update(code="TW"), "region"
    ),
    "terms that are cut": (lambda r: r["extension"][0]["extension"].pop(), "terms"),
    "an opt-out": (
        lambda r: (
            r["regulatoryBasis"][0] if "regulatoryBasis" in r else r["policyRule"]
        )["coding"][0].update(code="OPTOUT"),
        "policy",
    ),
}  # fmt: skip


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", MEANINGFUL)
def test_whatever_means_something_and_is_not_understood_is_refused(name: str, version: str) -> None:
    change, words = MEANINGFUL[name]
    resource = copy.deepcopy(to_fhir(plain(), 1, version=version))
    change(resource)
    with pytest.raises(Unmappable, match=words) as caught:
        from_fhir(resource, now=NOW)
    assert "\n" not in str(caught.value)


def test_a_consent_of_somebody_else_leaves_terms_open() -> None:
    resource = to_fhir(plain(), 1)
    del resource["extension"], resource["provision"]["class"], resource["provision"]["data"]
    del resource["provision"]["securityLabel"], resource["provision"]["extension"]
    resource["patient"] = {"reference": "Patient/17"}
    terms = from_fhir(resource, now=NOW)
    with pytest.raises(Unmappable, match="leaves open: fields; region; tier; patient; records;"):
        terms.consent()
    full = terms.given(
        fields="de-identified", region=158, tier=2, patient=plain().patient, records=plain().records,
        patient_share=7250, floor_price=plain().floorPrice, nonce=plain().nonce,
        deadline=plain().deadline,
    )  # fmt: skip
    assert full.consent() == plain()


def test_what_the_resource_says_cannot_be_overruled() -> None:
    terms = from_fhir(to_fhir(plain(), 1), now=NOW)
    with pytest.raises(Unmappable, match=r"region \(the resource says otherwise\)"):
        terms.given(region=392)
    assert terms.given(region=158, tier=None) == terms


@pytest.mark.parametrize(
    ("end", "seconds"),
    [
        ("2030", 1_893_456_000),
        ("2030-06", 1_906_502_400),
        ("2030-06-15", 1_907_712_000),
        ("2030-06-15T12:00:00+02:00", 1_907_748_000),
        ("2030-06-15T12:00:00.999Z", 1_907_755_200),
    ],
)
def test_an_end_is_read_as_the_earliest_that_it_may_mean(end: str, seconds: int) -> None:
    resource = to_fhir(plain(), 1)
    resource["provision"]["period"]["end"] = end
    assert from_fhir(resource, now=NOW).expiry == seconds


def test_the_narrower_of_two_periods_counts() -> None:
    for inner, outer in ((NOW + 9, 1_813_060_800), (1_900_000_000, 1_813_060_800)):
        resource = to_fhir(plain(expiry=inner), 1, version="R5")
        resource["period"] = {"end": "2027-06-15T12:00:00Z"}
        assert from_fhir(resource, now=NOW).expiry == min(inner, outer)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", MalformedFile),
        (b"[1]", UnsupportedFile),
        (b'{"resourceType": "Patient"}', UnsupportedFile),
        (b'{"resourceType": "Consent"}', MalformedFile),
        (b'{"resourceType": "Consent", "status": 7}', MalformedFile),
        (b'{"a":' * 100_000, MalformedFile),
        (b'{"resourceType": "Consent", "resourceType": "Consent"}', MalformedFile),
    ],
)
def test_other_files_are_no_consents(data: bytes, kind: type[MedtokenError]) -> None:
    with pytest.raises(kind):
        parse("x.json", data)


def test_a_version_that_nobody_speaks() -> None:
    with pytest.raises(MedtokenError, match="R4B or R5"):
        to_fhir(plain(), 1, version="R3")
    assert replace(plain(), region=1) != plain()
