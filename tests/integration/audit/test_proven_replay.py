"""An audit that believes nothing: what it proves on an honest chain, and what it names on others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.liar import Liar, liar
from support.live import chain, medtoken_here, populated
from support.stage import Stage

from medtoken.audit import Report, replay
from medtoken.audit.proven import ProvenChain
from medtoken.audit.slots import CONTRACTS, Layout
from medtoken.chain.node import Wallet
from medtoken.chain.stream import Client
from medtoken.errors import BadInput, ProofFailed, WrongChain
from medtoken.formats import Format
from medtoken.vocabulary import Form

Audit = Callable[[], Report]
Write = Callable[[str, int, int], None]


@pytest.fixture(scope="module")
def used(files: dict[Format, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A chain of its own with a record that was licensed and used.

    Nothing is ever undone on it by a snapshot: Anvil then keeps words of zero in its tree, of slots
    that the chain as it is has never heard of.
    """
    with chain(tmp_path_factory.mktemp("chain")) as made:
        home = populated(tmp_path_factory.mktemp("used") / "home", made)
        stage = Stage(made, home, files, Wallet.create())
        record = stage.record()
        stage.licensee.deposit(10**21)
        bought = stage.buy(record, stage.consent(record), Form.FIXED_TERM)
        made.warp(86_400)
        stage.licensee.use(bought.licence)
        yield stage


@pytest.fixture
def node(used: Stage) -> Iterator[Liar]:
    with liar(used.chain.node.url) as found:
        yield found


@pytest.fixture
def audit(used: Stage, node: Liar) -> Audit:
    """Audit through the proxy, anchored at what the honest node has last."""

    def audited() -> Report:
        with Client(node.url, timeout=10) as client:
            proven = ProvenChain(client, used.chain.node.head().hash)
            return replay(proven, used.chain.suite.deployment)

    return audited


@pytest.fixture
def write(used: Stage) -> Iterator[Write]:
    """Change a word of the state, as no transaction did, and seal it; changed back at the end."""
    node = used.chain.node
    undo: list[tuple[str, int, int]] = []

    def put(address: str, slot: int, word: int) -> None:
        node.rpc("anvil_setStorageAt", address, f"0x{slot:064x}", f"0x{word:064x}")
        used.chain.mine(1)

    def written(contract: str, slot: int, word: int) -> None:
        address = used.chain.suite.deployment.contracts[contract].address
        undo.append((address, slot, node.storage(address, slot)))
        put(address, slot, word)

    yield written
    for change in undo:
        put(*change)


def test_an_honest_chain_is_proven_whole(used: Stage, audit: Audit) -> None:
    report = audit()
    assert report.holds, [str(v) for v in report.violations]
    proof = report.proof
    assert proof is not None
    assert proof.anchor == used.chain.node.head().hash
    assert proof.roots == [
        name for name in CONTRACTS if name in used.chain.suite.deployment.contracts
    ]
    assert len(proof.roots) == len(CONTRACTS) - 1  # there is no governor yet
    assert proof.blocks == used.chain.height() - used.chain.suite.deployment.first_block + 1
    assert 0 < proof.receipts < proof.blocks
    assert proof.words > 100
    # Of nothing else but what computes over proven words.
    assert all(view.startswith("LicenceToken.") for view in proof.by_code)
    plain = replay(used.chain.node, used.chain.suite.deployment)
    assert plain.proof is None
    assert plain.ledger.as_dict() == report.ledger.as_dict()


def test_the_command_line_proves_from_a_hash(used: Stage, node: Liar) -> None:
    record = used.home.deployment(used.chain.node.chain_id)
    where = ("--rpc", node.url, "--deployment", record)
    anchor = "0x" + used.chain.node.head().hash.hex()
    ran = medtoken_here("audit", "replay", "--anchor", anchor, *where)
    assert ran.code == 0, ran.err
    assert f"proven from {anchor}: " in ran.out
    node.lie = lambda method, params, result: [] if "Receipts" in method else result
    ran = medtoken_here("audit", "replay", "--anchor", anchor, *where)
    assert (ran.code, ran.out) == (22, "")
    assert ran.err.count("\n") == 1
    assert "are not those that its header commits to" in ran.err


@pytest.mark.parametrize(
    ("contract", "variable"),
    [
        ("DataMarket", "licences._window"),
        ("DataMarket", "rates._current"),
        ("RecordRegistry", "_min_quality"),
        ("Treasury", "_levies"),
    ],
)
def test_a_word_that_no_transaction_wrote_is_caught(
    write: Write, audit: Audit, contract: str, variable: str
) -> None:
    write(contract, Layout(contract).at(variable), 10**18)
    report = audit()
    assert not report.holds
    assert f"{contract}, {variable} by proof" in "\n".join(map(str, report.violations))
    assert report.proof is not None
    assert contract not in report.proof.roots


def test_a_balance_of_a_token_is_proven_by_its_key(used: Stage, write: Write, audit: Audit) -> None:
    from medtoken.audit.proven.views import below

    holder = used.chain.suite.deployment.contracts["DataMarket"].address
    write("UsageToken", below(0, holder), 5)
    report = audit()
    assert {1, 6} <= {finding.id for finding in report.invariants if not finding.holds}
    assert f"UsageToken.balanceOf({holder}) by proof" in "\n".join(map(str, report.violations))


def test_a_role_that_was_slipped_in_is_proven_by_its_key(
    used: Stage, write: Write, audit: Audit
) -> None:
    from medtoken.audit.proven.views import below

    market = used.chain.suite.deployment.contracts["DataMarket"].address
    write("AccessManager", below(below(1, 0), market), 1)
    text = "\n".join(map(str, audit().violations))
    assert f"AccessManager.getAccess(0, {market}) by proof" in text


def test_a_node_that_lies_about_logs_ends_the_audit(node: Liar, audit: Audit) -> None:
    def lie(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getBlockReceipts" and result[0]["logs"]:
            result[0]["logs"].pop()
        return result

    node.lie = lie
    with pytest.raises(ProofFailed, match="The receipts"):
        audit()


def test_a_deployment_of_another_chain_is_refused(used: Stage, node: Liar, audit: Audit) -> None:
    node.lie = lambda method, params, result: "0x1" if method == "eth_chainId" else result
    with pytest.raises(WrongChain, match="on chain 1"):
        audit()


def test_an_anchor_before_the_deployment_is_refused(used: Stage) -> None:
    with Client(used.chain.node.url) as client:
        proven = ProvenChain(client, used.chain.node.block(1).hash)
        with pytest.raises(BadInput, match="The audit would end at block 1"):
            replay(proven, used.chain.suite.deployment)


def test_a_word_where_none_belongs_is_caught(used: Stage, write: Write, audit: Audit) -> None:
    """No view shows it, so only the root can tell. The last test here: Anvil will keep its zero."""
    write("Tariff", 2**200, 1)
    assert replay(used.chain.node, used.chain.suite.deployment).holds
    report = audit()
    assert [finding.id for finding in report.invariants if not finding.holds] == [7]
    assert "Tariff keeps a word that no event tells of" in str(report.violations[0])
