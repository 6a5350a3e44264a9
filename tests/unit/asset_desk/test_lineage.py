"""R3: a source counts while its licence was the creator's and its consent allowed it; zero denies."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.assets import ROOM, Maker, Source, opened
from support.world import DAY, NONE, World, reverts

from medtoken import vocabulary
from medtoken.lineage import FORBIDDING, may_derive

FORBIDS = ("NMDS", "NPUNCU", "NPU", "NCU")


def made(world: World, *strange: Source) -> Maker:
    """An asset that can still be refuted: one sound source, and others."""
    maker = Maker(world, world.people.custodian)
    maker.buy(5)
    for source in strange:
        maker.add(source, 1)
    maker.derive()
    maker.create()
    return maker


def refute(maker: Maker, source: Source) -> None:
    world = maker.world
    line = maker.line(maker.place(source))
    world.assets.refute(maker.asset, line, source.values(), sender=world.people.stranger)


def taken_back(maker: Maker) -> bool:
    return bool(maker.world.assets.lineage(maker.asset) == (NONE, 0))


def strangers(world: World) -> Source:
    """A licence that another licensee bought."""
    consent = world.granted(world.record(), purposes=ROOM)
    return Source(world.buy(consent), consent)


def invented(world: World) -> Source:
    """A licence that nobody bought."""
    consent = world.granted(world.record(), purposes=ROOM)
    ref = {
        "consent": consent.struct_hash(),
        "record": consent.records,
        "licensee": str(world.people.custodian),
        "salt": 0,
    }
    return Source(ref, consent)


def bound(world: World, *codes: str) -> Source:
    """The creator's licence under a consent with modifiers."""
    maker = Maker(world, world.people.custodian)
    purposes = vocabulary.duo_mask(["HMB", *codes])
    consent = world.granted(world.record(sender=world.people.other_custodian), purposes=purposes)
    ref = world.buy(consent, sender=maker.institution, purposes=purposes)
    return Source(ref, consent)


@pytest.mark.parametrize("source", [strangers, invented, lambda w: bound(w, "NCU")])
def test_anybody_takes_back_a_lineage_with_a_line_that_does_not_count(world: World, source) -> None:
    bad = source(world)
    maker = made(world, bad)
    refute(maker, bad)
    assert world.evm.event("LineageRefuted") == {
        "asset": maker.asset,
        "licence": world.licence_id(bad.ref),
        "index": maker.place(bad),
    }
    assert taken_back(maker)


@pytest.mark.parametrize("code", FORBIDS)
def test_consents_that_forbid_to_derive_or_to_sell(world: World, code: str) -> None:
    assert not may_derive(vocabulary.duo_mask(["HMB", code]))
    bad = bound(world, code)
    maker = made(world, bad)
    refute(maker, bad)
    assert taken_back(maker)


def test_other_modifiers_do_not_forbid_it(world: World) -> None:
    others = [code for code in vocabulary.DUO_MODIFIERS if code not in FORBIDS]
    assert vocabulary.duo_mask(FORBIDS) == FORBIDDING
    assert may_derive(vocabulary.duo_mask(["GRU", *others]))
    good = bound(world, *others)
    maker = made(world, good)
    with reverts("asset: the line counts"):
        refute(maker, good)


def test_the_asset_is_no_source_of_itself(world: World) -> None:
    """A creator knows the ids of the licences that it will buy on its own asset, but they do not count."""
    maker = Maker(world, world.people.custodian)
    maker.buy(5)
    maker.derive()
    consent = maker.consent(deadline=world.now + 30 * DAY)
    ref = {
        "consent": consent.struct_hash(),
        "record": maker.asset,
        "licensee": str(maker.institution),
        "salt": 0,
    }
    own = maker.add(Source(ref, consent), 1)
    maker.create()
    world.evm.warp(7 * DAY)
    world.assets.offer(maker.asset, consent.values(), sender=maker.institution)
    world.buy(consent, sender=maker.institution)
    with reverts("asset: the line does not count"):
        maker.join(maker.place(own))


def test_a_sound_line_is_not_refuted(world: World) -> None:
    maker = made(world)
    with reverts("asset: the line counts"):
        refute(maker, maker.sources[0])


def test_a_refutation_is_about_a_line_of_the_roster_and_its_own_source(world: World) -> None:
    maker, bad = made(world), invented(world)
    line = maker.line(0) | {"licence": world.licence_id(bad.ref)}
    with reverts("asset: not in the lineage"):
        world.assets.refute(maker.asset, line, bad.values(), sender=world.people.stranger)
    with reverts("asset: not the line's source"):
        world.assets.refute(maker.asset, maker.line(0), bad.values(), sender=world.people.stranger)
    good = maker.sources[0]
    lie = Source(good.ref, replace(good.consent, purposes=FORBIDDING))
    with reverts("asset: not the line's source"):
        world.assets.refute(maker.asset, maker.line(0), lie.values(), sender=world.people.stranger)


def test_an_open_lineage_is_final(world: World) -> None:
    bad = invented(world)
    maker = made(world, bad)
    world.evm.warp(7 * DAY)
    with reverts("asset: its lineage is not to be taken back"):
        refute(maker, bad)
    with reverts("asset: its lineage is not to be taken back"):
        world.assets.cancel(maker.asset, b"\1" * 32, sender=world.people.council)


def test_a_line_that_slipped_through_is_never_paid(world: World) -> None:
    bad = bound(world, "NCU")
    maker = made(world, bad)
    world.evm.warp(7 * DAY)
    with reverts("asset: the line does not count"):
        maker.join()
    maker.join(maker.place(maker.sources[0]))
    with reverts("asset: the line has not joined"):
        maker.claim(bad)


def test_the_council_cancels_and_the_custodian_states_it_anew(world: World) -> None:
    maker = made(world)
    with reverts("access: caller may not do this"):
        world.assets.cancel(maker.asset, b"\1" * 32, sender=maker.institution)
    with reverts("asset: its lineage stands"):
        world.assets.restate(maker.asset, maker.lineage(), sender=maker.institution)
    world.assets.cancel(maker.asset, b"\1" * 32, sender=world.people.council)
    assert world.evm.event("LineageCancelled") == {"asset": maker.asset, "reason": b"\1" * 32}
    assert taken_back(maker)
    with reverts("asset: its lineage is not to be taken back"):
        world.assets.cancel(maker.asset, b"\1" * 32, sender=world.people.council)
    world.evm.warp(30 * DAY)
    with reverts("asset: its lineage is not open yet"):
        maker.offer()
    maker.buy(2)
    for who in (world.people.stranger, world.people.other_custodian):
        sentence = (
            "institutions: the caller is not accredited for this"
            if who == world.people.stranger
            else "asset: not the record's custodian"
        )
        with reverts(sentence):
            world.assets.restate(maker.asset, maker.lineage(), sender=who)
    world.assets.restate(maker.asset, maker.lineage(), sender=maker.institution)
    assert world.evm.event("LineageStated")["opens"] == world.now + 7 * DAY
    assert world.assets.lineage(maker.asset) == (maker.roster.root, 7)
    with reverts("asset: its lineage is not open yet"):
        maker.join()
    world.evm.warp(7 * DAY)
    maker.join()


def test_joining_tells_who_is_paid(world: World) -> None:
    maker = opened(world)
    maker.join(0)
    line = maker.roster.line(0)
    source = next(s for s in maker.sources if world.licence_id(s.ref) == line.licence)
    assert world.evm.event("SourceJoined") == {
        "asset": maker.asset,
        "licence": line.licence,
        "record": source.ref["record"],
        "index": 0,
        "weight": line.weight,
        "patientShare": 7_500,
    }
    # Once more is no harm, and tells nothing.
    maker.join(0)
    assert world.evm.events() == []


def test_every_line_needs_its_own_source(world: World) -> None:
    maker = opened(world)
    lines = [maker.line(0)]
    with reverts("asset: a source is missing"):
        world.assets.join(maker.asset, lines, [], sender=maker.institution)
    with reverts("asset: weights out of range"):
        world.assets.join(
            maker.asset,
            [lines[0] | {"weight": 0}],
            [maker.sources[0].values()],
            sender=maker.institution,
        )


def test_an_unknown_asset_has_no_lineage(world: World) -> None:
    maker = opened(world)
    source, line = maker.sources[0].values(), maker.line(0)
    for function, args, sender in (
        ("refute", (NONE, line, source), maker.institution),
        ("cancel", (NONE, NONE), world.people.council),
        ("restate", (world.record(), maker.lineage()), maker.institution),
        ("join", (NONE, [line], [source]), maker.institution),
        ("claim", (NONE, []), maker.institution),
        ("collect", (NONE,), maker.institution),
        ("offer", (NONE, maker.consent().values()), maker.institution),
        ("withdraw_offer", (NONE, NONE), maker.institution),
    ):
        with reverts("asset: unknown asset"):
            getattr(world.assets, function)(*args, sender=sender)
