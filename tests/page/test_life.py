"""The whole life of a consent, by a patient with a wallet and no ether, on a phone."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.pages import Person, ServiceProcess, serving
from support.stage import Stage

from medtoken import vocabulary
from medtoken.errors import ConsentRefused, KeyRefused
from medtoken.formats import Format
from medtoken.messages import DUT, Consent
from medtoken.vocabulary import Form

pytestmark = pytest.mark.page


def grant(person: Person, record: bytes, *, floor: str = "50") -> str:
    """Consent to pharma, not commercially, everything; the consent's id."""
    page = person.page
    person.tab("records")
    page.locator(f'[data-record="0x{record.hex()}"] a.button').click()
    page.locator('input[name="who"][value="research"]').uncheck()
    page.locator('input[name="who"][value="pharma"]').check()
    page.locator("#conditions summary").click()
    page.locator('input[name="condition"][value="NCU"]').uncheck()
    page.locator('input[name="condition"][value="NPUNCU"]').check()
    page.locator("#fields").select_option("all")
    page.locator("#region").select_option("TW")
    page.locator("#floor").fill(floor)
    page.locator("#check").click()
    person.shows("In one sentence")
    page.locator("#exact summary").click()
    page.locator("#sign").click()
    person.shows("In force since block", "main")
    return str(page.locator("article[data-consent]").first.get_attribute("data-consent"))


def test_see_consent_earn_withdraw_and_take_back(
    stage: Stage, someone: Callable[..., Person], service: ServiceProcess, tmp_path: Path
) -> None:
    record = stage.record()
    patient = someone(stage.patient_wallet)
    patient.open()
    patient.shows("Genomic sample")
    patient.axe()
    patient.fits()
    patient.shot("records-360")

    # The page shows the exact words that are signed, and the wallet signs what they are about.
    consent = bytes.fromhex(grant(patient, record)[2:])
    signed = patient.wallet.signed[-1]
    assert signed["domain"]["verifyingContract"] == stage.suite.market.address
    terms = stage.suite.market.consent_terms(consent)
    assert {k: str(v) for k, v in signed["message"].items()} == {
        k: "0x" + v.hex() if isinstance(v, bytes) else str(v) for k, v in terms.values().items()
    }
    assert (terms.patient, terms.records) == (stage.patient.address, record)
    article = patient.page.locator(f'[data-consent="0x{consent.hex()}"]')
    article.locator("details summary").click()
    assert article.locator(".exact").inner_text() == terms.render()
    patient.axe()
    patient.fits()
    patient.shot("consents-360")
    # It cost the patient nothing.
    assert stage.chain.node.balance(stage.patient.address) == 0

    # A company buys, opens, uses; the patient sees it, and is paid.
    stage.licensee.deposit(10_000 * DUT)
    bought = stage.buy(record, consent, Form.METERED, 10)
    stage.licensee.use(bought.licence, 9)
    stage.chain.mine()
    assert stage.opened(bought, tmp_path / "copy") == stage.files[Format.VCF].read_bytes()
    patient.tab("uses")
    patient.shows("9 of 10 units used")
    patient.shows("They paid 500 DUT")
    patient.tab("alerts")
    patient.shows("A licence is near its limit: 9 of 10 units used.")
    patient.axe()
    patient.shot("alerts-360")
    stage.suite.market.settle(stage.chain.cast["relay"], [bought.ref])
    patient.tab("uses")
    earned = stage.suite.market.earnings(stage.patient.address).earned
    patient.shows(f"You earned {earned / DUT:g} DUT")
    patient.axe()
    patient.fits()
    patient.shot("uses-360")
    patient.tab("earnings")
    patient.page.locator(f'#earned[value="{earned}"]').wait_for()
    patient.shows("says the same")
    patient.axe()
    patient.fits()
    patient.shot("earnings-360")

    # Withdrawn by one signature, to the patient's own wallet.
    patient.page.locator("#withdraw").click()
    patient.shows("were paid to your wallet", ".said")
    assert stage.suite.usage.balance(stage.patient.address) == earned
    patient.page.locator('#earned[value="0"]').wait_for()

    # Taken back: the page names the block, and every later use, purchase and key is refused.
    patient.tab("consents")
    patient.page.locator(f"#revoke-0x{consent.hex()}").click()
    patient.shows("It took effect in block", ".said")
    at = service.get(f"/v1/consents/0x{consent.hex()}")["revoked"]
    patient.shows(f"block {at['block']}", ".said")
    assert stage.suite.market.consent(consent).revoked_at == at["time"]
    assert stage.suite.market.consent(consent, at["block"] - 1).revoked_at == 0
    patient.shows("Taken back: in effect since block", "main")
    patient.shot("revoked-360")
    with pytest.raises(ConsentRefused):
        stage.licensee.use(bought.licence, 1)
    with pytest.raises(ConsentRefused):
        stage.buy(record, consent)
    stage.chain.mine()
    with pytest.raises(KeyRefused):
        stage.opened(bought, tmp_path / "late")


def test_terms_are_changed_by_new_ones_and_the_old_taken_back(
    stage: Stage, someone: Callable[..., Person]
) -> None:
    record = stage.record()
    old = stage.consent(record)
    patient = someone(stage.patient_wallet)
    patient.open("/#consents")
    page = patient.page
    page.locator(f'[data-consent="0x{old.hex()}"]').get_by_role("link", name="Change it").click()
    assert page.locator('input[name="who"][value="pharma"]').is_checked()
    assert page.locator("#floor").input_value() == "50"
    page.locator("#floor").fill("60.5")
    page.locator("#check").click()
    page.locator("#sign").click()
    patient.shows("Now take the old ones back", ".said")
    # The old one's button has the focus: one key takes it back.
    page.keyboard.press("Enter")
    patient.shows("It took effect in block", ".said")
    assert stage.suite.market.consent(old).revoked_at
    new = str(page.locator("article[data-consent]").first.get_attribute("data-consent"))
    terms = stage.suite.market.consent_terms(bytes.fromhex(new[2:]))
    assert isinstance(terms, Consent)
    assert terms.floorPrice == 605 * DUT // 10
    assert terms.licensees == stage.suite.market.consent_terms(old).licensees


def test_what_the_form_cannot_show_stays_as_it_was(
    stage: Stage, someone: Callable[..., Person]
) -> None:
    record = stage.record()
    purposes = vocabulary.duo_mask(["DS", "HMB", "NCU"])
    old = dataclasses.replace(
        stage.terms(record, days=30),
        purposes=purposes,
        diseases=vocabulary.disease_commitment(["5A11"]),
        licensees=vocabulary.group_mask(["pharma"]) | 1 << 40 | vocabulary.AUCTION_ONLY,
        fields=b"\xab" * 32,
        region=410,
    )
    before = stage.relay.grant(old, stage.patient.sign(old))
    patient = someone(stage.patient_wallet)
    patient.open("/#consents")
    page = patient.page
    page.locator(f'[data-consent="0x{before.hex()}"]').get_by_role("link", name="Change it").click()
    patient.shows("research on the diseases named, group 40, and only by an auction", "#kept")
    assert page.locator("#days").input_value() == "29"
    patient.axe()
    patient.fits()
    patient.shot("grant-kept-360")
    page.locator("#check").click()
    patient.shows("Only by an auction that you sign.", "main")
    page.locator("#sign").click()
    patient.shows("Now take the old ones back", ".said")
    new = str(page.locator("article[data-consent]").first.get_attribute("data-consent"))
    terms = stage.suite.market.consent_terms(bytes.fromhex(new[2:]))
    assert isinstance(terms, Consent)
    assert terms.expiry <= old.expiry
    fresh = ("expiry", "nonce", "deadline")
    assert dataclasses.replace(terms, **{name: getattr(old, name) for name in fresh}) == old


def test_a_consent_over_a_set_can_only_be_taken_back(
    stage: Stage, someone: Callable[..., Person]
) -> None:
    stage.record()
    terms = dataclasses.replace(stage.terms(stage.record()), records=b"\x77" * 32)
    consent = stage.relay.grant(terms, stage.patient.sign(terms))
    patient = someone(stage.patient_wallet)
    patient.open(f"/#grant/0x{terms.records.hex()}/0x{consent.hex()}")
    patient.shows("This page cannot change it", "main")
    patient.tab("consents")
    patient.shows("This page cannot change it", "main")
    patient.page.locator(f"#revoke-0x{consent.hex()}").click()
    patient.shows("It took effect in block", ".said")


def test_an_old_consent_behind_many_is_there(stage: Stage, someone: Callable[..., Person]) -> None:
    record = stage.record()
    consents = [stage.consent(record) for _ in range(3)]
    patient = someone(stage.patient_wallet)

    def one_at_a_time(route: Any) -> None:
        path, _, query = route.request.url.partition("?")
        offset = "".join(re.findall("&offset=[0-9]+", f"&{query}"))
        route.fulfill(response=route.fetch(url=f"{path}?limit=1{offset}"))

    lists = re.compile(r"/consents(\?|$)")
    patient.page.route(lists, one_at_a_time)
    patient.open("/#consents")
    for consent in consents:
        patient.page.locator(f"#revoke-0x{consent.hex()}").wait_for()
    patient.page.unroute(lists)


def test_a_patient_may_also_send_it_from_the_wallet(
    stage: Stage, someone: Callable[..., Person], tmp_path: Path
) -> None:
    record = stage.record()
    stage.chain.node.rpc("anvil_setBalance", stage.patient.address, hex(10**18))
    with serving(stage.chain, tmp_path, relay=False) as alone:
        patient = someone(stage.patient_wallet, alone.url)
        patient.open()
        page = patient.page
        page.locator(f'[data-record="0x{record.hex()}"] a.button').click()
        page.locator("#check").click()
        page.locator("#sign").click()
        patient.shows("brings nothing to the chain", ".trouble")
        page.locator("#send-direct").click()
        patient.shows("In force since block", ".said")
        consent = str(page.locator("article[data-consent]").first.get_attribute("data-consent"))
        page.locator(f"#revoke-{consent}").click()
        page.locator("#send-direct").click()
        patient.shows("It took effect in block", ".said")
        assert stage.suite.market.consent(bytes.fromhex(consent[2:])).revoked_at
        page.close()


def test_a_withdrawal_may_also_be_sent_from_the_wallet(
    stage: Stage, someone: Callable[..., Person], tmp_path: Path
) -> None:
    stage.earn(10)
    earned = stage.suite.market.earnings(stage.patient.address).earned
    stage.chain.node.rpc("anvil_setBalance", stage.patient.address, hex(10**18))
    with serving(stage.chain, tmp_path, relay=False) as alone:
        patient = someone(stage.patient_wallet, alone.url)
        patient.open("/#earnings")
        patient.page.locator("#withdraw").click()
        patient.shows("brings nothing to the chain", ".trouble")
        patient.axe()
        patient.page.locator("#send-direct").click()
        patient.shows("were paid to your wallet", ".said")
        assert stage.suite.usage.balance(stage.patient.address) == earned > 0
        patient.page.close()


def test_points_and_what_they_are_for(stage: Stage, someone: Callable[..., Person]) -> None:
    record = stage.record()
    draft = stage.suite.registry.draft(record)
    rewards, relay = stage.suite.rewards, stage.chain.cast["relay"]
    number = stage.suite.registry.number_of(stage.chain.cast["hospital"].address)
    rewards.count_record(relay, number, draft.tag)
    patient = someone(stage.patient_wallet)
    patient.open()
    patient.tab("credit")
    points = rewards.credit(stage.patient.address).points
    patient.shows("Your place among patients this month: 1.")
    assert patient.page.locator("#points").get_attribute("value") == str(points)
    patient.page.locator("#points-history summary").click()
    patient.shows(f"a record: {points}")
    patient.shows("You have no badge yet.")
    patient.axe()
    patient.fits()
    patient.shot("credit-360")
