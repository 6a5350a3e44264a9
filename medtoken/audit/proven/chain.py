"""A chain of which nothing is believed: headers, logs and storage, each proven from one block hash.

The auditor brings a block hash from wherever it trusts one (its own node, an explorer, two people).
Everything that a node then says either hashes to it or is refused by name. Only two things rest on
the node's word: the hash of a transaction, which is a name and nothing depends on it, and whether
the block of that hash is on the chain that people follow.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from eth_utils import to_checksum_address

from medtoken._keccak import keccak
from medtoken.audit.proven.accounts import Account, AccountProof
from medtoken.audit.proven.headers import Block, Header, bloom_mask, hashed, may_hold
from medtoken.audit.proven.receipts import ProvenReceipt, Receipt, encoded
from medtoken.chain.stream import Client, NodeRefused
from medtoken.errors import BadInput, ContractRefused, NodeUnreachable, ProofFailed

# Headers that are read before the receipts of those among them that may hold our logs.
_CHUNK = 256
# Slots that one request proves.
_KEYS = 256


@dataclass(frozen=True, slots=True)
class ProvenLog:
    """A log that a header vouches for; ``tx`` alone is the node's word."""

    address: str
    topics: tuple[bytes, ...]
    data: bytes
    block: int
    tx: bytes
    index: int


@dataclass(frozen=True, slots=True)
class Moment:
    """A block that was chained: its time (unix seconds), and its hash where that was given."""

    number: int
    hash: bytes
    timestamp: int


class ProvenChain:
    """A node's chain up to one block whose hash is given. It answers what the auditor asks."""

    def __init__(self, client: Client, anchor: bytes) -> None:
        """``anchor``: the hash of the last block.

        Raises ProofFailed when the node's block of that hash is another one, BadInput when it has
        none.
        """
        self._client = client
        self.chain_id = int(client.ask("eth_chainId"), 16)
        found = client.ask("eth_getBlockByHash", _hex(anchor), False, kind=Header | None)
        if found is None:
            raise BadInput(f"The node at {client.url} has no block {_hex(anchor)}.")
        self.end = hashed(found)
        if self.end.hash != anchor:
            raise ProofFailed(
                f"The node at {client.url} gave a block for {_hex(anchor)} "
                f"that hashes to {_hex(self.end.hash)}."
            )
        # Unix seconds of every block that was chained so far, from ``_first`` on.
        self._first = self.end.number
        self._times = array("Q", [self.end.timestamp])
        self._accounts: dict[str, Account] = {}
        self.receipts = 0  # blocks whose receipts were fetched and proven

    @property
    def blocks(self) -> int:
        """How many headers were chained, the last one included."""
        return len(self._times)

    def head(self) -> Block:
        """The block that was given."""
        return self.end

    def block(self, number: int) -> Moment:
        """The time of a block that ``logs`` has chained, or of the last one."""
        at = number - self._first
        if not 0 <= at < len(self._times):
            raise BadInput(f"Block {number} is not among those that were read.")
        return Moment(number, self.end.hash if number == self.end.number else b"", self._times[at])

    def logs(self, addresses: Sequence[str], first: int, last: int) -> Iterator[ProvenLog]:
        """Every log of some contracts from ``first`` to ``last``, and nothing but them.

        What was given before the iterator ends is proven only once it has ended: the last header is
        the one that vouches for all. Raises ProofFailed naming the block where a header, or a
        block's receipts, is not what the next hash says.
        """
        if last != self.end.number:
            raise BadInput(f"A proof ends at block {self.end.number}, the one that was given.")
        wanted = {bytes.fromhex(address[2:]): to_checksum_address(address) for address in addresses}
        for block, receipts in self.receipts_from(addresses, first):
            yield from _logs(block, receipts, wanted)

    def receipts_from(
        self, addresses: Sequence[str], first: int, parent: bytes | None = None
    ) -> Iterator[tuple[Block, list[ProvenReceipt]]]:
        """Every block from ``first`` on, with its receipts where it may hold logs of some contracts.

        The last block comes always, be it without. ``parent``: the hash that the first must name as
        its parent's. As with ``logs``, all is proven once the iterator has ended.
        """
        masks = [bloom_mask(bytes.fromhex(address[2:])) for address in addresses]
        self._first, self._times = first, array("Q")
        for start in range(first, self.end.number + 1, _CHUNK):
            pending = []
            for block in self._headers(start, min(start + _CHUNK, self.end.number + 1)):
                _linked(block.number - 1, parent, block)
                parent = block.hash
                self._times.append(block.timestamp)
                if may_hold(block, masks):
                    pending.append(block)
            yield from self._proven(pending)
            if block is self.end and block not in pending[-1:]:
                yield block, []

    def storage(self, address: str, slot: int, block: int | None = None) -> int:
        """One storage word at the block that was given, by proof."""
        return self.slots(address, [slot], block)[0]

    def slots(self, address: str, slots: Sequence[int], block: int | None = None) -> list[int]:
        """Storage words at the block that was given, each proven against the state root."""
        found = self.leaves(address, slots, block)
        return [found.get(slot, 0) for slot in slots]

    def leaves(
        self, address: str, slots: Sequence[int], block: int | None = None
    ) -> dict[int, int]:
        """The words of those among some slots that are in the account's storage trie.

        By the protocol a word of zero is not in it; Anvil keeps one that was written once.
        """
        found: dict[int, int] = {}
        for start in range(0, len(slots), _KEYS):
            part = slots[start : start + _KEYS]
            proof = self._account_proof(address, part, block)
            found |= proof.leaves(proof.account(self.end.state_root, address), part)
        return found

    def account(self, address: str, block: int | None = None) -> Account:
        """An account's storage root, code hash, nonce and balance (wei), by proof."""
        if address not in self._accounts:
            found = self._account_proof(address, (), block)
            self._accounts[address] = found.account(self.end.state_root, address)
        return self._accounts[address]

    def code(self, address: str) -> bytes:
        """The code at an address: the node's bytes, held against the proven code hash."""
        code = bytes.fromhex(self._client.ask("eth_getCode", address, hex(self.end.number))[2:])
        if keccak(code) != self.account(address).code_hash:
            raise ProofFailed(f"The node's code of {address} is not what the state root says.")
        return code

    def call(self, to: str, data: bytes, block: int | None = None) -> bytes:
        """A view's answer has no proof without running its code. Raises ProofFailed, always."""
        raise ProofFailed(f"What a view of {to} answers cannot be proven; its storage can.")

    def calls(
        self, asked: Sequence[tuple[str, bytes]], block: int
    ) -> Iterator[bytes | ContractRefused]:
        """As ``call``. Raises ProofFailed, unless nothing is asked."""
        return iter([self.call(to, data, block) for to, data in asked])

    # ------------------------------------------------------------------ headers

    def _headers(self, first: int, stop: int) -> Iterator[Block]:
        """Blocks by number, hashed; the last one is the one that was given."""
        last = min(stop, self.end.number)
        requests = (("eth_getBlockByNumber", (hex(number), False)) for number in range(first, last))
        for expected, answer in enumerate(self._client.stream(requests), first):
            found = self._client.result(answer, Header | None)
            if found is None:
                raise NodeUnreachable(f"The node at {self._client.url} has no block {expected}.")
            block = hashed(found)
            if block.number != expected:
                raise ProofFailed(
                    f"The node at {self._client.url} gave block {block.number} for {expected}."
                )
            yield block
        if stop > self.end.number:
            yield self.end

    # ------------------------------------------------------------------ receipts

    def _proven(self, blocks: Sequence[Block]) -> Iterator[tuple[Block, list[ProvenReceipt]]]:
        for block, receipts in zip(blocks, self._receipts(blocks), strict=True):
            self.receipts += 1
            root, found = encoded(receipts)
            if root != block.receipts_root:
                raise ProofFailed(
                    f"The receipts that the node at {self._client.url} gave for block "
                    f"{block.number} are not those that its header commits to: a log was left out, "
                    "added, changed or moved."
                )
            yield block, found

    def _receipts(self, blocks: Sequence[Block]) -> Iterator[list[Receipt]]:
        requests = (("eth_getBlockReceipts", (_hex(block.hash),)) for block in blocks)
        answers = self._client.stream(requests)
        for block in blocks:
            try:
                found = self._client.result(next(answers), list[Receipt] | None)
            except NodeRefused as error:
                raise NodeUnreachable(
                    f"The node at {self._client.url} gives no receipts by block, so logs cannot be "
                    f"proven with it: {error.message}."
                ) from None
            # After a reorganisation a node has no receipts of an orphan; that is not "no logs".
            if found is None:
                raise NodeUnreachable(
                    f"The node at {self._client.url} has no receipts of block {block.number} "
                    f"({_hex(block.hash)}): it was pruned, or the chain has gone another way."
                )
            yield found

    # ------------------------------------------------------------------ state

    def _account_proof(self, address: str, slots: Sequence[int], block: int | None) -> AccountProof:
        if block is not None and block != self.end.number:
            raise BadInput(f"A proof is of block {self.end.number}, the one that was given.")
        try:
            found: AccountProof = self._client.ask(
                "eth_getProof",
                address,
                [_hex(slot.to_bytes(32)) for slot in slots],
                hex(self.end.number),
                kind=AccountProof,
            )
        except NodeRefused as error:
            raise NodeUnreachable(
                f"The node at {self._client.url} proves no state of block {self.end.number} "
                f"(an archive of that age is needed): {error.message}."
            ) from None
        return found


def _linked(number: int, before: bytes | None, block: Block) -> None:
    """Raise ProofFailed unless a block names the one before it, of this hash, as its parent."""
    if before is not None and before != block.parent:
        raise ProofFailed(
            f"Block {number} hashes to {_hex(before)}, but block {block.number} says "
            f"that its parent is {_hex(block.parent)}: one of them is not of the chain that was asked for."
        )


def _logs(
    block: Block, receipts: Iterable[ProvenReceipt], wanted: Mapping[bytes, str]
) -> Iterator[ProvenLog]:
    """The logs of some addresses, with their place among all logs of the block."""
    index = 0
    for receipt in receipts:
        for shape, raw in receipt.logs:
            address = wanted.get(raw[shape.address : shape.address + 20])
            if address is not None:
                topics, data = shape.topics_of(raw), shape.data_of(raw)
                tx = receipt.transaction_hash
                yield ProvenLog(address, topics, data, block.number, tx, index)
            index += 1


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
