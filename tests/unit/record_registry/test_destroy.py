"""R35: a custodian puts a destruction on the chain, and nobody licenses the record from then on."""

from __future__ import annotations

from support.world import DUT, NONE, RECORD_FIELDS, World, reverts, unpack

CERTIFICATE = b"\xce" * 32


def _destroy(world: World, record: bytes, sender: str | None = None) -> None:
    world.registry.destroy(record, CERTIFICATE, sender=sender or world.people.custodian)


def test_the_flag_the_event_and_nothing_else(world: World) -> None:
    record = world.record()
    before = unpack(world.registry.facts(record), RECORD_FIELDS)
    minted = world.dct.balanceOf(world.people.patient)
    commitment = world.registry.commitment(record)
    _destroy(world, record)
    assert world.evm.events() == ["RecordDestroyed"]
    assert world.evm.event("RecordDestroyed") == {
        "record": record,
        "custodian": world.number(world.people.custodian),
        "certificate": CERTIFICATE,
    }
    assert unpack(world.registry.facts(record), RECORD_FIELDS) == before | {"destroyed": 1}
    assert world.registry.commitment(record) == commitment
    assert world.dct.balanceOf(world.people.patient) == minted
    assert not world.registry.terms(record)["live"]


def test_nobody_licenses_it_and_what_was_earned_stays_owed(world: World) -> None:
    consent = world.granted()
    ref = world.buy(consent)
    world.use(ref, 4)
    _destroy(world, consent.records)
    with reverts("licence: record is not attested"):
        world.buy(consent, salt=1)
    world.settle(ref)
    assert world.earned(world.people.patient) == 4 * 50 * DUT * 7 * 3 // 40
    assert world.registry.parties(consent.records)["custodian"] == world.people.custodian


def test_its_refusals(world: World) -> None:
    people = world.people
    record = world.record()
    with reverts("registry: unknown record"):
        _destroy(world, world.fresh())
    with reverts("registry: not the record's custodian"):
        _destroy(world, record, people.other_custodian)
    with reverts("registry: no certificate is named"):
        world.registry.destroy(record, NONE, sender=people.custodian)
    _destroy(world, record)
    with reverts("registry: the record was destroyed"):
        _destroy(world, record)


def test_a_stranger_cannot_destroy(world: World) -> None:
    people = world.people
    record = world.record()
    world.accredit(people.annotator, 6)
    for who in (
        people.stranger,
        people.patient,
        people.annotator,
        people.attester,
        people.operator,
    ):
        with reverts("institutions: the caller is not accredited for this"):
            _destroy(world, record, who)
    assert world.registry.terms(record)["live"]


def test_a_custodian_that_lost_its_accreditation_destroys_nothing(world: World) -> None:
    record = world.record()
    world.accredit(world.people.custodian, 0)
    with reverts("institutions: the caller is not accredited for this"):
        _destroy(world, record)


def test_a_destroyed_record_is_not_attested(world: World) -> None:
    record = world.register()
    _destroy(world, record)
    with reverts("registry: the record was destroyed"):
        world.attest(record)


# ---------------------------------------------------------------- supply (R13)


def test_supply_counts_what_can_be_licensed_and_each_once(world: World) -> None:
    registry = world.registry
    assert registry.supply(1) == 0
    tag = world.fresh()
    first = world.register(tag=tag)
    assert registry.supply(1) == 0
    world.attest(first)
    assert registry.supply(1) == 1
    second = world.register(tag=tag, previous=first)
    assert registry.supply(1) == 0
    world.attest(second)
    assert registry.supply(1) == 1
    _destroy(world, second)
    assert registry.supply(1) == 0


def test_supply_goes_down_once_whatever_is_done_to_a_record(world: World) -> None:
    world.record()
    superseded, destroyed, both = world.record(), world.record(), world.record()
    assert world.registry.supply(1) == 4
    world.register(previous=superseded)
    _destroy(world, superseded)
    _destroy(world, destroyed)
    _destroy(world, both)
    world.register(previous=both)
    assert world.registry.supply(1) == 1


def test_what_was_never_attested_leaves_the_supply_as_it_is(world: World) -> None:
    world.record()
    _destroy(world, world.register())
    world.register(previous=world.register())
    assert world.registry.supply(1) == 1


def test_a_correction_of_the_kind_moves_it_between_supplies(world: World) -> None:
    tag = world.fresh()
    old = world.record(tag=tag, kind=1)
    new = world.register(tag=tag, kind=4, previous=old)
    world.attest(new)
    assert (world.registry.supply(1), world.registry.supply(4)) == (0, 1)


def test_a_file_comes_back_after_its_destruction_as_a_version_that_mints_nothing(
    world: World,
) -> None:
    """Its key was destroyed, not the file: the custodian may seal it anew, and needs a new consent."""
    tag = world.fresh()
    old = world.record(tag=tag)
    consent = world.granted(old)
    _destroy(world, old)
    with reverts("registry: the record is already registered"):
        world.register(tag=tag)
    new = world.register(tag=tag, previous=old)
    assert world.attest(new) == 0
    with reverts("consent: record not covered"):
        world.buy(consent, record=new)
    assert unpack(world.registry.facts(new), RECORD_FIELDS)["destroyed"] == 0
