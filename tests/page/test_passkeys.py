"""R10 in a browser: a virtual authenticator, asked for each licence of highly sensitive data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from support.authenticator import Authenticator
from support.pages import Person, ServiceProcess
from support.stage import Stage

from medtoken.chain.passkeys import Passkeys
from medtoken.errors import ConsentRefused, ContractRefused, InvalidSignature
from medtoken.messages import DUT
from medtoken.passkeys import relying_party
from medtoken.vocabulary import Form

pytestmark = pytest.mark.page


class Virtual:
    """Chromium's own authenticator, as a person's phone: it knows its user, or does not."""

    def __init__(self, person: Person) -> None:
        self._cdp = person.page.context.new_cdp_session(person.page)
        self._cdp.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        added = self._cdp.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        self._id = added["authenticatorId"]

    def verified(self, yes: bool) -> None:
        told = {"authenticatorId": self._id, "isUserVerified": yes}
        self._cdp.send("WebAuthn.setUserVerified", told)

    def credentials(self) -> list[dict[str, Any]]:
        told = self._cdp.send("WebAuthn.getCredentials", {"authenticatorId": self._id})
        return list(told["credentials"])


@pytest.fixture
def named(service: ServiceProcess) -> str:
    """The service by a name: an address of numbers has no passkeys."""
    return service.url.replace("127.0.0.1", "localhost")


def granted(stage: Stage) -> tuple[bytes, bytes]:
    """A record whose patient wants to be asked each time, and the consent to that."""
    record = stage.record()
    terms = replace(stage.terms(record), tier=3)
    return record, stage.relay.grant(terms, stage.patient.sign(terms))


def asked(stage: Stage, record: bytes, consent: bytes) -> None:
    stage.licensee.request(
        record, consent, form=Form.METERED, purposes=("HMB", "NPUNCU"), days=90, units=7
    )


def test_enrolled_asked_approved_and_bought(
    stage: Stage, someone: Callable[..., Person], named: str
) -> None:
    record, consent = granted(stage)
    stage.licensee.deposit(10_000 * DUT)
    passkeys = Passkeys(stage.suite.node, stage.suite.deployment)
    patient = someone(stage.patient_wallet, named)
    phone = Virtual(patient)
    patient.open()
    patient.tab("passkey")
    patient.shows("You have no passkey yet")
    patient.axe()
    patient.fits()
    patient.page.locator("#passkey-enrol").click()
    patient.shows("Done: the chain knows it.", ".said")
    found = passkeys.of(stage.patient.address)
    assert found.relyingParty == relying_party("localhost")
    assert len(phone.credentials()) == 1
    assert patient.wallet.signed[-1]["primaryType"] == "PasskeyChange"

    # A company asks in its own page, and reads that it waits.
    company = someone(stage.chain.cast["pharma"], named)
    company.open("/licensee")
    company.page.locator(f"#offer-0x{consent.hex()} summary").click()
    company.page.locator(f"#units-0x{consent.hex()}").fill("7")
    company.page.locator(f"#quote-0x{consent.hex()}").click()
    company.shows("the patient approves each licence with a passkey first")
    company.page.locator(f"#buy-0x{consent.hex()}").click()
    company.shows("Asked. The patient approves it", ".said")
    request = passkeys.request_of(consent, 1)
    assert (request.order.units, request.order.record) == (7, record)
    company.tab("licences")
    company.shows("The patient has not approved it yet.")

    # The patient reads who asks for what, in the words that are signed.
    patient.shows("asks to license a record of yours")
    patient.shows("7 calls or MB, each for at most 50 DUT")
    patient.page.locator("[data-request] details summary").click()
    exact = patient.page.locator("[data-request] .exact").inner_text()
    deadline = stage.chain.node.head().timestamp
    words = request.approval(stage.patient.address, deadline).render().splitlines()
    assert [exact.splitlines()[at] for at in (0, 2, 3)] == [words[at] for at in (0, 2, 3)]
    patient.axe()
    patient.fits()
    patient.shot("passkey-360")

    # Without the finger nothing is approved, and nobody buys.
    phone.verified(False)
    patient.page.locator("[data-approve]").click()
    patient.shows("No passkey was used. Nothing was changed.")
    with pytest.raises(ConsentRefused, match="passkey needed"):
        stage.licensee.buy_requested(request)
    phone.verified(True)
    patient.page.locator("[data-approve]").click()
    patient.shows("Done: the chain knows it.", ".said")
    patient.shows("it may be bought once")
    until = passkeys.approved_until(stage.patient.address, consent, request.licensee, request.order)
    assert until > stage.chain.node.head().timestamp
    assert stage.chain.node.balance(stage.patient.address) == 0

    company.page.locator("[data-buy]").click()
    company.shows("Licensed in block", ".said")
    with pytest.raises(ContractRefused, match="bought before"):
        stage.licensee.buy_requested(request)
    patient.tab("uses")
    patient.shows("0 of 7 units used")
    assert not patient.outside
    assert not company.outside


def test_a_passkey_of_another_site_and_a_change_that_is_cancelled(
    stage: Stage, someone: Callable[..., Person], named: str
) -> None:
    record, consent = granted(stage)
    passkeys = Passkeys(stage.suite.node, stage.suite.deployment)
    elsewhere = Authenticator(77, "evil.example")
    patient = someone(stage.patient_wallet, named)
    Virtual(patient)
    patient.open()
    patient.tab("passkey")
    patient.page.locator("#passkey-enrol").click()
    patient.shows("Done: the chain knows it.", ".said")
    mine = passkeys.of(stage.patient.address)
    asked(stage, record, consent)
    request = passkeys.request_of(consent, 1)
    message = request.approval(stage.patient.address, stage.chain.node.head().timestamp + 3_600)
    relay = stage.chain.cast["relay"]
    answer = elsewhere.assertion(message.digest(passkeys.domain))
    with pytest.raises(InvalidSignature, match="made for another site"):
        passkeys.approve(relay, message, answer)
    # Somebody with the wallet's key begins a change; the page says so, and one click ends it.
    patient.page.locator("#passkey-remove").click()
    patient.shows("If that was not you, cancel it now")
    patient.axe()
    assert passkeys.change_of(stage.patient.address) is not None
    patient.page.locator("#passkey-cancel").click()
    patient.page.locator("#passkey-waits").wait_for(state="detached")
    assert passkeys.change_of(stage.patient.address) is None
    assert passkeys.of(stage.patient.address) == mine


def test_without_the_service_the_wallet_brings_it(
    stage: Stage, someone: Callable[..., Person], named: str
) -> None:
    """The relay refuses; what was approved is sent from the wallet itself."""
    record, consent = granted(stage)
    passkeys = Passkeys(stage.suite.node, stage.suite.deployment)
    stage.chain.node.rpc("anvil_setBalance", stage.patient.address, hex(10**18))
    patient = someone(stage.patient_wallet, named)
    Virtual(patient)
    patient.page.route("**/v1/relay/**", lambda route: route.abort())
    patient.open()
    patient.tab("passkey")
    patient.page.locator("#passkey-enrol").click()
    patient.page.locator("#send-direct").click()
    patient.shows("Done: the chain knows it.", ".said")
    asked(stage, record, consent)
    patient.page.locator("[data-approve]").click()
    patient.page.locator("#send-direct").click()
    patient.shows("it may be bought once")
    request = passkeys.request_of(consent, 1)
    assert passkeys.approved_until(stage.patient.address, consent, request.licensee, request.order)
