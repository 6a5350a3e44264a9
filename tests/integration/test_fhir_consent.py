"""Consents as FHIR, visas, and a record's history as FHIR, on a live chain through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fhir.resources import get_fhir_model_class as r5_model
from fhir.resources.R4B import get_fhir_model_class as r4_model
from support.live import Ran, medtoken_here
from support.stage import Stage

from medtoken import bodies
from medtoken.keeper import wire
from medtoken.messages import DUT, Revocation
from medtoken.vocabulary import Form

MODELS = {"R4B": r4_model, "R5": r5_model}


def run(stage: Stage, *words: str | Path) -> Ran:
    """The command line in this process: reading the models of FHIR takes seconds each time."""
    return medtoken_here(
        *words, "--home", stage.home.folder, "--rpc", stage.chain.node.url, "--json"
    )


def hexed(word: bytes) -> str:
    return "0x" + word.hex()


@pytest.mark.parametrize("version", ["R4B", "R5"])
def test_a_consent_goes_out_and_a_like_one_comes_back(
    stage: Stage, tmp_path: Path, version: str
) -> None:
    stage.home.keep_wallet("patient", stage.patient_wallet)
    stage.home.keep_wallet("relay", stage.chain.cast["relay"])
    terms = stage.terms(stage.record())
    consent = stage.relay.grant(terms, stage.patient.sign(terms))
    resource = run(stage, "consent", "export", hexed(consent), "--fhir", version).ok()
    MODELS[version]("Consent").model_validate(resource)
    path = tmp_path / "consent.json"
    path.write_text(json.dumps(resource))
    made = run(stage, "consent", "import", path).ok()
    again = stage.suite.market.consent_terms(bytes.fromhex(made["consent"][2:]))
    differing = {name for name, value in again.values().items() if value != getattr(terms, name)}
    assert made["granted"]
    assert differing <= {"nonce", "deadline"}
    assert "nonce" in differing
    revocation = Revocation(consent)
    stage.relay.revoke(revocation, stage.patient.sign(revocation))
    late = run(stage, "consent", "export", hexed(consent), "--fhir", version).ok()
    assert late["status"] == "inactive"


def test_bad_consents_change_nothing(stage: Stage, tmp_path: Path) -> None:
    stage.home.keep_wallet("patient", stage.patient_wallet)
    terms = stage.terms(stage.record())
    consent = stage.relay.grant(terms, stage.patient.sign(terms))
    resource: dict[str, Any] = run(stage, "consent", "export", hexed(consent)).ok()
    height = stage.chain.height()
    path = tmp_path / "consent.json"

    def refused(code: int, words: str, *more: str) -> None:
        ran = run(stage, "consent", "import", path, *more)
        assert ran.code == code, ran.err
        assert words in ran.err
        assert "Traceback" not in ran.err
        assert stage.chain.height() == height

    refused(2, "no such file")
    path.write_text("{")
    refused(4, "not valid JSON")
    path.write_text(json.dumps(resource))
    refused(2, "region (the resource says otherwise)", "--region", "JP")
    path.write_text(json.dumps({**resource, "modifierExtension": [{"url": "urn:x"}]}))
    assert run(stage, "consent", "import", path).code in (2, 4)
    resource["patient"]["identifier"]["value"] = f"did:pkh:eip155:1:{terms.patient}"
    path.write_text(json.dumps(resource))
    refused(9, "for chain 1")


def test_a_licence_gives_a_visa_while_it_runs(stage: Stage, tmp_path: Path) -> None:
    record = stage.record()
    stage.licensee.deposit(10**21)
    consent = stage.consent(record)
    bought = stage.buy(record, consent, Form.FIXED_TERM)
    stage.chain.mine()
    key = ec.generate_private_key(ec.SECP256R1())
    pem = tmp_path / "key.pem"
    pem.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    words = ("licence", "visa", hexed(bought.licence), "--key", pem)
    words += ("--issuer", "https://x.example", "--jku", "https://x.example/jwks")
    words += ("--datasets", "https://x.example/records")
    made = run(stage, *words).ok()
    claims = jwt.decode(
        made["visa"],
        jwt.PyJWKSet.from_dict(made["jwks"]).keys[0],
        algorithms=["ES256"],
        options={"verify_iat": False},
    )
    assert claims["ga4gh_visa_v1"]["value"] == f"https://x.example/records/{hexed(record)}"
    assert claims["medtoken"]["licence"] == hexed(bought.licence)
    (tmp_path / "visa").write_text(made["visa"])
    (tmp_path / "jwks").write_text(json.dumps(made["jwks"]))
    check = ("licence", "check-visa", tmp_path / "visa", "--jwks", tmp_path / "jwks")
    assert run(stage, *check).ok() == claims
    revocation = Revocation(consent)
    stage.relay.revoke(revocation, stage.patient.sign(revocation))
    block = stage.chain.height()
    ran = run(stage, *words, "--block", str(block))
    assert (ran.code, f"not usable at block {block}" in ran.err) == (12, True)
    assert run(stage, *words, "--block", str(block - 1)).ok()["visa"]
    assert run(stage, *words[:3], "--key", tmp_path / "jwks", *words[5:]).code == 2


@pytest.mark.parametrize("version", ["R4B", "R5"])
def test_a_history_tells_everything_that_happened(
    stage: Stage, tmp_path: Path, version: str
) -> None:
    record = stage.record()
    stage.licensee.deposit(10_000 * DUT)
    consent = stage.consent(record)
    bought = stage.buy(record, consent, Form.METERED, 9)
    stage.licensee.use(bought.licence, 3)
    stage.chain.mine()
    stage.opened(bought, tmp_path / "opened")
    revocation = Revocation(consent)
    stage.relay.revoke(revocation, stage.patient.sign(revocation))
    other = stage.add(next(kind for kind in stage.files if kind.name == "CGM")).record
    logs: list[str | Path] = []
    for number, keeper in enumerate(stage.keepers):
        path = tmp_path / f"{number}.log"
        entries = list(keeper.log())  # type: ignore[attr-defined]
        path.write_bytes(b"\n".join(bodies.encoded(wire.Entry.of(one)) for one in entries))
        logs += ["--keeper-log", path]
    words = ("audit", "history", hexed(record), "--fhir", version)
    bundle = run(stage, *words, *logs).ok()
    MODELS[version]("Bundle").model_validate(bundle)
    resources = [entry["resource"] for entry in bundle["entry"]]
    for one in resources:
        MODELS[version](one["resourceType"]).model_validate(one)
    activities = [
        one["activity"]["coding"][0]["code"]
        for one in resources
        if one["resourceType"] == "Provenance"
    ]
    assert activities == ["originate", "attest"]
    told = [event(one) for one in resources if one["resourceType"] == "AuditEvent"]
    assert sorted(told) == sorted(
        ["ConsentGranted", "LicenceBought", "LicenceUsed", "ConsentRevoked", *["KeyReleased"] * 2]
    )
    (used,) = (one for one in resources if "LicenceUsed" in json.dumps(one))
    assert used["entity"][0]["detail"][0]["valueString"] == "3"
    assert bought.ref.licensee in json.dumps(used["agent"])
    assert [one["recorded"] for one in resources] == sorted(one["recorded"] for one in resources)
    assert hexed(other) not in json.dumps(bundle)
    # Without the logs nothing tells of the keys; told again, it is the same to the bit.
    without = run(stage, *words).ok()
    assert len(without["entry"]) == len(resources) - 2
    assert run(stage, *words, *logs).ok() == bundle
    # A log that was altered counts for nothing.
    altered = Path(logs[1])
    altered.write_bytes(altered.read_bytes().replace(b"release", b"deposit"))
    ran = run(stage, *words, *logs)
    assert (ran.code, "altered" in ran.err) == (5, True)


def event(resource: dict[str, Any]) -> str:
    subtype = resource.get("subtype") or resource["code"]["coding"]
    return str(subtype[0]["code"])


def test_the_history_of_nothing(stage: Stage) -> None:
    ran = run(stage, "audit", "history", hexed(bytes(32)))
    assert (ran.code, "No record 0x" in ran.err) == (2, True)
