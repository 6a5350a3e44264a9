"""A verb that is killed once the node has its transaction, and typed again: it happened once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.live import MEDTOKEN, Ran, killed_at, medtoken

from medtoken.formats import Format
from medtoken.messages import DUT

pytestmark = pytest.mark.e2e

BUY = ("--purpose", "HMB", "--purpose", "NPUNCU")
# verb: (what is typed, the event that tells of it)
VERBS: dict[str, tuple[Callable[[Any], tuple[str, ...]], str]] = {
    "deposit": (lambda d: ("licence", "deposit", "5"), "Deposited"),
    "buy": (
        lambda d: ("licence", "buy", d.record, "--consent", d.consent, *BUY),
        "LicenceBought",
    ),
    "use": (lambda d: ("licence", "use", d.licence), "LicenceUsed"),
    "settle": (lambda d: ("earnings", "settle", d.licence), "LicenceSettled"),
    "grant": (
        lambda d: ("consent", "grant", d.record, "--purpose", "HMB", "--licensee", "pharma"),
        "ConsentGranted",
    ),
    "revoke": (lambda d: ("consent", "revoke", d.consent), "ConsentRevoked"),
    "withdraw": (lambda d: ("earnings", "withdraw"), "Withdrawn"),
    "withdraw some": (lambda d: ("earnings", "withdraw", "1"), "Withdrawn"),
    "attest": (
        lambda d: ("record", "attest", d.unattested, d.file(Format.CGM)),
        "RecordAttested",
    ),
    "add": (
        lambda d: (
            *("record", "add", d.file(Format.DICOM)),
            *("--owner", "somebody", "--region", "TW"),
        ),
        "RecordRegistered",
    ),
}
SLOW = {"buy", "settle", "revoke", "withdraw some", "attest", "add"}


def killed_and_typed_again(
    devnet: Any, command: tuple[str, ...], between_times: Callable[[], object]
) -> Ran:
    def line(url: str) -> tuple[str, ...]:
        return (*command, "--rpc", url, "--home", str(devnet.home), "--json")

    send = "eth_sendRawTransaction"
    with killed_at(devnet.rpc, send, lambda url: (*MEDTOKEN, *line(url))) as url:
        between_times()
        return medtoken(*line(url))


@pytest.mark.parametrize(
    "verb", [pytest.param(v, marks=pytest.mark.slow) if v in SLOW else v for v in VERBS]
)
def test_a_verb_that_was_killed_happened_once(devnet: Any, run: Any, verb: str) -> None:
    make, event = VERBS[verb]
    if verb == "settle":
        devnet.stage.licensee.use(bytes.fromhex(devnet.licence[2:]), 1)
    before = len(devnet.chain.events(event))

    def look() -> None:
        """Whoever looks in between, in the same folder, takes nothing from the second try."""
        devnet.chain.settle()
        assert len(devnet.chain.events(event)) == before + 1
        assert run("licence", "show", devnet.licence, *devnet.where).code == 0

    told = killed_and_typed_again(devnet, make(devnet), look).ok()
    told_of = devnet.chain.events(event)
    assert len(told_of) == before + 1
    # What it says is what is on the chain, not what the second try would have done.
    match verb:
        case "grant":
            assert bytes.fromhex(told["consent"][2:]) == told_of[-1]["consent"]
            assert told["terms"]["nonce"] == str(told_of[-1]["terms"]["nonce"])
        case "withdraw" | "withdraw some":
            assert told["amount"] == str(told_of[-1]["amount"])
        case "buy":
            assert bytes.fromhex(told["licence"][2:]) == told_of[-1]["licence"]
        case "use":
            assert told["used"] == told_of[-1]["used"]


def test_the_same_words_again_are_a_second_time(devnet: Any, run: Any) -> None:
    """Only a killed run is taken up: who hears that it is done and types it again means it."""
    use = ("licence", "use", devnet.licence, *devnet.where, "--json")
    first = run(*use).ok()["used"]
    assert run(*use).ok()["used"] == first + 1
    deposit = ("licence", "deposit", "5", *devnet.where, "--json")
    held = int(run(*deposit).ok()["deposit"])
    assert int(run(*deposit).ok()["deposit"]) == held + 5 * DUT
