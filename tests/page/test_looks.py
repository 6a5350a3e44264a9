"""Every page in three languages, light and dark, on a phone and on a desk."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.pages import DESK, Person
from support.stage import Stage

from medtoken.messages import DUT
from medtoken.vocabulary import Form

pytestmark = pytest.mark.page


@pytest.mark.parametrize(("locale", "language"), [("zh-TW", "zh-Hant"), ("zh-CN", "zh-Hans")])
def test_the_browsers_language_is_spoken(
    stage: Stage, someone: Callable[..., Person], locale: str, language: str
) -> None:
    stage.earn(10)
    patient = someone(stage.patient_wallet, locale=locale, color_scheme="dark")
    patient.open()
    for section in ("records", "consents", "uses", "earnings", "credit", "alerts"):
        patient.tab(section)
        patient.page.locator(f"#tab-{section}[aria-current]").wait_for()
        assert patient.page.evaluate("document.documentElement.lang") == language
        patient.axe()
        patient.fits()
        patient.shot(f"{section}-{language}-dark-360")
    # And what was chosen is kept.
    patient.page.locator("#language").select_option("en")
    patient.shows("Alerts", "nav")
    patient.page.reload()
    patient.page.get_by_role("button", name="Connect Test Wallet").wait_for()


def test_dark_and_light_on_a_desk(stage: Stage, someone: Callable[..., Person]) -> None:
    stage.earn(10)
    for scheme in ("light", "dark"):
        patient = someone(stage.patient_wallet, viewport=DESK, color_scheme=scheme)
        patient.open()
        for section in ("records", "consents", "uses", "earnings", "credit"):
            patient.tab(section)
            patient.page.locator(f"#tab-{section}[aria-current]").wait_for()
            patient.axe()
            patient.shot(f"{section}-{scheme}-desk")


def test_everything_can_be_reached_by_keyboard(
    stage: Stage, someone: Callable[..., Person]
) -> None:
    consent = stage.consent(stage.record())
    patient = someone(stage.patient_wallet)
    patient.open("/#consents")
    button = patient.page.locator(f"#revoke-0x{consent.hex()}")
    button.wait_for()
    patient.page.evaluate("document.activeElement.blur()")
    for _ in range(40):
        patient.page.keyboard.press("Tab")
        if patient.page.evaluate("document.activeElement.id") == f"revoke-0x{consent.hex()}":
            break
    else:
        pytest.fail("the button is not reached by Tab")
    # A new block does not take the focus away.
    stage.chain.mine(1)
    height = stage.chain.height()
    patient.page.locator(f'#block[data-block="{height}"]').wait_for()
    patient.page.keyboard.press("Enter")
    patient.shows("It took effect in block", ".said")


def test_a_licensee_finds_sees_the_price_and_licenses(
    stage: Stage, someone: Callable[..., Person]
) -> None:
    record = stage.record()
    consent = stage.consent(record)
    stage.licensee.deposit(10_000 * DUT)
    company = someone(stage.chain.cast["pharma"])
    company.open("/licensee")
    page = company.page
    offer = page.locator(f"#offer-0x{consent.hex()}")
    offer.locator("summary").click()
    company.axe()
    company.fits()
    page.locator(f"#quote-0x{consent.hex()}").click()
    company.shows("reserve levy on top")
    company.axe()
    company.shot("licensee-quote-360")
    before = stage.suite.market.licensee(stage.licensee.address).deposit
    page.locator(f"#buy-0x{consent.hex()}").click()
    company.shows("Licensed in block", ".said")
    spent = before - stage.suite.market.licensee(stage.licensee.address).deposit
    assert spent == 525 * DUT  # ten calls at 50 DUT, and the levy
    company.tab("licences")
    licence = str(page.locator("article[data-licence]").first.get_attribute("data-licence"))
    word = stage.suite.market.licence(bytes.fromhex(licence[2:]))
    assert (word.form, word.units) == (Form.METERED, 10)
    company.axe()
    company.fits()
    company.shot("licensee-licences-360")


def test_a_hospital_sees_what_it_holds_and_earned(
    stage: Stage, someone: Callable[..., Person]
) -> None:
    stage.earn(10)
    hospital = someone(stage.chain.cast["hospital"])
    hospital.open("/hospital")
    hospital.shows("Records that we hold")
    hospital.axe()
    hospital.fits()
    hospital.shot("hospital-360")
    hospital.tab("earnings")
    hospital.shows("says the same")
    hospital.axe()
    hospital.fits()
    hospital.shot("hospital-earnings-360")
