"""The ledger against the state, with nothing believed: storage roots, and single words by proof."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from medtoken.audit import slots
from medtoken.audit.journal import Violation, show
from medtoken.audit.ledger import Ledger
from medtoken.audit.proven.chain import ProvenChain
from medtoken.audit.proven.trie import storage_root
from medtoken.audit.proven.views import VIEWS, Words
from medtoken.audit.state import Claim, State, claims


@dataclass
class Proof:
    """What of a report was proven, and from what."""

    anchor: bytes  # the hash that the auditor gave
    blocks: int = 0  # headers chained
    receipts: int = 0  # blocks whose receipts were held against their root
    roots: list[str] = field(default_factory=list)  # contracts whose whole storage is the ledger's
    words: int = 0  # of other contracts, each by its own proof
    by_code: list[str] = field(default_factory=list)  # views that only compute over those

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**vars(self), "anchor": show(self.anchor)}


def read(ledger: Ledger, chain: ProvenChain) -> tuple[State, Proof]:
    """Compare the ledger with the state at the block whose hash was given."""
    end = chain.end
    state, proof = State(end.number), Proof(end.hash)
    for contract in [c for c in slots.CONTRACTS if c in ledger.suite.addresses]:
        broken = list(_root(ledger, chain, contract))
        state.differences += broken
        if not broken:
            proof.roots.append(contract)
    by_code = set()
    made = list(claims(ledger, end.timestamp))
    views = _Views(ledger, chain)
    views.prove(made)
    for claim in made:
        state.reads += 1
        view = VIEWS.get(claim.contract, {}).get(claim.function)
        actual: Any = claim.expected
        if view is not None:
            actual = view(views.words(claim), *claim.args)
            proof.words += 1
        elif claim.contract not in slots.CONTRACTS:
            by_code.add(f"{claim.contract}.{claim.function}")
        state.values[claim.key] = actual
        if actual != claim.expected:
            state.differences.append(
                Violation(
                    claim.invariant,
                    claim.rule,
                    end.number,
                    None,
                    f"{claim} by proof",
                    show(claim.expected),
                    show(actual),
                )
            )
    proof.blocks, proof.receipts, proof.by_code = chain.blocks, chain.receipts, sorted(by_code)
    return state, proof


class _Views:
    """The proven words of every standard contract that claims are about."""

    def __init__(self, ledger: Ledger, chain: ProvenChain) -> None:
        self._ledger, self._chain = ledger, chain
        self._words: dict[str, Words] = {}

    def words(self, claim: Claim) -> Words:
        address = claim.address or self._ledger.suite.addresses[claim.contract]
        if address not in self._words:
            now = self._chain.end.timestamp
            self._words[address] = Words(self._chain, claim.contract, address, now)
        return self._words[address]

    def prove(self, made: Sequence[Claim]) -> None:
        """Prove what all claims will ask for, many words at a time."""
        with ExitStack() as asking:
            for words in {self.words(claim) for claim in made if claim.contract in VIEWS}:
                asking.enter_context(words.ahead())
            for claim in made:
                view = VIEWS.get(claim.contract, {}).get(claim.function)
                if view is not None:
                    view(self.words(claim), *claim.args)


def _root(ledger: Ledger, chain: ProvenChain, contract: str) -> Iterator[Violation]:
    """Why a contract's storage root is not the ledger's; nothing where it is."""
    address = ledger.suite.addresses[contract]
    expected, names = slots.storage(ledger, contract)
    root = chain.account(address).storage_root
    if storage_root(expected) == root:
        return
    block = chain.end.number
    leaves = chain.leaves(address, sorted(names))
    if storage_root(expected, [slot for slot, word in leaves.items() if word == 0]) == root:
        return  # a development node that keeps words of zero
    wrong = [
        (slot, leaves.get(slot, 0))
        for slot in sorted(names)
        if leaves.get(slot, 0) != expected.get(slot, 0)
    ]
    for slot, word in wrong:
        yield Violation(
            7,
            "R29",
            block,
            None,
            f"{contract}, {names[slot]} by proof",
            f"0x{expected.get(slot, 0):064x}",
            f"0x{word:064x}",
        )
    if not wrong:
        yield Violation(
            7,
            "R29",
            block,
            None,
            f"{contract} keeps a word that no event tells of: its storage root",
            show(storage_root(expected)),
            show(root),
        )
