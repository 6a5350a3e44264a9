"""The deployment plan refers only backwards, and wrong parameters are refused."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from eth_utils import to_checksum_address
from support.world import DAY, DUT, ZERO, Actor

from medtoken.chain.abi import abi
from medtoken.deploy.cost import gas_of, kinds, measured
from medtoken.deploy.plan import (
    FACTORS,
    PEOPLE,
    Call,
    Create,
    Params,
    Ref,
    agreement_hash,
    agreement_text,
    build_plan,
    load_params,
    resolve,
)
from medtoken.errors import BadInput, DeploymentError

OPERATOR, PLATFORM, DEPLOYER = Actor("operator"), Actor("platform"), Actor("deployer")


def _params(network: str = "devnet", **people: str) -> Params:
    return load_params(network, operator=OPERATOR, platform=PLATFORM, people=people)


def _refs(value: Any) -> Iterator[str]:
    if isinstance(value, Ref):
        yield value.name
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _refs(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _refs(inner)


@pytest.mark.parametrize(("operator", "contracts"), [(OPERATOR, 29), (None, 30)])
def test_every_step_refers_only_to_what_was_created_before(
    operator: str | None, contracts: int
) -> None:
    """Without an operator there is the governor (R28)."""
    created: set[str] = set()
    for step in build_plan(replace(_params(), operator=operator), DEPLOYER):
        if isinstance(step, Create):
            assert set(_refs((step.args, step.initialize))) <= created
            assert step.name not in created
            created.add(step.name)
        else:
            assert isinstance(step, Call)
            assert {step.contract, *_refs(step.args)} <= created
            assert step.why
    assert len(created) == contracts


def test_the_deployer_steps_down_last() -> None:
    *_, grant, last = build_plan(_params(), DEPLOYER)
    assert isinstance(grant, Call)
    assert grant.args == (0, Ref("TimelockController"), 0)
    assert isinstance(last, Call)
    assert (last.function, last.args) == ("renounceRole", (0, DEPLOYER))


def test_nobody_who_is_not_named_gets_a_role() -> None:
    granted = [
        step.args
        for step in build_plan(_params(guardian=Actor("guardian")), DEPLOYER)
        if isinstance(step, Call) and step.function == "grantRole"
    ]
    people = [who for _, who, _ in granted if not isinstance(who, Ref)]
    assert people == [Actor("guardian")]


def test_every_call_fits_its_abi() -> None:
    named = {name: Actor(name) for name in PEOPLE}
    for step in build_plan(_params(**named), DEPLOYER):
        if isinstance(step, Call):
            entry = abi(step.contract).function(step.function)
            assert len(entry["inputs"]) == len(step.args)


def test_an_unknown_reference_is_a_mistake_of_the_plan() -> None:
    with pytest.raises(DeploymentError, match="the plan uses Nothing before it is created"):
        resolve(["a", {"b": (Ref("Nothing"),)}], {})
    resolved = resolve([Ref("A"), {"b": (Ref("A"), 1)}], {"A": "0x1"})
    assert resolved == ["0x1", {"b": ("0x1", 1)}]


# ---------------------------------------------------------------- parameters


def test_the_devnets_rates_are_r15s() -> None:
    params = _params()
    assert params.rates == {
        "provider": 7_000,
        "annotator": 2_000,
        "platform": 1_000,
        "levy": 500,
    }
    assert params.burn_share == 5_000
    assert params.min_quality == 20


def test_the_devnets_prices_are_r13s_and_its_window_r14s() -> None:
    params = _params()
    assert params.references == (50 * DUT, 10 * DUT, 5 * DUT, 20 * DUT, 0, 0, DUT, 0)
    assert dict(zip(FACTORS, params.factors, strict=True)) == {
        "commercial": 25_000,
        "emergency": 5_000,
        "public": 5_000,
        "sensitive": 10_000,
        "highly_sensitive": 15_000,
        "in_region": 13_000,
        "compliance_discount": 1_500,
        "rental": 3_000,
    }
    assert params.window == 3 * DAY


@pytest.mark.parametrize("missing", ["operator", "platform"])
def test_a_deployment_without_an_operator_or_a_platform_is_refused(missing: str) -> None:
    """With nobody to propose, and the deployer gone, nothing could ever be changed."""
    named = {"operator": str(OPERATOR), "platform": str(PLATFORM)} | {missing: ZERO}
    with pytest.raises(BadInput, match=r"^A deployment needs an operator and a platform account"):
        load_params("devnet", people={}, **named)


def test_an_unknown_role_is_refused() -> None:
    with pytest.raises(BadInput, match=r"^no deployment knows the role emperor\.$"):
        _params(emperor=OPERATOR)


def test_a_network_that_nobody_wrote_is_refused() -> None:
    for name in ("nowhere", "/nonexistent/params.toml"):
        with pytest.raises(BadInput, match=f"the parameters {name} cannot be read"):
            _params(name)


@pytest.fixture
def shipped() -> str:
    return files("medtoken.deploy").joinpath("params", "devnet.toml").read_text(encoding="utf-8")


def _written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "params.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_file_of_ones_own_is_read(tmp_path: Path, shipped: str) -> None:
    path = _written(tmp_path, shipped.replace("levy = 500", "levy = 400"))
    assert _params(path).rates["levy"] == 400


def test_a_file_that_builds_on_another_changes_what_it_names(tmp_path: Path) -> None:
    own = _params(_written(tmp_path, 'base = "sepolia"\n[rates]\nlevy = 400\n'))
    sepolia = _params("sepolia")
    assert own == replace(sepolia, rates={**sepolia.rates, "levy": 400})
    assert sepolia.timelock_delay == 2 * DAY
    assert sepolia.references == _params("devnet").references


def test_offices_stand_in_a_file_and_are_given_with_the_command(tmp_path: Path) -> None:
    offices = {"operator": OPERATOR, "platform": PLATFORM, "guardian": DEPLOYER}
    lines = [f'{name} = "{to_checksum_address(who)}"' for name, who in offices.items()]
    path = _written(tmp_path, "\n".join(['base = "devnet"', "[offices]", *lines]))
    read = load_params(path, operator=None, platform=None, people={})
    assert (read.operator, read.platform) == (
        to_checksum_address(OPERATOR),
        to_checksum_address(PLATFORM),
    )
    assert read.people == {"guardian": to_checksum_address(DEPLOYER)}
    given = load_params(path, operator=DEPLOYER, platform=None, people={"guardian": OPERATOR})
    assert (given.operator, given.people["guardian"]) == (DEPLOYER, OPERATOR)
    assert (
        load_params(path, operator=None, platform=None, people={}, governed=True).operator is None
    )


@pytest.mark.parametrize(
    "text",
    [
        'base = "params"\n',
        "base = 1\n",
        'base = "devnet"\noffices = 1\n',
        'base = "devnet"\n[offices]\noperator = "nobody"\n',
        'base = "devnet"\nrates = 1\n',
        'base = "devnet"\n[timelok]\ndelay = 172800\n',
        'base = "devnet"\n[timelock]\ndelays = 172800\n',
        'base = "devnet"\n[timelock]\ndelay = 0.5\n',
        'base = "devnet"\n[timelock]\ndelay = -5\n',
        'base = "devnet"\n[timelock]\ndelay = inf\n',
        'base = "devnet"\n[timelock]\ndelay = true\n',
        'base = "devnet"\n[offices]\nemperor = "0x1111111111111111111111111111111111111111"\n',
        'offices = ["x"]\n',
    ],
)
def test_a_file_that_builds_on_nothing_or_names_nobody_is_refused(
    tmp_path: Path, text: str
) -> None:
    with pytest.raises(BadInput, match=r"^the parameters .* cannot be read"):
        load_params(_written(tmp_path, text), operator=None, platform=PLATFORM, people={})


@pytest.mark.parametrize("operator", [str(OPERATOR), None])
def test_the_gas_of_every_step_was_measured(operator: str | None) -> None:
    params = load_params(
        "devnet",
        operator=operator,
        platform=PLATFORM,
        people=dict.fromkeys(PEOPLE, OPERATOR),
        governed=operator is None,
    )
    steps = build_plan(params, DEPLOYER)
    missing = {kind for step in steps for kind in kinds(step)} - measured().keys()
    assert not missing, "run `make deploy-gas`"
    assert gas_of(steps) == sum(gas_of([step]) for step in steps) > 50_000_000


def test_nobody_deploys_without_anybody_who_proposes(tmp_path: Path) -> None:
    text = r"^A deployment has an operator, or else it is governed from the start\.$"
    path = _written(tmp_path, f'base = "devnet"\n[offices]\nplatform = "{PLATFORM}"\n')
    with pytest.raises(BadInput, match=text):
        load_params(path, operator=None, platform=None, people={})
    with pytest.raises(BadInput, match=r"^alice is not an address\.$"):
        load_params(path, operator="alice", platform=None, people={})
    with pytest.raises(BadInput, match=r"^Nobody can act as the zero address"):
        load_params(path, operator=OPERATOR, platform=None, people={"guardian": ZERO})


def test_every_parameter_that_ships_carries_its_reason() -> None:
    """Beside it, or in the lines above it."""
    for source in files("medtoken.deploy").joinpath("params").iterdir():
        lines = source.read_text(encoding="utf-8").splitlines()
        bare = [
            line
            for before, line in zip(["", *lines], lines, strict=False)
            if " = " in line and not line.startswith("#") and "#" not in line + before
        ]
        # What these say needs no other word than their table's or their name's.
        assert {line.partition(" = ")[0] for line in bare} <= {
            "base", "platform", "levy", "annotator", "sensitive", "highly_sensitive",
        }  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[rates]", "[rate]"),
        ("levy = 500", ""),
        ("levy = 500", 'levy = "much"'),
        ("delay = 0", "delay = ["),
        ("coefficients = [1000,", "coefficients = ["),
        ('  "20000000000000000000",\n', ""),
        ("rental = 3000", ""),
        ("voucher_window", "window"),
    ],
)
def test_a_malformed_or_incomplete_file_is_refused(
    tmp_path: Path, shipped: str, old: str, new: str
) -> None:
    assert old in shipped
    with pytest.raises(BadInput, match="the parameters"):
        _params(_written(tmp_path, shipped.replace(old, new, 1)))


def test_the_agreement_is_named_by_the_hash_of_its_text() -> None:
    assert agreement_hash() == hashlib.sha256(agreement_text().encode()).digest()
    assert "R12" not in agreement_text()
    assert len(agreement_text()) > 500
