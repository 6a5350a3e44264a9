"""What goes wrong gets a clear sentence and a way on, and changes nothing."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.live import between
from support.pages import DESK, Person, serving, wait_for
from support.stage import Stage

from medtoken.messages import DUT

pytestmark = pytest.mark.page


def test_a_locked_wallet_is_told_apart_from_none(
    stage: Stage, someone: Callable[..., Person], browser: Any, service: Any
) -> None:
    patient = someone(stage.patient_wallet)
    patient.wallet.locked = True
    patient.open(connect=False)
    button = patient.page.get_by_role("button", name="Test Wallet")
    button.click()
    patient.shows("Your wallet is locked", ".trouble")
    patient.axe()
    patient.wallet.locked = False
    button.click()
    patient.shows("There is no record of yours")
    assert not patient.page.locator(".trouble p").count()

    context = browser.new_context(locale="en-GB")
    bare = context.new_page()
    bare.goto(service.url)
    bare.get_by_text("No wallet was found in this browser").wait_for()
    context.close()


def test_another_chain_is_named_and_left_by_one_button(
    stage: Stage, someone: Callable[..., Person]
) -> None:
    patient = someone(stage.patient_wallet)
    patient.wallet.chain_id = 1
    patient.open()
    patient.shows("Your wallet is on chain 1, but these records are on chain 31337.")
    patient.axe()
    patient.shot("wrong-chain-360")
    patient.page.locator("#switch").click()
    patient.shows("My records", "main")
    # And when the wallet goes elsewhere by itself.
    patient.page.evaluate("window.__medtoken_emit('chainChanged', '0x5')")
    patient.shows("Your wallet is on chain 5")


def test_a_signature_not_given_changes_nothing(
    stage: Stage, someone: Callable[..., Person]
) -> None:
    record = stage.record()
    consent = stage.consent(record)
    patient = someone(stage.patient_wallet)
    patient.open("/#consents")
    patient.wallet.rejects = True
    revoke = patient.page.locator(f"#revoke-0x{consent.hex()}")
    revoke.click()
    patient.shows("You did not sign. Nothing was changed.", ".trouble")
    patient.axe()
    assert not stage.suite.market.consent(consent).revoked_at
    patient.wallet.rejects = False
    revoke.click()
    patient.shows("It took effect in block", ".said")


def test_a_form_says_what_is_missing_and_where(
    stage: Stage, someone: Callable[..., Person]
) -> None:
    record = stage.record()
    patient = someone(stage.patient_wallet)
    patient.open(f"/#grant/0x{record.hex()}")
    page = patient.page
    page.locator('input[name="who"][value="research"]').uncheck()
    page.locator("#check").click()
    patient.shows("Choose at least one group", ".trouble")
    assert page.evaluate("document.activeElement.name") == "who"
    page.locator('input[name="who"][value="pharma"]').check()
    for wrong, field, sentence in (
        ("-5", "floor", "The least price is a number"),
        ("0.12345678901", "floor", "at most nine decimals"),
        ("90", "share", "from 70 to 80"),
        ("0", "days", "from 1 to 3650"),
    ):
        right = page.locator(f"#{field}").input_value()
        page.locator(f"#{field}").fill(wrong)
        page.locator("#check").click()
        patient.shows(sentence, ".trouble")
        assert page.evaluate("document.activeElement.id") == field
        page.locator(f"#{field}").fill(right)
    patient.axe()
    patient.fits()
    patient.shot("grant-360")
    page.locator("#check").click()
    patient.shows("In one sentence")
    patient.shows("has not prepared a copy with just this content")
    patient.axe()
    patient.fits()
    patient.shot("grant-check-360")


def test_two_browsers_of_one_patient_see_the_same(
    stage: Stage, someone: Callable[..., Person]
) -> None:
    consent = stage.consent(stage.record())
    phone, desk = (
        someone(stage.patient_wallet),
        someone(stage.patient_wallet, viewport=DESK),
    )
    for person in (phone, desk):
        person.open("/#consents")
        person.page.locator(f"#revoke-0x{consent.hex()}").wait_for()
    phone.page.locator(f"#revoke-0x{consent.hex()}").click()
    phone.shows("It took effect in block", ".said")
    # The other one learns it from the chain, and asks for nothing.
    desk.shows("Taken back: in effect since block", "main")
    assert "eth_signTypedData_v4" not in desk.wallet.asked
    # Somebody else sees none of it.
    stranger = someone(stage.chain.cast["stranger"])
    stranger.open("/#consents")
    stranger.shows("You have not allowed anything yet.")


def test_a_reorganisation_takes_back_what_the_page_shows(
    stage: Stage, someone: Callable[..., Person]
) -> None:
    record = stage.record()
    stage.chain.mine(8)
    consent = stage.consent(record)
    patient = someone(stage.patient_wallet)
    patient.open("/#consents")
    patient.page.locator(f'[data-consent="0x{consent.hex()}"]').wait_for()
    stage.chain.reorganise(2)
    assert not stage.suite.market.consent(consent).expiry
    patient.shows("You have not allowed anything yet.", "main")
    # A deep one, behind what the service took to be final.
    again = stage.consent(record)
    patient.page.locator(f'[data-consent="0x{again.hex()}"]').wait_for()
    stage.chain.mine(6)
    stage.chain.reorganise(8)
    patient.shows("You have not allowed anything yet.", "main")


def test_a_node_and_a_service_that_are_gone_for_a_while(
    stage: Stage, someone: Callable[..., Person], tmp_path: Path
) -> None:
    gone = {"node": False}

    def line(method: str, forward: Callable[[], bytes]) -> bytes | None:
        return None if gone["node"] else forward()

    consent = stage.consent(stage.record())
    with between(stage.chain.node.url, line) as url, serving(stage.chain, tmp_path, rpc=url) as own:
        patient = someone(stage.patient_wallet, own.url)
        patient.open("/#consents")
        patient.page.locator(f"#revoke-0x{consent.hex()}").wait_for()
        gone["node"] = True
        patient.shows("The service does not reach its node", "#connection")
        patient.axe()
        patient.shot("node-gone-360")
        # What was read is still there; what would change something says so and changes nothing.
        patient.page.locator(f"#revoke-0x{consent.hex()}").click()
        patient.shows("does not reach its node", ".trouble")
        assert not stage.suite.market.consent(consent).revoked_at
        gone["node"] = False
        patient.shows("The connection is back.", ".said")
        # Now the service itself is killed, and comes back at the same place.
        own.stop(signal.SIGKILL)
        patient.shows("No connection to this service", "#connection")
        own.start()
        patient.page.locator("#connection:empty").wait_for(state="attached")
        patient.page.locator(f"#revoke-0x{consent.hex()}").click()
        patient.shows("It took effect in block", ".said")
        patient.page.close()
    wait_for(lambda: stage.suite.market.consent(consent).revoked_at)


def test_a_service_that_lies_about_an_amount_is_found_out(
    stage: Stage, someone: Callable[..., Person]
) -> None:
    stage.earn(10)
    patient = someone(stage.patient_wallet)

    def lie(route: Any) -> None:
        answer = route.fetch()
        told = json.loads(answer.text())
        told["earned"] = str(int(told["earned"]) * 2)
        route.fulfill(response=answer, json=told)

    patient.page.route("**/earnings", lie)
    patient.open("/#earnings")
    patient.shows("do not trust this service")
    patient.page.unroute("**/earnings")


def test_a_service_that_only_says_that_it_took_a_consent_back_is_found_out(
    stage: Stage, someone: Callable[..., Person]
) -> None:
    consent = stage.consent(stage.record())
    stage.chain.node.rpc("anvil_setBalance", stage.patient.address, hex(10**18))
    patient = someone(stage.patient_wallet)
    at = {"block": 1, "time": 1, "tx": "0x" + "00" * 32}
    lie = {"consent": "0x" + consent.hex(), "at": at}
    patient.page.route("**/v1/relay/revocations", lambda route: route.fulfill(json=lie))
    patient.open("/#consents")
    patient.page.locator(f"#revoke-0x{consent.hex()}").click()
    patient.shows("knows of no such revocation", ".trouble")
    assert "took effect" not in patient.page.locator(".said").inner_text()
    patient.axe()
    patient.shot("revocation-not-there-360")
    assert not stage.suite.market.consent(consent).revoked_at
    patient.page.locator("#send-direct").click()
    patient.shows("It took effect in block", ".said")
    assert stage.suite.market.consent(consent).revoked_at


def test_a_service_that_only_says_that_it_paid_is_found_out(
    stage: Stage, someone: Callable[..., Person]
) -> None:
    stage.earn(10)
    earned = stage.suite.market.earnings(stage.patient.address).earned
    stage.chain.node.rpc("anvil_setBalance", stage.patient.address, hex(10**18))
    patient = someone(stage.patient_wallet)
    who = stage.patient.address
    lie = {"account": who, "to": who, "amount": str(earned)}
    patient.page.route("**/v1/relay/withdrawals", lambda route: route.fulfill(json=lie))
    patient.open("/#earnings")
    patient.page.locator("#withdraw").click()
    patient.shows("knows of no such withdrawal", ".trouble")
    assert stage.suite.usage.balance(who) == 0
    patient.page.locator("#send-direct").click()
    patient.shows("were paid to your wallet", ".said")
    assert stage.suite.usage.balance(who) == earned


def test_earnings_of_somebody_else_are_not_shown_as_ones_own(
    stage: Stage, someone: Callable[..., Person]
) -> None:
    stage.earn(10)
    patient, other = someone(stage.patient_wallet), stage.chain.cast["stranger"].address

    def lie(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json=json.loads(answer.text()) | {"account": other})

    patient.page.route("**/earnings", lie)
    patient.open("/#earnings")
    patient.shows("answered about another account", "main")
    assert not patient.page.locator("#withdraw, #earned, #verdict").count()
    patient.axe()
    patient.fits()
    patient.page.unroute("**/earnings")


def test_a_service_that_lies_about_a_price_sells_nothing(
    stage: Stage, someone: Callable[..., Person]
) -> None:
    consent = stage.consent(stage.record())
    stage.licensee.deposit(10_000 * DUT)
    company = someone(stage.chain.cast["pharma"])

    def lie(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json=json.loads(answer.text()) | {"price": str(50 * DUT)})

    company.page.route("**/quote?*", lie)
    company.open("/licensee")
    company.page.locator(f"#offer-0x{consent.hex()} summary").click()
    company.page.locator(f"#quote-0x{consent.hex()}").click()
    company.shows("50 DUT × 10 = 500 DUT, and 25 DUT reserve levy on top")
    company.shows("do not buy here")
    company.axe()
    assert not company.page.locator(f"#buy-0x{consent.hex()}").count()
    company.page.unroute("**/quote?*")


def test_a_fast_clock_makes_no_year_cost_two(stage: Stage, someone: Callable[..., Person]) -> None:
    consent = stage.consent(stage.record(), days=800)
    stage.licensee.deposit(10_000 * DUT)
    company = someone(stage.chain.cast["pharma"])
    company.page.add_init_script("const real = Date.now; Date.now = () => real() + 86_400_000;")
    company.open("/licensee")
    company.page.locator(f"#offer-0x{consent.hex()} summary").click()
    company.page.locator(f"#form-0x{consent.hex()}").select_option("1")
    company.page.locator(f"#days-0x{consent.hex()}").fill("365")
    company.page.locator(f"#quote-0x{consent.hex()}").click()
    company.shows("50 DUT × 1 = 50 DUT, and 2.5 DUT reserve levy on top")
    before = stage.suite.market.licensee(stage.licensee.address).deposit
    company.page.locator(f"#buy-0x{consent.hex()}").click()
    company.shows("Licensed in block", ".said")
    spent = before - stage.suite.market.licensee(stage.licensee.address).deposit
    assert spent == 525 * DUT // 10


def test_the_policy_lets_a_page_ask_nobody_else(
    stage: Stage, someone: Callable[..., Person]
) -> None:
    patient = someone(stage.patient_wallet)
    patient.open()
    blocked: dict[str, str | None] = {}
    patient.page.on("requestfailed", lambda request: blocked.update({request.url: request.failure}))
    refused = patient.page.evaluate(
        """async (elsewhere) => {
          const heard = [];
          document.addEventListener("securitypolicyviolation", (e) => heard.push(e.effectiveDirective));
          await fetch(elsewhere).catch(() => 0);
          const image = new Image(); image.src = elsewhere + "/x.png"; document.body.append(image);
          const script = document.createElement("script");
          try { script.src = elsewhere + "/x.js"; document.body.append(script); } catch {}
          try { document.body.insertAdjacentHTML("beforeend", "<b>x</b>"); heard.push("HTML"); } catch {}
          await new Promise((r) => setTimeout(r, 300));
          return heard;
        }""",
        stage.chain.node.url,
    )
    assert {"connect-src", "img-src"} <= set(refused)
    assert "HTML" not in refused
    # The browser names each that it stopped before it left.
    assert patient.outside
    assert {blocked[url] for url in patient.outside} == {"csp"}
    patient.outside.clear()
    patient.errors.clear()
