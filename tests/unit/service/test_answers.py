"""What the pages are told is what the contracts hold."""

from __future__ import annotations

from typing import Any

import pytest
from support.rewards import Stage
from support.service import Live, serving
from support.world import DAY, DUT, FIXED, NONE, Actor, World

from medtoken import vocabulary
from medtoken.chain.words import LicenseeWord
from medtoken.messages import DUT as ONE
from medtoken.service.answers import Answers


def test_a_record_says_what_is_stored_where_and_who_may_use_it(
    live: Live, world: World, patient: Actor
) -> None:
    waiting = world.register()
    record = world.record()
    consent = world.granted(record)
    ref = world.buy(consent, units=5)
    found = live.get(f"/v1/patients/{patient}/records")
    assert found["total"] == 2
    newest, other = found["records"]
    assert (newest["record"], newest["state"]) == ("0x" + record.hex(), "live")
    assert (other["record"], other["state"], other["scores"]) == (
        "0x" + waiting.hex(),
        "waiting",
        None,
    )
    assert newest["scores"]["dvi"] == 85
    assert newest["custodian"]["account"] == world.people.custodian
    assert newest["cid"].startswith("b")
    assert newest["consents"] == ["0x" + consent.struct_hash().hex()]
    assert newest["licences"] == ["0x" + world.licence_id(ref).hex()]
    assert newest["minted"] == str(world.dct.balanceOf(patient))
    assert live.get(f"/v1/records/{newest['record']}") == newest
    # Nobody else's.
    assert live.get(f"/v1/patients/{world.people.stranger}/records")["records"] == []


def test_a_consent_has_the_words_that_were_signed_and_both_blocks(
    live: Live, world: World, patient: Actor
) -> None:
    consent = world.granted()
    found = live.get(f"/v1/patients/{patient}/consents")["consents"][0]
    assert found["text"] == consent.render()
    assert (found["state"], found["revoked"]) == ("live", None)
    assert found["terms"]["floorPrice"] == str(50 * DUT)
    granted = found["granted"]
    world.evm.warp(60)
    world.revoke(consent)
    found = live.get(f"/v1/consents/{found['consent']}")
    assert (found["state"], found["granted"]) == ("revoked", granted)
    assert found["revoked"]["block"] > granted["block"]
    assert found["revoked"]["time"] == granted["time"] + 60
    never = world.consent(world.record())
    from medtoken.messages import Revocation

    signature = Revocation(never.struct_hash()).sign(patient.key, world.domain)
    world.market.cancel_consent(never.values(), signature, sender=world.people.relay)
    found = live.get(f"/v1/patients/{patient}/consents")
    assert found["total"] == 2
    assert (found["consents"][0]["state"], found["consents"][0]["text"]) == ("cancelled", None)
    world.granted()
    world.evm.warp(366 * DAY)
    world.record()  # a block at that time
    assert live.get(f"/v1/patients/{patient}/consents")["consents"][0]["state"] == "expired"


def test_a_use_says_who_what_for_what_was_paid_and_earned(
    live: Live, world: World, patient: Actor
) -> None:
    consent = world.granted()
    ref = world.buy(consent, units=10)
    world.use(ref, 4)
    use = live.get(f"/v1/patients/{patient}/uses")["uses"][0]
    assert use["who"] == {
        "account": world.people.licensee,
        "groups": ["pharma"],
        "region": 158,
        "certified": False,
    }
    assert (use["purposes"], use["state"], use["used"]) == (["HMB", "NCU"], "running", 4)
    assert (use["paid"], use["levy"], use["earned"]) == (str(500 * DUT), str(25 * DUT), "0")
    assert live.get(f"/v1/accounts/{patient}/earnings")["unsettled"] == str(105 * DUT)
    world.settle(ref)
    earnings = live.get(f"/v1/accounts/{patient}/earnings")
    assert earnings["earned"] == str(world.earned(patient)) == str(105 * DUT)
    assert (earnings["unsettled"], earnings["withdrawn"]) == ("0", "0")
    use = live.get(f"/v1/patients/{patient}/uses")["uses"][0]
    assert use["earned"] == str(105 * DUT)
    assert [step["event"] for step in use["steps"]] == ["bought", "used", "settled"]
    assert use["last_used"]["block"] < use["steps"][-1]["at"]["block"]
    world.rewards = world.suite["Rewards"]  # type: ignore[attr-defined]
    world.rewards.report_outcome(  # type: ignore[attr-defined]
        2, world.fresh("paper"), [ref], sender=world.people.licensee
    )
    use = live.get(f"/v1/patients/{patient}/uses")["uses"][0]
    assert [(o["kind"], o["licence"]) for o in use["outcomes"]] == [(2, use["licence"])]
    assert live.get(f"/v1/records/{use['record']}")["outcomes"] == use["outcomes"]


def test_a_term_accrues_by_the_second(live: Live, world: World, patient: Actor) -> None:
    ref = world.buy(world.granted(), form=FIXED)
    world.evm.warp(9 * DAY)
    world.record()
    told = int(live.get(f"/v1/accounts/{patient}/earnings")["unsettled"])
    world.settle(ref)
    assert told == world.earned(patient) > 0


def test_custodian_and_patient_each_see_their_part(
    live: Live, world: World, patient: Actor
) -> None:
    world.earn()
    for who in (patient, world.people.custodian, world.people.annotator, world.people.platform):
        found = live.get(f"/v1/accounts/{who}/earnings")
        assert found["earned"] == found["total"] == str(world.earned(who))
        assert sum(int(credit["amount"]) for credit in found["credits"]) == world.earned(who)
    world.withdraw(world.withdrawal(patient, 3 * DUT), patient)
    found = live.get(f"/v1/accounts/{patient}/earnings")
    assert found["earned"] == str(world.earned(patient))
    assert (found["withdrawn"], found["nonce"]) == (str(3 * DUT), 1)
    custodian = live.get(f"/v1/custodians/{world.people.custodian}")
    assert custodian["number"] == world.number(world.people.custodian)
    assert custodian["total"] == 1
    assert live.get(f"/v1/custodians/{patient}")["number"] == 0


def test_a_use_is_named_by_what_its_licensee_showed_when_it_bought(
    live: Live, world: World, patient: Actor
) -> None:
    world.buy(world.granted())
    licensee, credentials = world.people.licensee, world.people.credentials
    path = f"/v1/patients/{patient}/uses"
    before = live.get(path)["uses"][0]["who"]
    assert (before["account"], before["groups"]) == (licensee, ["pharma"])
    # What it shows later neither hides it nor names it otherwise.
    for groups in (0, vocabulary.group_mask(["insurer"])):
        world.market.set_licensee(licensee, groups, 840, 1, sender=credentials)
        assert live.get(path)["uses"][0]["who"] == before
    now = live.get(f"/v1/licensees/{licensee}")
    assert (now["who"]["groups"], now["uses"][0]["who"]) == (["insurer"], before)


def test_a_licensee_that_showed_nothing_stays_nobody_in_particular(
    live: Live, world: World, patient: Actor
) -> None:
    ref = world.buy(world.granted())
    live.get("/v1/info")
    with live.service._follower.reading() as (books, tip):
        # No licence can be bought without a group yet: said as if this one had been.
        books.shown[world.licence_id(ref)] = LicenseeWord(region=158)
        who = Answers(books, tip).use(world.licence_id(ref), patient).who
    assert (who.account, who.groups) == (None, [])


def test_a_use_does_not_tell_what_its_licence_was_salted_with(
    live: Live, world: World, patient: Actor
) -> None:
    world.buy(world.granted())
    assert "salt" not in live.get(f"/v1/patients/{patient}/uses")["uses"][0]


def test_whatever_is_read_names_its_block(live: Live, world: World, patient: Actor) -> None:
    consent = world.granted()
    world.buy(consent)
    block = live.get("/v1/info")["block"]
    record, one = "0x" + consent.records.hex(), "0x" + consent.struct_hash().hex()
    people = (
        *(
            f"patients/{patient}/{what}"
            for what in ("records", "consents", "uses", "standing", "alerts")
        ),
        f"accounts/{patient}/earnings",
        f"licensees/{world.people.licensee}",
        f"custodians/{world.people.custodian}",
        f"records/{record}",
        f"consents/{one}",
        "catalogue",
        f"quote?record={record}&consent={one}&licensee={world.people.licensee}&purposes=HMB,NCU",
    )
    for path in people:
        assert live.get(f"/v1/{path}")["block"] == block, path


def test_everybody_with_a_part_sees_what_is_not_settled_yet(
    live: Live, world: World, patient: Actor
) -> None:
    people = world.people
    parties = (patient, people.custodian, people.annotator, people.platform)
    world.use(ref := world.buy(world.granted(), units=10), 4)
    told = {who: int(live.get(f"/v1/accounts/{who}/earnings")["unsettled"]) for who in parties}
    assert live.get(f"/v1/accounts/{people.stranger}/earnings")["unsettled"] == "0"
    world.settle(ref)
    assert told == {who: world.earned(who) for who in parties}
    assert sum(told.values()) == 200 * DUT
    for who in parties:
        assert live.get(f"/v1/accounts/{who}/earnings")["unsettled"] == "0"


def test_alerts_tell_what_runs_out_was_stopped_or_ends(
    live: Live, world: World, patient: Actor
) -> None:
    consent = world.granted(expiry=world.now + 20 * DAY)
    ref = world.buy(consent, units=10, end=world.now + 10 * DAY)
    path = f"/v1/patients/{patient}/alerts"
    assert [a["kind"] for a in live.get(path)["alerts"]] == ["expiring"]
    world.use(ref, 9)
    near = live.get(path)["alerts"][0]
    assert (near["kind"], near["numbers"]) == ("near-limit", {"used": 9, "units": 10})
    world.market.set_suspended(world.licence_id(ref), True, sender=world.people.supervisor)
    assert {a["kind"] for a in live.get(path)["alerts"]} == {"near-limit", "suspended", "expiring"}
    assert live.get(f"/v1/patients/{patient}/uses")["uses"][0]["state"] == "suspended"
    world.market.set_suspended(world.licence_id(ref), False, sender=world.people.supervisor)
    assert "resumed" in {a["kind"] for a in live.get(path)["alerts"]}


def test_a_quote_is_what_the_tariff_says_and_a_purchase_then_costs(
    live: Live, world: World
) -> None:
    consent = world.granted()
    record, who = consent.records, world.people.licensee
    path = (
        f"/v1/quote?record=0x{record.hex()}&consent=0x{consent.struct_hash().hex()}"
        f"&licensee={who}&form=2&units=10&purposes=HMB,NCU"
    )
    told = live.get(path)
    assert (told["allowed"], told["reason"]) == (True, None)
    assert told["unit"] == str(world.quote(record)["price"])
    parts = sum(int(told[part]) for part in ("patient", "custodian", "annotator", "platform"))
    assert parts == int(told["price"])
    before = world.deposit_of(who)
    world.buy(consent, units=10)
    assert before - world.deposit_of(who) == int(told["price"]) + int(told["levy"])
    world.revoke(consent)
    assert live.get(path)["reason"] == "The consent was revoked."


@pytest.mark.parametrize(
    ("changes", "query", "reason"),
    [
        ({}, "&purposes=GRU,NCU", "The consent does not permit these purposes."),
        ({}, "&days=400", "The licence would outlive its consent."),
        ({"licensees": 1}, "", "The consent does not name a group that you are in."),
        ({"region": 840}, "", "The consent is for another region."),
        ({"licensees": 1 << 255 | 2}, "", "The patient sells by auction only."),
        (
            {"licensees": 1 << 255 | 2, "patientShare": 6_000, "nonce": 1},
            "",
            "A trustee manages this record: it is bought at its desk.",
        ),
        ({"tier": 1}, "", "The record is more sensitive than the consent covers."),
    ],
)
def test_a_quote_says_why_not(
    live: Live, world: World, changes: dict[str, Any], query: str, reason: str
) -> None:
    consent = world.granted(**changes)
    path = (
        f"/v1/quote?record=0x{consent.records.hex()}&consent=0x{consent.struct_hash().hex()}"
        f"&licensee={world.people.licensee}" + (query or "&purposes=HMB,NCU")
    )
    if "purposes" not in path:
        path += "&purposes=HMB,NCU"
    told = live.get(path)
    assert (told["allowed"], told["reason"]) == (False, reason)


def test_the_catalogue_has_what_can_be_licensed_best_first(live: Live, world: World) -> None:
    good, poor = world.record(dvi=90), world.record(dvi=40)
    for record in (poor, good):
        world.granted(record)
    world.record(dvi=99)  # nobody may use it
    world.granted(world.register())  # not attested
    found = live.get("/v1/catalogue")
    assert [one["record"] for one in found["found"]] == ["0x" + r.hex() for r in (good, poor)]
    assert found["found"][0]["offers"][0]["groups"] == ["research", "pharma"]
    assert live.get("/v1/catalogue?dvi=50")["total"] == 1
    assert live.get("/v1/catalogue?kind=3")["total"] == 0
    assert live.get("/v1/catalogue?group=insurer")["total"] == 0
    assert live.get("/v1/catalogue?limit=1&offset=1")["found"] == found["found"][1:]


def test_info_names_the_market_and_the_block(live: Live, world: World) -> None:
    info = live.get("/v1/info")
    assert info["contracts"]["DataMarket"] == world.market.address
    assert (info["chain_id"], info["relay"], info["trouble"]) == (31337, True, None)
    assert info["block"]["number"] == len(world.evm.times) - 1  # type: ignore[attr-defined]
    assert (info["rates"]["provider"], info["rates"]["levy"]) == (7000, 500)
    assert not serving(world, relay=False).get("/v1/info")["relay"]
    assert ONE == DUT
    assert bytes(32) == NONE


def test_a_patients_credit_is_what_rewards_hold_and_says_where_it_came_from(
    live: Live, world: World, patient: Actor
) -> None:
    stage = Stage(world)
    other = world.people.other_patient
    stage.count()
    stage.count(owner=other)
    stage.count_use(stage.used())
    stage.service(1)
    stage.service(2, points=10_000)
    stage.service(3, price=0, token=1, points=20)
    stage.service(4, price=10**30)
    voucher = stage.redeem(patient, 1)
    found = live.get(f"/v1/patients/{patient}/standing")
    assert found["points"] == stage.total(patient) == sum(one["points"] for one in found["history"])
    assert [one["source"] for one in found["history"]] == ["record", "use"]
    assert (found["month"], found["place"], found["records"]) == (found["points"], 1, 1)
    assert found["run"] == 1
    assert found["contribution"] == str(world.dct.balanceOf(patient))
    assert {one["service"]: one["open"] for one in found["services"]} == {
        1: True,
        2: False,
        3: True,
        4: False,
    }
    assert found["vouchers"] == [{"voucher": voucher, "service": 1, "served": False}]
    assert found["badges"] == []
    # Fewer points, a later place; none, no place.
    assert live.get(f"/v1/patients/{other}/standing")["place"] == 2
    nobody = live.get(f"/v1/patients/{world.people.stranger}/standing")
    assert (nobody["points"], nobody["place"], nobody["history"]) == (0, 0, [])


def test_a_badge_stays_and_points_of_a_month_and_a_run_pass(
    live: Live, world: World, patient: Actor
) -> None:
    stage = Stage(world)
    badge = stage.ambassador()
    found = live.get(f"/v1/patients/{patient}/standing")
    assert (found["month"], found["place"], found["run"]) == (0, 0, 1)
    period = badge >> 64 & 2**64 - 1
    assert found["badges"] == [
        {"badge": str(badge), "year": False, "period": period, "rank": 1, "donated": False}
    ]
    world.evm.warp(60 * DAY)
    world.register()
    assert live.get(f"/v1/patients/{patient}/standing")["run"] == 0
