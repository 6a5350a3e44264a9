"""R10 by the command line on a real chain: enrol, request, approve, buy; replace and cancel; the audit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from support.authenticator import Authenticator, high
from support.stage import Stage

from medtoken.audit import replay
from medtoken.chain.node import Receipt, Wallet
from medtoken.chain.passkeys import Passkeys
from medtoken.cli import cli
from medtoken.errors import BadInput, ConsentRefused, InvalidSignature, NotPermitted
from medtoken.messages import DUT
from medtoken.passkeys import decoded, encoded

SITE = "records.example"


@pytest.fixture
def run(stage: Stage) -> Any:
    where = ["--rpc", stage.chain.node.url, "--home", str(stage.home.folder), "--json"]

    def invoke(*words: str) -> dict[str, Any]:
        done = CliRunner().invoke(cli, [*words, *where], catch_exceptions=False)
        return dict(json.loads(done.stdout[done.stdout.index("{") :]))

    return invoke


def enrolment(phone: Authenticator) -> list[str]:
    key = phone.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return ["passkey", "enrol", "--public-key", encoded(key), "--site", phone.host]


def answered(phone: Authenticator, challenge: str, path: Path, *, wrong: bool = False) -> str:
    """What a browser writes when its user approves a challenge; half of all have a high s."""
    data, client, signature = phone.raw(decoded(challenge), flags=1 if wrong else 5)
    told = {"authenticatorData": data, "clientDataJSON": client, "signature": high(signature)}
    path.write_text(
        json.dumps({"type": "public-key", "response": {k: encoded(v) for k, v in told.items()}})
    )
    return str(path)


def test_a_licence_that_a_passkey_approved(stage: Stage, run: Any, tmp_path: Path) -> None:
    phone, other = Authenticator(5, SITE), Authenticator(6, SITE)
    patient = stage.patient.address
    stage.home.keep_wallet("patient", stage.patient_wallet)
    record = stage.record()
    terms = replace(stage.terms(record), tier=3)
    consent = "0x" + stage.relay.grant(terms, stage.patient.sign(terms)).hex()
    stage.licensee.deposit(10_000 * DUT)
    asked = ["0x" + record.hex(), "--consent", consent, "--form", "metered", "--units", "3"]
    asked += ["--purpose", "HMB", "--purpose", "NPUNCU"]
    with pytest.raises(ConsentRefused, match="passkey needed"):
        run("licence", "buy", *asked)
    assert run("licence", "request", *asked)["request"] == 1
    assert run("licence", "request", *asked)["request"] == 2
    assert run("passkey", "show")["passkey"]["x"] == "0x" + "00" * 32
    assert run(*enrolment(phone))["patient"] == patient
    assert run("passkey", "show", patient)["passkey"]["x"] == "0x" + phone.passkey.x.hex()

    told = run("passkey", "challenge", consent, "1")
    bring = ["--deadline", str(told["deadline"])]
    path = tmp_path / "answer.json"
    unverified = answered(phone, told["challenge"], path, wrong=True)
    with pytest.raises(InvalidSignature, match="not verified"):
        run("passkey", "approve", consent, "1", unverified, *bring)
    with pytest.raises(InvalidSignature, match="assertion is not valid"):
        run("passkey", "approve", consent, "1", answered(other, told["challenge"], path), *bring)
    with pytest.raises(InvalidSignature, match="assertion is not valid"):
        run("passkey", "approve", consent, "2", answered(phone, told["challenge"], path), *bring)
    with pytest.raises(BadInput, match="no request 3"):
        run("passkey", "approve", consent, "3", str(path), *bring)
    run("passkey", "approve", consent, "1", str(path), *bring)
    run("passkey", "approve", consent, "1", str(path), *bring)  # again changes nothing
    listed = run("passkey", "requests", consent)["requests"]
    assert [one["approved_until"] for one in listed] == [told["deadline"], None]
    with pytest.raises(NotPermitted, match="somebody else's"):
        run("licence", "buy-requested", consent, "1", "--as", "hospital")
    with pytest.raises(ConsentRefused, match="passkey needed"):
        run("licence", "buy-requested", consent, "2")
    bought = run("licence", "buy-requested", consent, "1")
    stage.licensee.use(bytes.fromhex(bought["licence"][2:]), 1)

    assert run(*enrolment(other))["since"] > stage.chain.node.head().timestamp
    change = run("passkey", "show")["change"]
    assert change["x"] == "0x" + other.passkey.x.hex()
    run("passkey", "cancel")
    assert run("passkey", "show")["change"] is None
    run("passkey", "remove")
    found = replay(stage.suite.node, stage.suite.deployment)
    assert [f.detail for f in found.invariants if not f.holds] == []
    assert found.ledger.as_dict()["passkeys"]["approvals"] == 1


def test_who_is_not_covered_can_ask_first_and_is_not_shown(
    stage: Stage, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody sees an order on its way, and can ask for the same before it in its own name."""
    record = stage.record()
    consent = stage.consent(record)
    ask = Passkeys.request

    def overtaken(passkeys: Passkeys, wallet: Wallet, *what: Any, **more: Any) -> Receipt:
        ask(passkeys, stage.chain.cast["hospital"], *what)
        return ask(passkeys, wallet, *what, **more)

    monkeypatch.setattr(Passkeys, "request", overtaken)
    named = "0x" + consent.hex()
    wanted = ["0x" + record.hex(), "--consent", named, "--purpose", "HMB", "--purpose", "NPUNCU"]
    assert run("licence", "request", *wanted)["request"] == 2
    found = run("passkey", "requests", named)
    assert found["hidden"] == 1
    assert [(one["request"], one["licensee"]) for one in found["requests"]] == [
        (2, stage.licensee.address)
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not JSON"),
        ("[]", "no answer of a passkey"),
        ("[" * 60_000, "no answer of a passkey"),
        ("{}", "lacks a part"),
        ('{"response": 3}', "lacks a part"),
        ('{"authenticatorData": "!", "clientDataJSON": "", "signature": ""}', "not base64url"),
        ('{"authenticatorData": "", "clientDataJSON": "", "signature": "AA"}', "not in DER"),
        ("{" + " " * 70_000 + "}", "longer than any answer"),
    ],
    ids=lambda value: value[:24],
)
def test_what_no_browser_writes(
    stage: Stage, run: Any, tmp_path: Path, text: str, why: str
) -> None:
    record = stage.record()
    consent = stage.consent(record)
    stage.licensee.request(record, consent, form=1, purposes=("HMB", "NPUNCU"), days=90)
    path = tmp_path / "answer.json"
    path.write_text(text)
    deadline = str(stage.chain.node.head().timestamp + 60)
    with pytest.raises(BadInput, match=why):
        run("passkey", "approve", "0x" + consent.hex(), "1", str(path), "--deadline", deadline)


def test_only_a_key_of_p256_is_enrolled(run: Any) -> None:
    for key, why in (("AAAA", "cannot be read"), ("!", "not base64url")):
        with pytest.raises(BadInput, match=why):
            run("passkey", "enrol", "--public-key", key, "--site", SITE)
    k1 = bytes.fromhex(
        "3056301006072a8648ce3d020106052b8104000a034200"
        "0479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
        "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"
    )
    with pytest.raises(BadInput, match="not one of P-256"):
        run("passkey", "enrol", "--public-key", encoded(k1), "--site", SITE)
