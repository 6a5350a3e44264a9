"""An honest history keeps all seven invariants, and the report says what happened."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from support.world import DAY, DUT, FIXED, KEY_BITS, World

from medtoken.audit import Clock, Ledger, Report, replay
from medtoken.chain.abi import abi
from medtoken.chain.node import Block
from medtoken.deploy.roles import Role
from medtoken.errors import BadInput, DeploymentError, NodeUnreachable, WrongChain


@pytest.fixture(scope="session")
def report(honest, auditing) -> Report:
    return auditing(honest.world)


def test_all_seven_hold(report) -> None:
    assert [f.id for f in report.invariants] == [1, 2, 3, 4, 5, 6, 7]
    assert {f.id: f.detail for f in report.invariants if not f.holds} == {}
    assert report.violations == ()
    assert report.holds
    assert report.summary().startswith("All seven invariants hold over ")


def test_every_event_that_changes_the_ledger_is_in_the_story(honest) -> None:
    """Otherwise the tests over "every log" would say less than they seem to."""
    missing = {
        f"{name}.{event}"
        for name in (*honest.suite.addresses, "TransparentUpgradeableProxy", "ProxyAdmin")
        for event in abi(name).event_topics.values()
    } - set(honest.fold(honest.events).counts)
    assert missing == {
        # nothing of the suite can cause these
        "ContributionToken.Approval",
        "ContributionToken.DelegateChanged",
        "ContributionToken.EIP712DomainChanged",
        "GovernanceToken.Approval",
        "GovernanceToken.DelegateChanged",
        "GovernanceToken.EIP712DomainChanged",
        "BadgeToken.Approval",
        "BadgeToken.ApprovalForAll",
        "BadgeToken.Unlocked",
        # it changes nothing that the ledger keeps
        "InstitutionToken.ApprovalForAll",
        "LicenceToken.Approval",
        "LicenceToken.ApprovalForAll",
        "LicenceToken.Unlocked",
        "MedGovernor.EIP712DomainChanged",
        "ResearchToken.Approval",
        "TimelockController.RoleAdminChanged",
        "UsageToken.EIP712DomainChanged",
    }


def test_the_books_are_what_the_contracts_say(honest, report) -> None:
    world, ledger, p = honest.world, report.as_dict()["ledger"], honest.world.people
    assert ledger["dut"]["total"] == str(world.dut.totalSupply())
    assert ledger["dut"]["balances"][p.licensee] == str(world.dut.balanceOf(p.licensee))
    assert ledger["dct"]["balances"][p.patient] == str(world.dct.balanceOf(p.patient))
    levies, burned, reserve = world.treasury.books()
    treasury = ledger["treasury"]
    assert [treasury[k] for k in ("levies", "burned", "reserve")] == [
        str(levies),
        str(burned),
        str(reserve),
    ]
    assert burned > 0
    market = ledger["market"]
    assert market["earnings"][p.patient]["earned"] == str(world.earned(p.patient))
    assert market["earnings"][p.patient]["withdrawn"] == str(5 * DUT)
    assert market["licensees"][p.licensee]["deposit"] == str(world.deposit_of(p.licensee))
    gifts = {"DataMarket": "11", "Treasury": "13", "RoyaltyVault": "17", "Rewards": "19"}
    gifts["AssetDesk"] = "5"
    assert ledger["dut"]["gifts"] == {world.suite[k].address: v for k, v in gifts.items()}
    licence = market["licences"]["0x" + world.licence_id(honest.names.metered).hex()]
    assert (licence["used"], licence["settled_units"], licence["uses"]) == (17, 17, 4)
    assert licence["closed"]
    assert licence["refund"] == str(83 * 50 * DUT)
    assert licence["refund_levy"] == str(83 * 50 * DUT // 20)


def test_the_report_is_json_with_exact_amounts(report) -> None:
    body = json.loads(json.dumps(report.as_dict()))
    assert list(body) == [
        "events",
        "from_block",
        "to_block",
        "invariants",
        "overdue_destructions",
        "proof",
        "ledger",
    ]
    assert body["events"] == report.events > 300
    assert all(set(i) == {"id", "holds", "detail"} for i in body["invariants"])

    def leaves(value: object) -> list[object]:
        if isinstance(value, dict):
            return [x for v in value.values() for x in leaves(v)]
        return [x for v in value for x in leaves(v)] if isinstance(value, list) else [value]

    # No number that a reader of JSON could round: amounts are text.
    assert all(abs(v) < 2**53 for v in leaves(body) if isinstance(v, int))
    records = body["ledger"]["registry"]["records"]
    assert records
    assert all(re.fullmatch(r"0x[0-9a-f]{64}", key) for key in records)


def test_a_consent_and_a_licence_tell_their_terms(honest, report) -> None:
    market = report.as_dict()["ledger"]["market"]
    consent = market["consents"]["0x" + honest.names.metered["consent"].hex()]
    assert consent["purposes"] == ["HMB", "NCU"]
    assert consent["licensees"] == ["research", "pharma"]
    assert consent["revoked_at"] > 0
    assert not consent["cancelled"]
    assert [c["cancelled"] for c in market["consents"].values()].count(True) == 1
    fixed = market["licences"]["0x" + honest.world.licence_id(honest.names.fixed).hex()]
    assert fixed["form"] == "fixed term"
    assert fixed["settled_until"] == consent["revoked_at"]


def test_roles_and_upgrades_are_told(honest, report) -> None:
    ledger, w = report.as_dict()["ledger"], honest.world
    assert ledger["roles"]["0"]["members"] == [w.timelock.address]
    assert ledger["roles"]["4"]["label"] == "SANCTIONS"
    assert len(ledger["proxies"]["Treasury"]["upgrades"]) == 2
    assert len(ledger["proxies"]["DataMarket"]["upgrades"]) == 1
    operations = ledger["timelock"]["operations"].values()
    assert sum(o["cancelled"] for o in operations) == 1
    assert sum(not o["done"] and not o["cancelled"] for o in operations) == 1


def test_times_of_blocks_are_asked_only_where_a_rule_needs_them(recorded, history) -> None:
    """Metered uses and settlements that are long before the end of a licence ask for none."""
    consent = recorded.granted()
    ref = recorded.buy(consent, units=30, end=recorded.now + DAY)
    before = len(recorded.evm.times)
    for _ in range(10):
        recorded.use(ref)
        recorded.settle(ref)
    fixed = recorded.buy(consent, form=FIXED, salt=9 << KEY_BITS, end=recorded.now + DAY)
    bought = len(recorded.evm.times) - 1
    recorded.evm.warp(3600)
    recorded.settle(fixed)
    settled = len(recorded.evm.times) - 1
    made = history(recorded)
    asked: list[int] = []

    def ask(number: int) -> int:
        asked.append(number)
        return recorded.evm.times[number]

    clock = Clock(ask)
    clock.learn(settled, recorded.now)
    ledger = Ledger(made.suite, clock).fold(made.events)
    assert ledger.violations == []
    assert [block for block in asked if block >= before] == [bought]


def test_an_event_in_several_licences_of_one_settlement_makes_one_levy(
    recorded: World, auditing: Callable[[World], Report]
) -> None:
    consent = recorded.granted()
    refs = [recorded.buy(consent, units=3, salt=n << KEY_BITS) for n in (1, 2, 3)]
    for ref in refs:
        recorded.use(ref)
    recorded.settle(*refs)
    assert auditing(recorded).holds


def test_a_fixed_term_that_earns_less_than_a_grain_stays_in_step(
    recorded: World, auditing: Callable[[World], Report]
) -> None:
    """A settlement that pays nothing tells nothing, so it must change nothing either."""
    recorded.as_timelock(recorded.tariff, "set_reference", 1, 85 * 10**9)
    consent = recorded.granted(floorPrice=0)
    term = recorded.buy(consent, form=FIXED)
    recorded.evm.warp(1000)
    recorded.settle(term)
    assert auditing(recorded).violations == ()


def test_another_chain_is_refused(honest) -> None:
    with pytest.raises(WrongChain, match="chain 1, but the node is on chain 31337"):
        replay(honest.chain, replace(honest.record, chain_id=1))


def test_a_record_without_a_contract_is_refused(honest) -> None:
    contracts = {k: v for k, v in honest.record.contracts.items() if k != "Treasury"}
    with pytest.raises(DeploymentError, match="no contract Treasury"):
        replay(honest.chain, replace(honest.record, contracts=contracts))


@pytest.mark.parametrize("last", [-1, 10_000])
def test_an_end_off_the_chain_is_refused(honest, last: int) -> None:
    class Lenient(type(honest.chain)):  # type: ignore[misc]
        def _block(self, number: int):
            return Block(number, b"", 0)

    with pytest.raises(BadInput, match="the chain ends at"):
        replay(Lenient(honest.world.evm), honest.record, last)


@pytest.mark.parametrize("changes", [1, 2, 3])
def test_a_chain_that_changes_meanwhile_is_audited_again(honest, changes: int) -> None:
    class Restless(type(honest.chain)):  # type: ignore[misc]
        """A reorganisation takes the newest block away, each of the first times it is audited."""

        audits = 0

        def logs(self, *args: object):
            self.audits += 1
            return super().logs(*args)

        def block(self, number: int) -> Block:
            found = super().block(number)
            return replace(found, hash=b"another") if self.audits <= changes else found

    chain = Restless(honest.world.evm)
    if changes < 3:
        assert replay(chain, honest.record).holds
        assert chain.audits == changes + 1
    else:
        with pytest.raises(NodeUnreachable, match="changed while it was audited"):
            replay(chain, honest.record)


def test_an_end_before_the_last_contract_is_refused(honest) -> None:
    record = honest.record
    market = replace(record.contracts["DataMarket"], block=10)
    record = replace(record, contracts=record.contracts | {"DataMarket": market})
    with pytest.raises(BadInput, match="the contracts stand since block 10"):
        replay(honest.chain, record, 9)


def test_scarcity_set_through_the_manager_or_by_another_role(
    recorded: World, auditing: Callable[[World], Report]
) -> None:
    """What governance set is no move, by whatever way it came."""
    w, t = recorded, recorded.tariff
    data = t.abi.call("set_scarcity", 1, 30_000)
    w.as_timelock(w.manager, "execute", t.address, data)
    t.move_scarcity(1, sender=w.people.stranger)
    assert auditing(w).violations == ()
    to = (t.address, [abi("Tariff").selector("set_scarcity")], int(Role.GUARDIAN))
    w.as_timelock(w.manager, "setTargetFunctionRole", *to)
    t.set_scarcity(1, 7_777, sender=w.people.guardian)
    t.set_scarcity(2, 8_888, sender=w.people.guardian)
    assert auditing(w).violations == ()
    assert auditing(w).holds


def test_a_desk_with_a_delay_goes_through_the_manager(
    recorded: World, auditing: Callable[[World], Report]
) -> None:
    w, p = recorded, recorded.people
    w.as_timelock(w.manager, "grantRole", int(Role.DESK), p.stranger, 60)
    data = w.market.abi.call("charge", p.licensee, DUT)
    w.manager.schedule(w.market.address, data, 0, sender=p.stranger)
    w.evm.warp(60)
    w.manager.execute(w.market.address, data, sender=p.stranger)
    assert w.deposit_of(w.manager.address) == DUT
    assert auditing(w).holds


def test_a_desk_that_buys_for_itself_pays_what_it_says(
    recorded: World, auditing: Callable[[World], Report]
) -> None:
    """Desk and licensee in one: at the tariff's price, or at its own above the floor."""
    w, p = recorded, recorded.people
    w.as_timelock(w.manager, "grantRole", int(Role.DESK), p.licensee, 0)
    consent = w.granted(floorPrice=40 * DUT)
    w.buy(consent)
    order = w.order(consent, salt=1 << KEY_BITS)
    w.market.issue_licence(p.licensee, order, consent.values(), [], 41 * DUT, sender=p.licensee)
    assert auditing(w).holds


def test_licences_tell_their_form_payer_and_vouchers(honest, report) -> None:
    ledger, n = report.as_dict()["ledger"], honest.names
    licences, p = ledger["market"]["licences"], honest.world.people

    def told(ref: dict[str, object]) -> dict[str, object]:
        return licences["0x" + honest.world.licence_id(ref).hex()]

    kept, rental, sold = told(n.kept), told(n.rental), told(n.sold)
    assert (kept["form"], kept["signer"], kept["payer"]) == ("metered", p.meter, p.licensee)
    assert (kept["units"], kept["used"], kept["vouchers"], kept["uses"]) == (70, 66, 4, 1)
    assert (kept["paid"], kept["refund"]) == (str(70 * 50 * DUT), str(4 * 50 * DUT))
    assert (rental["form"], rental["signer"]) == ("rental", None)
    assert (sold["payer"], sold["licensee"]) == (n.desk, p.other_licensee)
    assert sold["paid"] == str(5 * 61 * DUT)
    assert set(ledger["licence_tokens"].values()) == {str(p.licensee)}


def test_royalties_and_options_are_told(honest, report) -> None:
    """R19, R20: what the books say is what the vault's own views say."""
    ledger, n, p = report.as_dict()["ledger"]["royalties"], honest.names, honest.world.people
    study = ledger["studies"]["0x" + n.study.id.hex()]
    books, shares = n.study.books, n.study.shares
    # three royalties less what was waived, and one option that vested
    pot = 1000 * DUT + 10**16 + 10**9 + 77 * 10**16 - 10**9 + 1000 * DUT + 10**9
    assert (books.pot, books.due) == (pot, 0)
    assert (study["pot"], study["claimed"]) == (str(pot), str(shares.claimed))
    assert (study["lines"], study["joined"], study["total_weight"]) == (3, 3, "3101")
    assert "0x" + n.wrong_study.id.hex() not in ledger["studies"]
    states = sorted(option["state"] for option in ledger["options"].values())
    assert states == ["granted", "returned", "vested", "vested"]
    assert ledger["escrow"] == str((1000 * DUT + 10**9) * 105 // 100)
    assert ledger["balances"][p.patient] == str(n.stage.credited(p.patient))
    assert (ledger["rate"], ledger["levy"], ledger["paused"]) == (150, 400, False)


def test_the_tariff_is_told(honest, report) -> None:
    tariff, w = report.as_dict()["ledger"]["tariff"], honest.world
    assert tariff["market"] == w.market.address
    assert tariff["kinds"]["1"]["reference"] == str(60 * DUT)
    assert tariff["kinds"]["2"] == {
        "reference": str(10 * DUT),
        "scarcity": 20_000,
        "moved_in_week": w.evm.times[honest.events[honest.find("FactorChanged", -1)].block]
        // (7 * DAY),
        "supply": 2,
    }
    assert (tariff["factors"]["commercial"], tariff["factors"]["rental"]) == (30_000, 4_000)
    assert tariff["emergencies"] == {}
    for key, amount in tariff["demand"].items():
        kind, week = map(int, key.split("/"))
        assert amount == str(w.market.demand(kind, week))
    records = report.as_dict()["ledger"]["registry"]["records"]
    attested = honest.world.licence_id(honest.names.ruined)
    assert list(report.ledger.destructions.statements) == [attested]
    assert report.ledger.destructions.overdue(0) == []
    over = report.ledger.destructions.overdue(2**40)
    assert over == sorted(set(report.ledger.market.licences) - {attested})
    destroyed = records["0x" + honest.names.destroyed.hex()]
    assert destroyed["destroyed"]
    assert [copy["size"] for copy in destroyed["copies"]] == [700, 800]
    assert [copy["licence"] for copy in destroyed["copies"]] == [
        None,
        "0x" + honest.world.licence_id(honest.names.ruined).hex(),
    ]
