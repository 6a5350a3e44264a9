"""R18, R19: who contributed with which weight follows from the chain's events, for everybody alike."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.royalties import Stage
from support.world import DUT, FIXED, METERED, NONE, TAIWAN, Actor, World

from medtoken.chain.abi import Log
from medtoken.chain.contracts import study_id
from medtoken.errors import BadInput
from medtoken.royalty import (
    UNIT,
    Manifest,
    Pool,
    Roster,
    Rule,
    Scope,
    check,
    contributions,
    weights,
)

SCOPE = Scope("0xLicensee", 10, 20)
DCT = 10**18


class Story:
    """Events of a small world, by hand."""

    def __init__(self) -> None:
        self.logs: list[tuple[int, Log]] = []

    def tell(self, block: int, event: str, **args: Any) -> Story:
        self.logs.append((block, Log("any", event, args)))
        return self

    def record(
        self, name: str, owner: str = "0xA", minted: int = DCT, quality: int = 90, **draft: Any
    ) -> Story:
        fields = {"region": 158, "previous": NONE} | draft
        self.tell(1, "RecordRegistered", record=name.encode(), owner=owner, draft=fields)
        return self.tell(2, "RecordAttested", record=name.encode(), quality=quality, minted=minted)

    def licensee(self, region: int = 158, who: str = "0xLicensee") -> Story:
        return self.tell(3, "LicenseeChanged", account=who, region=region)

    def licence(
        self, record: str, uses: int, form: int = METERED, who: str = "0xLicensee", block: int = 10
    ) -> Story:
        name = f"{record} {len(self.logs)}".encode()
        self.tell(
            block,
            "LicenceBought",
            licence=name,
            licensee=who,
            record=record.encode(),
            form=form,
        )
        if uses:
            self.tell(block, "LicenceUsed", licence=name, units=uses)
        return self

    def weights(self, scope: Scope = SCOPE, rule: Rule | None = None) -> dict[str, int]:
        return weights(contributions(self.logs, scope), rule)


def test_weight_is_the_dct_that_was_earned_in_the_study() -> None:
    story = Story().licensee().record("x", "0xA").record("y", "0xA", 3 * DCT)
    story.record("z", "0xB", 5 * DCT).record("unused", "0xB")
    for name in "xyz":
        story.licence(name, 1)
    assert story.weights() == {"0xA": 4 * DCT // UNIT, "0xB": 5 * DCT // UNIT}


@pytest.mark.parametrize(
    ("quality", "uses", "factor"),
    [(80, 10, 120), (79, 10, 100), (80, 9, 100), (100, 1000, 120), (0, 0, 100)],
)
def test_high_quality_and_often_used_together_weigh_a_fifth_more(
    quality: int, uses: int, factor: int
) -> None:
    story = Story().licensee().record("x", quality=quality).licence("x", uses, FIXED)
    assert story.weights() == {"0xA": DCT // UNIT * factor // 100}


def test_uses_of_several_licences_and_vouchers_add_up() -> None:
    story = Story().licensee().record("x").licence("x", 4).licence("x", 5)
    assert story.weights() == {"0xA": DCT // UNIT}
    story.tell(12, "VoucherRedeemed", licence=b"x 3", units=1)
    assert story.weights() == {"0xA": DCT // UNIT * 12 // 10}


def test_use_from_other_regions_only_weighs_less() -> None:
    story = Story().licensee(region=36).record("x").licence("x", 1)
    assert story.weights() == {"0xA": DCT // UNIT * 8 // 10}
    story.licensee(region=158).licence("x", 1)
    assert story.weights() == {"0xA": DCT // UNIT}


def test_both_factors_together() -> None:
    story = Story().licensee(region=36).record("x").licence("x", 10)
    assert story.weights() == {"0xA": DCT // UNIT * 96 // 100}


@given(st.integers(0, 10**9), st.integers(0, 100), st.integers(0, 100), st.booleans())
def test_nothing_is_rounded(grains: int, quality: int, uses: int, cross: bool) -> None:
    """R1 mints multiples of 10^12 base units; R18's factors have one decimal each."""
    minted = grains * 10**12
    weight = Rule().weigh(minted, quality, uses, cross=cross)
    factor = (12 if quality >= 80 and uses >= 10 else 10) * (8 if cross else 10)
    assert weight * UNIT * 100 == minted * factor


def test_what_was_not_used_does_not_count_but_a_term_that_was_bought_does() -> None:
    story = Story().licensee().record("x").licence("x", 0, METERED)
    assert story.weights() == {}
    story.licence("x", 0, FIXED)
    assert story.weights() == {"0xA": DCT // UNIT}


def test_only_the_studys_own_licences_count() -> None:
    story = Story().licensee().record("x")
    story.licence("x", 1, who="0xOther").licence("x", 1, block=9).licence("x", 1, block=21)
    assert story.weights() == {}
    story.licence("x", 1, block=20)
    assert story.weights() == {"0xA": DCT // UNIT}
    assert story.weights(Scope("0xLICENSEE", 10, 20, frozenset([b"x 99"]))) == {}


def test_what_came_after_the_sealing_does_not_count() -> None:
    story = Story().licensee().record("x").licence("x", 1)
    story.tell(21, "LicenceUsed", licence=b"x 3", units=100)
    story.tell(21, "RecordAttested", record=b"x", quality=100, minted=100 * DCT)
    assert story.weights() == {"0xA": DCT // UNIT}


def test_a_correction_is_the_record_that_it_corrects() -> None:
    story = Story().licensee().record("x")
    story.record("y", minted=0, previous=b"x").record("z", minted=0, previous=b"y")
    story.licence("x", 1).licence("z", 1)
    assert story.weights() == {"0xA": DCT // UNIT}


def test_a_recovered_wallet_takes_its_contributions_along() -> None:
    story = Story().licensee().record("x", "0xA").record("y", "0xB")
    story.licence("x", 1).licence("y", 1)
    story.tell(15, "Recovered", previous="0xA", current="0xC")
    story.tell(16, "Recovered", previous="0xC", current="0xB")
    assert story.weights() == {"0xB": 2 * DCT // UNIT}
    # A circle ends.
    story.tell(17, "Recovered", previous="0xB", current="0xA")
    assert sum(story.weights().values()) == 2 * DCT // UNIT


def test_logs_that_begin_too_late_are_noticed() -> None:
    story = Story().licensee().licence("x", 1)
    with pytest.raises(BadInput, match="No registration of record"):
        story.weights()


def test_a_scope_is_well_formed() -> None:
    for first, last in ((2, 1), (-1, 1)):
        with pytest.raises(BadInput, match="first block"):
            Scope("0xA", first, last)
    with pytest.raises(BadInput, match="at least one licence"):
        Scope("0xA", 1, 2, frozenset())


# ---------------------------------------------------------------- from a chain, and against what was sealed


def played(stage: Stage, world: World) -> tuple[list[tuple[int, Log]], Scope]:
    """Three patients whose records the licensee uses, and the logs of it."""
    logs: list[tuple[int, Log]] = []
    before = world.evm.transact

    def transact(*args: Any) -> bytes:
        out = before(*args)
        logs.extend((world.evm.block, log) for log in world.evm.logs)
        return out

    world.evm.transact = transact  # type: ignore[method-assign]
    try:
        world.license(world.people.licensee)
        for i, uses in enumerate((1, 10, 20)):
            patient = Actor(f"contributor {i}")
            record = world.register(owner=patient, region=TAIWAN)
            world.attest(record, completeness=90, annotation=60 + 20 * (i != 1))
            consent = world.consent(record, patient=str(patient))
            world.grant(consent, patient)
            world.use(world.buy(consent, units=100), uses)
    finally:
        del world.evm.transact
    return logs, Scope(str(world.people.licensee), 0, world.evm.block)


def test_a_roster_from_the_chain_is_sealed_checked_and_paid(world: World) -> None:
    stage = Stage(world)
    logs, scope = played(stage, world)
    found = weights(contributions(logs, scope))
    minted = {Actor(f"contributor {i}"): q for i, q in enumerate((440, 400, 440))}
    for i, (who, dct) in enumerate(minted.items()):
        assert world.dct.balanceOf(who) == dct * DCT
        assert found[who] == dct * DCT // UNIT * (12 if i == 2 else 10) // 10

    payer = stage.people.licensee
    manifest = Manifest(study_id(payer, 1), scope, Rule())
    roster = Roster(manifest.study, found)
    digest = manifest.cid().digest
    sealing = (payer, 1, roster.root, roster.total, len(roster), digest)
    stage.vault.seal(*sealing, sender=stage.people.custodian)
    sealed = world.evm.event("StudySealed")
    assert check(sealed, manifest, found) == []
    world.evm.warp(7 * 86_400)
    stage.vault.undertake(1, roster.root, sender=payer)
    stage.vault.attest_sales(
        manifest.study, 1, 1000 * DUT, b"\1" * 32, sender=stage.people.products
    )
    stage.vault.pay(payer, 1, 10 * DUT, sender=stage.people.relay)
    pool = Pool(found)
    pool.bring(10 * DUT)
    for who in minted:
        index = roster.index(who)
        assert index is not None
        m = roster.member(index)
        args = (m.index, m.account, m.weight, m.proof)
        got = stage.vault.join(manifest.study, *args, sender=stage.people.relay)
        assert got == pool.claim(who) > 0
    assert 0 <= pool.left < 3


def test_every_way_in_which_a_roster_is_wrong_is_named(world: World) -> None:
    stage = Stage(world)
    logs, scope = played(stage, world)
    found = weights(contributions(logs, scope))
    manifest = Manifest(study_id(stage.people.licensee, 1), scope, Rule())
    roster = Roster(manifest.study, found)
    right = {
        "study": manifest.study,
        "payer": str(stage.people.licensee),
        "root": roster.root,
        "total": roster.total,
        "count": 3,
        "manifest": manifest.cid().digest,
    }
    assert check(right, manifest, found) == []
    for field, value, sentence in (
        ("manifest", NONE, "The manifest is not the one that was sealed."),
        ("payer", str(stage.people.stranger), "The manifest's licensee is not the study's payer."),
        ("count", 4, "The roster should have 3 lines, not 4."),
        ("total", 7, f"The weights make {roster.total:,}, not 7."),
        ("root", NONE, "The lines are others than those that follow from the chain's events."),
    ):
        assert check(right | {field: value}, manifest, found) == [sentence]
    assert "The manifest is another study's." in check(right | {"study": NONE}, manifest, found)
    other = Manifest(manifest.study, scope, Rule(quality=1))
    assert "The manifest goes by another rule than the published one." in check(
        right | {"manifest": other.cid().digest}, other, found
    )
    assert check(right, manifest, {}) == ["Nobody contributed to this study."]
    # Weights that do not follow DCT make another root, and mostly another total.
    wrong = dict(found) | {str(stage.people.stranger): 1}
    assert len(check(right, manifest, wrong)) == 3


def test_a_manifest_is_read_as_it_was_written() -> None:
    for named in (None, frozenset([b"\1" * 32, b"\2" * 32])):
        scope = Scope("0xabc", 1, 2, named)
        made = Manifest(b"\3" * 32, scope, Rule())
        assert Manifest.decode(made.encode()) == made
    for data in (
        b"",
        b"{}",
        b"[]",
        made.encode() + b" ",
        made.encode().replace(b'"0x03', b'"0xzz'),
    ):
        with pytest.raises(BadInput, match="no roster's manifest"):
            Manifest.decode(data)


def test_a_pool_divides_as_the_contract_does() -> None:
    pool = Pool({"a": 1, "b": 2})
    pool.bring(10)
    assert (pool.claimable("a"), pool.claimable("nobody")) == (3, 0)
    assert (pool.claim("a"), pool.claim("a"), pool.left) == (3, 0, 7)
    pool.bring(2)
    assert (pool.claim("b"), pool.claim("a"), pool.left) == (8, 1, 0)
