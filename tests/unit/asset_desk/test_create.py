"""R3: one asset for each derived record, owned by its own account, with its lineage from the start."""

from __future__ import annotations

import pytest
from support.assets import Maker, opened
from support.world import DAY, NONE, ZERO, World, reverts

from medtoken.chain.words import AssetWord


@pytest.fixture
def maker(world: World) -> Maker:
    """A derived record with two sources, that is no asset yet."""
    maker = Maker(world, world.people.custodian)
    maker.buy(1)
    maker.buy(3)
    maker.derive()
    return maker


def test_the_custodian_makes_an_asset_of_a_derived_record(world: World, maker: Maker) -> None:
    account = maker.create()
    assert account == maker.account
    assert world.registry.parties(maker.asset)["owner"] == account
    assert world.evm.event("AssetCreated") == {
        "asset": maker.asset,
        "account": account,
        "creator": maker.institution,
        "custodian": world.number(maker.institution),
        "share": 2_000,
    }
    assert world.evm.event("LineageStated") == {
        "asset": maker.asset,
        "lineage": maker.lineage(),
        "opens": world.now + 7 * DAY,
    }
    assert world.it.ownerOf(int.from_bytes(maker.asset)) == maker.institution
    word = AssetWord.unpack(int(world.assets.asset_word(maker.asset)))
    assert word == AssetWord(str(maker.institution), world.now + 7 * DAY, 2_000)
    assert world.assets.lineage(maker.asset) == (maker.roster.root, 4)


def test_it_exists_once(world: World, maker: Maker) -> None:
    maker.create()
    with reverts("asset: it exists"):
        maker.create()


def test_only_the_records_custodian_makes_it(world: World, maker: Maker) -> None:
    people = world.people
    with reverts("asset: not the record's custodian"):
        world.assets.create(maker.asset, maker.lineage(), sender=people.other_custodian)
    for who in (people.stranger, people.patient, people.attester):
        with reverts("institutions: the caller is not accredited for this"):
            world.assets.create(maker.asset, maker.lineage(), sender=who)
    world.accredit(people.custodian, 2)
    with reverts("institutions: the caller is not accredited for this"):
        maker.create()


def test_an_unknown_record_makes_none(world: World, maker: Maker) -> None:
    with reverts("asset: not the record's custodian"):
        world.assets.create(NONE, maker.lineage(), sender=maker.institution)


def test_a_record_that_was_not_derived_is_no_asset(world: World) -> None:
    maker = Maker(world, world.people.custodian)
    maker.buy(1)
    maker.derive(kind=1)
    with reverts("asset: the record is not derived"):
        maker.create()


def test_a_record_of_somebody_elses_is_no_asset(world: World) -> None:
    maker = Maker(world, world.people.custodian)
    maker.buy(1)
    maker.derive(owner=world.people.stranger)
    with reverts("asset: the record is not owned by its account"):
        maker.create()


@pytest.mark.parametrize("field", ["root", "manifest"])
def test_a_lineage_without_root_or_list_is_refused(maker: Maker, field: str) -> None:
    with reverts("asset: no lineage is named"):
        maker.create(**{field: NONE})


@pytest.mark.parametrize(
    "change",
    [{"count": 0}, {"count": 2**32, "total": 2**40}, {"total": 1}, {"total": 2**96}],
)
def test_an_asset_comes_from_something(maker: Maker, change: dict[str, int]) -> None:
    with reverts("asset: weights out of range"):
        maker.create(**change)


def test_the_share_of_an_asset_stays_as_it_was_created(world: World) -> None:
    first = opened(world)
    world.as_timelock(world.assets, "set_share", 3_000)
    second = opened(world)
    shares = [
        AssetWord.unpack(int(world.assets.asset_word(m.asset))).share for m in (first, second)
    ]
    assert shares == [2_000, 3_000]


def test_nobody_opens_or_commands_an_account(world: World) -> None:
    maker = opened(world)
    bare = world.suite["AssetAccount"]
    account = world.evm.contract("AssetAccount", maker.account)
    for contract in (bare, account):
        with reverts("asset: the account is open"):
            contract.open(sender=world.people.stranger)
        for function, args in (
            ("grant", (maker.consent().values(),)),
            ("revoke", (NONE,)),
            ("sweep", ()),
        ):
            with reverts("asset: only the desk may do this"):
                getattr(contract, function)(*args, sender=maker.institution)


def test_the_contracts_are_named(world: World) -> None:
    deployer, zero = world.people.deployer, ZERO
    args = [deployer, world.manager.address, world.dut.address, *["0x" + "11" * 20] * 4]
    for missing in range(3, 7):
        with reverts("asset: a contract is missing"):
            world.evm.deploy(
                "AssetDesk", *args[:missing], zero, *args[missing + 1 :], sender=deployer
            )
    with reverts("asset: no market is named"):
        world.evm.deploy("AssetAccount", zero, sender=deployer)
