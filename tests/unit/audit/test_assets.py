"""Institution assets in the auditor's books: lineages count, and every unit has an owner (R3)."""

from __future__ import annotations

import pytest
from support.assets import opened
from support.world import DUT

from medtoken.audit.rules import lineage, minimal_proxy

OTHER = "0x" + "11" * 20


def test_the_lineage_is_a_share_of_the_whole_provider_part() -> None:
    assert lineage(720 * DUT, 2_000) == 180 * DUT
    assert lineage(7, 2_000) == 1


def test_an_account_is_where_the_desk_makes_it(honest) -> None:
    world = honest.world
    asset = honest.names.first.asset
    account = minimal_proxy(world.assets.address, world.suite["AssetAccount"].address, asset)
    assert account == honest.names.first.account


def test_an_honest_asset_leaves_no_violation_and_its_money_adds_up(honest) -> None:
    assert honest.broken(honest.events) == {}
    ledger = honest.fold(honest.events)
    book, world = ledger.assets, honest.world
    gift = ledger.usage.gifts[book.desk]
    assert gift == 5
    assert book.held + gift == world.dut.balanceOf(world.assets.address) > 0
    first, second = (honest.names.first.asset, honest.names.second.asset)
    assert set(book.assets) == {first, second}
    assert len(book.assets[first].lines) == 2
    assert book.uncollected(second) > 0
    shown = book.as_dict()["assets"]["0x" + first.hex()]
    assert shown["holder"] == world.people.licensee
    assert [line["undertook_otherwise"] for line in shown["lines"].values()] == [False, False]


def test_an_asset_is_read_from_the_chain(recorded, auditing) -> None:
    maker = opened(recorded)
    maker.sell(maker.offer(), 2)
    maker.collect()
    assert all(each.holds for each in auditing(recorded).invariants)


def test_a_withdrawal_to_a_purse_is_a_gift(recorded, auditing) -> None:
    """Nobody puts the auditor wrong by having earnings paid to a contract that books others' money."""
    world = recorded
    world.earn()
    people = world.people
    for contract in (world.assets, world.treasury, world.suite["RoyaltyVault"]):
        world.market.withdraw(
            people.platform, contract.address, 5, world.now, b"", sender=people.platform
        )
    assert all(each.holds for each in auditing(world).invariants)


@pytest.mark.parametrize(
    ("event", "at", "change", "invariant"),
    [
        ("AssetCreated", 0, {"share": 2_000}, 7),
        ("AssetCreated", 0, {"account": OTHER}, 7),
        ("AssetCreated", 0, {"creator": OTHER}, 7),
        ("AssetCreated", 0, {"custodian": 1}, 7),
        ("LineageStated", 0, {"opens": 1}, 7),
        ("SourceJoined", 0, {"patientShare": 8_000}, 7),
        ("SourceJoined", 0, {"weight": 0}, 7),
        ("SourceJoined", 0, {"licence": b"\1" * 32}, 7),
        ("SourceJoined", 0, {"record": b"\1" * 32}, 7),
        ("AssetOffered", 0, {"consent": b"\1" * 32}, 7),
        ("AssetOffered", 0, {"holder": OTHER}, 7),
        ("OfferWithdrawn", 0, {"consent": b"\1" * 32}, 4),
        ("AssetEarned", 0, {"holder": OTHER}, 2),
        ("AssetEarned", 0, {"sold": 1}, 2),
        ("AssetEarned", 0, {"lineage": 0}, 2),
        ("AssetEarned", 0, {"kept": 0}, 2),
        ("AssetEarned", -1, {"inherited": 0}, 2),
        ("LineageClaimed", 0, {"patient": OTHER}, 2),
        ("LineageClaimed", 0, {"patientAmount": 1}, 2),
        ("LineageClaimed", 0, {"custodian": OTHER}, 2),
        ("AssetDesk.ParameterChanged", 2, {"current": 5_001}, 7),
        ("AssetDesk.Withdrawn", 0, {"amount": 1}, 6),
    ],
)
def test_a_lie_about_an_asset_is_found(honest, event, at, change, invariant) -> None:
    events = honest.changed(honest.find(event, at), **change)
    assert invariant in {found.invariant for found in honest.fold(events).violations}


@pytest.mark.parametrize(
    "event", ["AssetEarned", "AssetOffered", "OfferWithdrawn", "AssetCreated", "SourceJoined"]
)
def test_an_event_that_is_kept_back_is_found(honest, event) -> None:
    assert honest.caught(honest.without(honest.find(event)))


def test_a_token_that_was_sold_before_its_earnings_were_booked_is_found(honest) -> None:
    """The booking that its sale brought about is taken away."""
    moved = honest.find("InstitutionToken.Transfer", 1)
    earned = max(i for i, e in enumerate(honest.events[:moved]) if e.event == "AssetEarned")
    texts = [str(v) for v in honest.fold(honest.without(earned)).violations]
    assert texts


def test_a_refutation_by_a_line_that_counts_is_found(honest) -> None:
    good = next(iter(honest.fold(honest.events).assets.assets[honest.names.first.asset].lines))
    at = honest.find("LineageRefuted")
    texts = [str(v) for v in honest.fold(honest.changed(at, licence=good)).violations]
    assert any("a line that counts" in text for text in texts)
