"""R29: a guardian's pause stops money that comes in, and never a withdrawal, a refund or a revocation.

What a pause reaches is read from the sources, through every internal call and every call of the market by
another contract, so the table is complete: a function that is not in it goes on in every pause.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from support.world import DAY, DUT, FIXED, World, reverts

from medtoken import artifacts
from medtoken.deploy.roles import FUNCTION_ROLES, Role
from medtoken.messages import Revocation

SOURCES = Path(__file__).resolve().parents[3] / "contracts"
CONTRACTS = sorted(path.stem for path in SOURCES.glob("*.vy"))

STOPPED = {
    "DataMarket": {
        "deposit",
        "deposit_with_permit",
        "buy_licence",
        "issue_licence",
        "charge",
        "top_up",
    },
    "QualityDisputes": {"stake", "challenge"},
    "BreachCover": {"pay_premium"},
    "CompensationFund": {"pay"},
    "RoyaltyVault": {"pay", "grant_option"},
    # They sell through the market, and give back whatever was not sold.
    "AuctionHouse": {"bid", "award"},
    "BasketDesk": {"reserve", "top_up", "take", "take_many"},
    "ResearchDesk": {"buy"},
    "DataTrust": {"buy"},
}


@cache
def functions(file: str) -> dict[str, str]:
    """The functions of a source by name, without their decorators and documentation."""
    text = (SOURCES / file).read_text(encoding="utf-8")
    text = re.sub(r'"""[\s\S]*?"""|#.*', "", text)
    found = re.findall(r"^def (\w+)\(([\s\S]*?)(?=^@|^def |\Z)", text, re.M)
    return dict(found)


def calls(file: str, body: str) -> Iterator[tuple[str, str]]:
    """The internal functions that a body calls, in its own file or a module's."""
    for of, name in re.findall(r"\b(\w+)\.(\w+)\(", body):
        module = f"modules/{of}.vy"
        if of == "self":
            yield file, name
        elif (SOURCES / module).exists() and name in functions(module):
            yield module, name


def reached(file: str, name: str) -> str:
    """The bodies of a function and of all that it calls inside its contract."""
    seen, todo, text = set(), [(file, name)], ""
    while todo:
        at = todo.pop()
        if at not in seen:
            seen.add(at)
            body = functions(at[0]).get(at[1], "")
            text += body
            todo += calls(at[0], body)
    return text


def home_of(contract: str, name: str) -> str:
    """The source of an external function: the contract's own, or of the module it exports it from."""
    own = f"{contract}.vy"
    if name in functions(own):
        return own
    text = (SOURCES / own).read_text(encoding="utf-8")
    (exports,) = re.findall(r"^exports:\s*(\([^)]*\)|.*)$", text, re.M)
    (module,) = re.findall(rf"\b(\w+)\.{name}\b", exports)
    assert re.search(rf"^from modules import {module}$", text, re.M)
    return f"modules/{module}.vy"


def stopped(contract: str) -> set[str]:
    """The functions of a contract that refuse while something is paused."""
    market = "|".join(sorted(STOPPED["DataMarket"]))
    told = rf'"\w+: paused"|extcall [\w.]*MARKET\.({market})\(|method_id\(\s*"({market})\('
    outside = re.compile(told)
    found = set()
    for entry in artifacts.load(contract)["abi"]:
        if entry["type"] == "function" and entry["stateMutability"] == "nonpayable":
            name = entry["name"]
            home = home_of(contract, name)
            if outside.search(reached(home, name)):
                found.add(name)
    return found


@pytest.mark.parametrize("contract", CONTRACTS)
def test_only_money_in_is_stopped(contract: str) -> None:
    assert stopped(contract) == STOPPED.get(contract, set())


def test_the_guardian_pauses_and_the_timelock_alone_ends_it() -> None:
    pausable = {c for c in CONTRACTS if "pause" in functions(f"{c}.vy")} | {"DataMarket"}
    assert pausable == {
        c for c, held in FUNCTION_ROLES.items() if held.get("pause") is Role.GUARDIAN
    }
    assert not any("unpause" in held for held in FUNCTION_ROLES.values())
    # The tokens move in every pause: there is none.
    for token in ("UsageToken", "ContributionToken", "GovernanceToken", "ResearchToken"):
        assert not any("ause" in entry.get("name", "") for entry in artifacts.load(token)["abi"])


def test_a_paused_market_pays_and_revokes(world: World) -> None:
    """Everything that lives goes on to its end, and out."""
    w, p, market = world, world.people, world.market
    consent, other = w.granted(), w.granted()
    metered = w.buy(consent, units=20, salt=w.keyed(1))
    fixed = w.buy(consent, form=FIXED, salt=w.keyed(2))
    desk = w.desk(50 * DUT)
    w.use(metered, 2)
    market.pause(sender=p.guardian)
    for refused in (
        lambda: market.deposit(p.licensee, DUT, sender=p.licensee),
        lambda: w.buy(other),
        lambda: market.top_up(metered, 1, sender=p.licensee),
        lambda: market.charge(p.licensee, DUT, sender=desk),
    ):
        with reverts("market: paused"):
            refused()
    w.use(metered, 1)
    w.redeem(w.voucher(metered, 5))
    w.evm.warp(DAY)
    w.settle(metered, fixed)
    w.withdraw(w.withdrawal(p.patient, DUT), p.patient)
    market.release(p.licensee, DUT, sender=desk)
    never = w.consent(w.record())
    signature = Revocation(never.struct_hash()).sign(p.patient.key, w.domain)
    market.cancel_consent(never.values(), signature, sender=p.relay)
    w.revoke(consent)
    before = w.deposit_of(p.licensee)
    w.evm.warp(4 * DAY)
    w.settle(metered, fixed)
    assert w.deposit_of(p.licensee) > before
    market.reclaim(w.deposit_of(p.licensee), sender=p.licensee)
    assert w.deposit_of(p.licensee) == 0
