"""R28, R29: a suite whose governor proposes from the start has no operator, and nobody else has a power."""

from __future__ import annotations

import pytest
from support.evm import Contract, deploy_suite
from support.governance import refuses
from support.recording import EvmChain, RecordingEvm, deployment_of
from support.world import NONE, Actor

from medtoken.audit import Clock, Ledger, Suite, decoded, replay
from medtoken.audit.source import CONTRACTS
from medtoken.deploy.plan import GOVERNOR, PEOPLE, Chamber, Params, load_params
from medtoken.deploy.roles import CANCELLER, EXECUTOR, PROPOSER, TIMELOCK_ADMIN, Role
from medtoken.errors import BadInput

DEPLOYER, SEAT, STRANGER = Actor("deployer"), Actor("seat"), Actor("stranger")


def params(operator: str | None = None) -> Params:
    return load_params(
        "devnet",
        operator=operator,
        platform=Actor("platform"),
        people={name: Actor(name) for name in PEOPLE},
        seats=[(SEAT, Chamber.USERS)],
        governed=operator is None,
    )


@pytest.fixture(scope="module")
def evm() -> RecordingEvm:
    return RecordingEvm()


@pytest.fixture(scope="module")
def suite(evm: RecordingEvm) -> dict[str, Contract]:
    return deploy_suite(evm, params(), DEPLOYER)


def test_the_governor_alone_proposes_and_nobody_cancels(suite: dict[str, Contract]) -> None:
    timelock, governor = suite["TimelockController"], suite[GOVERNOR].address
    holders = {TIMELOCK_ADMIN: {timelock.address}, PROPOSER: {governor}, CANCELLER: set()}
    people = (DEPLOYER, SEAT, *(Actor(name) for name in PEOPLE))
    for role, held in holders.items():
        for account in (*people, *(contract.address for contract in suite.values())):
            assert timelock.hasRole(role, account) == (account in held)
    assert timelock.hasRole(EXECUTOR, "0x" + "00" * 20)
    assert not suite["AccessManager"].hasRole(int(Role.ADMIN), DEPLOYER)[0]
    assert suite[GOVERNOR].seats() == [{"account": SEAT, "chamber": 1}]


def test_the_deployer_can_do_nothing_to_the_timelock(suite: dict[str, Contract]) -> None:
    timelock = suite["TimelockController"]
    for who in (DEPLOYER, STRANGER):
        with refuses("AccessControlUnauthorizedAccount", who):
            timelock.grantRole(PROPOSER, who, sender=who)
        with refuses("AccessControlUnauthorizedAccount", who):
            timelock.schedule(who, 0, b"", NONE, NONE, 0, sender=who)


def test_the_audit_holds_and_a_role_given_later_in_silence_does_not(
    evm: RecordingEvm, suite: dict[str, Contract]
) -> None:
    addresses = {name: suite[name].address for name in (*CONTRACTS, GOVERNOR)}
    record = deployment_of(addresses, DEPLOYER)
    report = replay(EvmChain(evm), record)
    assert report.violations == ()
    found = Suite.of(record)
    events = list(decoded(evm.raw, found))
    granted = next(e for e in events if e.event == "RoleGranted" and e.args.get("role") == PROPOSER)
    last = events[-1]
    later = type(granted)(
        granted.contract,
        granted.event,
        {**granted.args, "account": str(STRANGER)},
        granted.address,
        last.block + 1,
        b"later",
        0,
    )
    clock = Clock(lambda number: evm.times[min(number, len(evm.times) - 1)])
    broken = Ledger(found, clock).fold([*events, later]).violations
    assert [v.rule for v in broken] == ["R29"]
    assert "did not come from the timelock" in broken[0].text


def test_who_has_an_operator_seats_nobody_yet() -> None:
    with pytest.raises(BadInput, match="An operator seats the council when it hands over"):
        params(operator=Actor("operator"))
