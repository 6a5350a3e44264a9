"""R5 through the public Python API on a real chain: witness, commit, challenge, answer."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from support.stage import Stage

from medtoken.audit import replay
from medtoken.chain.contracts import Answer
from medtoken.errors import BadInput, ContractRefused, NotPermitted, StateError, StoreError
from medtoken.formats import Format
from medtoken.holding import plain_size
from medtoken.parties import Storer, witness_storage


def _storer(stage: Stage) -> Storer:
    return Storer(stage.suite, stage.chain.cast["hospital"], stage.home)


def _witness(stage: Stage, *records: bytes) -> None:
    for record in records:
        laboratory = stage.chain.cast["laboratory"]
        _storer(stage).keep(witness_storage(stage.suite, laboratory, record, stage.home.store))


def _challenged(stage: Stage) -> int:
    """Challenge the hospital after a month; its number."""
    number = stage.suite.registry.number_of(stage.chain.cast["hospital"].address)
    stage.later(30)
    stage.suite.storage.challenge(stage.chain.cast["relay"], number)
    stage.chain.mine()
    return number


def test_a_hospital_earns_for_what_it_stores(stage: Stage) -> None:
    suite, hospital = stage.suite, stage.chain.cast["hospital"]
    records = [stage.record(), stage.record(Format.DICOM), stage.record(Format.CGM)]
    _witness(stage, *records)
    holding = _storer(stage).commit()
    least = suite.storage.rules().threshold
    counted = [r for r in records if suite.registry.facts(r).dvi >= least]
    assert sorted(line.record for line in holding.lines) == sorted(counted)
    assert holding.size == sum(plain_size(suite.registry.draft(r).size) for r in counted)
    _challenged(stage)
    proof = _storer(stage).answer()
    assert (proof.answered, proof.samples) == (44, 44)
    assert proof.minted == holding.size * 10**8
    assert suite.governance.balance(hospital.address) == proof.minted
    assert replay(suite.node, suite.deployment).holds


def test_an_answer_is_taken_up_where_it_stopped(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    _witness(stage, stage.record(Format.CGM))
    _storer(stage).commit()
    number = _challenged(stage)
    storage, sent = stage.suite.storage, []
    plain = storage.answer

    def killed(wallet, custodian: int, answers: Sequence[Answer], key=None):
        if sent:
            raise KeyboardInterrupt
        sent.append(len(answers))
        return plain(wallet, custodian, list(answers), key=key)

    with monkeypatch.context() as patch:
        patch.setattr(storage, "answer", killed)
        with pytest.raises(KeyboardInterrupt):
            _storer(stage).answer()
    assert storage.holding(number).answered == 16
    proof = _storer(stage).answer()
    assert proof.answered == 28
    assert proof.minted > 0
    with pytest.raises(ContractRefused, match="no challenge is open"):
        _storer(stage).answer()


def test_what_is_not_stored_any_more_earns_nothing(stage: Stage) -> None:
    _witness(stage, stage.record(Format.CGM))
    _storer(stage).commit()
    number = _challenged(stage)
    for cid in list(stage.home.store.pins()):
        stage.home.store.delete(cid)
    with pytest.raises(StoreError):
        _storer(stage).answer()
    stage.later(2)
    stage.suite.storage.fail(stage.chain.cast["relay"], number)
    assert stage.suite.storage.holding(number).size == 0


def test_who_may_not_witness_and_what_is_not_there(stage: Stage) -> None:
    suite, cast = stage.suite, stage.chain.cast
    with pytest.raises(NotPermitted, match="not accredited"):
        witness_storage(suite, cast["relay"], stage.record(), stage.home.store)
    with pytest.raises(BadInput, match="No record"):
        witness_storage(suite, cast["laboratory"], b"\1" * 32, stage.home.store)
    with pytest.raises(BadInput, match="witnessed and counts"):
        _storer(stage).commit()
    with pytest.raises(NotPermitted, match="not accredited"):
        Storer(suite, cast["relay"], stage.home).commit()


def test_another_folders_holding_is_not_answered(stage: Stage) -> None:
    _witness(stage, stage.record(Format.CGM))
    _storer(stage).commit()
    _challenged(stage)
    stage.home.write_journal("holding", {"lines": []})
    with pytest.raises(StateError, match="missing or damaged"):
        _storer(stage).answer()
