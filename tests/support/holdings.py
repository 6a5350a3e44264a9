"""What custodians store, made up in the tests, and the answers that prove it."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from medtoken.chain.words import HoldingWord
from medtoken.holding import CHUNK, ChunkTree, Holding, Line
from medtoken.messages import Domain, StorageWitness
from support.evm import CHAIN_ID
from support.world import DAY, Actor, World

TERABYTE = 10**12
MONTH = 30 * DAY


def sealed_bytes(name: str, size: int) -> bytes:
    """Bytes that nobody can compress, the same in every run."""
    return hashlib.shake_256(name.encode()).digest(size)


@dataclass
class Shelf:
    """A custodian's sealed records, its holding, and who witnesses."""

    world: World
    custodian: Actor
    attester: Actor
    files: dict[bytes, bytes] = field(default_factory=dict)  # chunk root → sealed bytes
    lines: list[Line] = field(default_factory=list)
    signatures: dict[bytes, bytes] = field(default_factory=dict)
    holding: Holding | None = None

    @property
    def number(self) -> int:
        return self.world.number(self.custodian)

    @property
    def word(self) -> HoldingWord:
        return HoldingWord.unpack(int(self.world.storage.holding_word(self.number)))

    def add(self, size: int = 5_000, *, dvi: int = 85, **draft: Any) -> Line:
        """Register, attest and witness a record with ``size`` sealed bytes."""
        name = f"{self.custodian.name} {len(self.lines)}"
        record = self.world.record(sender=self.custodian, size=size, dvi=dvi, **draft)
        return self.store(record, sealed_bytes(name, size))

    def store(self, record: bytes, sealed: bytes) -> Line:
        """Witness these bytes as a record's."""
        line = Line(ChunkTree(io.BytesIO(sealed)).root, record, len(sealed))
        self.files[line.root] = sealed
        self.lines.append(line)
        self.signatures[line.root] = self.witness(line)
        return line

    def witness(self, line: Line, attester: Actor | None = None) -> bytes:
        domain = Domain(CHAIN_ID, self.world.storage.address)
        message = StorageWitness(line.record, line.root, line.size)
        return message.sign((attester or self.attester).key, domain)

    def commit(self, lines: Sequence[Line] | None = None) -> Holding:
        holding = Holding(lines if lines is not None else self.lines)
        self.world.storage.commit(holding.root, holding.size, sender=self.custodian)
        self.holding = holding  # once the chain has taken it
        return holding

    def challenge(self, after: int = MONTH) -> None:
        """Wait, open a challenge, and wait for the block that draws."""
        self.world.evm.warp(after)
        self.world.storage.challenge(self.number, sender=self.world.people.stranger)
        self.world.evm.warp(12)
        self.world.evm.warp(12)

    def answer_of(self, number: int, **changes: Any) -> dict[str, Any]:
        """The right answer to a sample."""
        assert self.holding is not None
        at = int(self.world.storage.sample(self.number, number))
        place = self.holding.place(at)
        sealed = self.files[place.line.root]
        return {
            "line": asdict(place.line),
            "right": place.right,
            "steps": [asdict(step) for step in place.steps],
            "attester": self.world.number(self.attester),
            "signature": self.signatures[place.line.root],
            "chunk": sealed[place.chunk * CHUNK : (place.chunk + 1) * CHUNK],
            "path": ChunkTree(io.BytesIO(sealed)).path(place.chunk),
        } | changes

    def answer(self, count: int | None = None) -> int:
        """Answer samples that are left, all by default; base units of GT that this minted."""
        word, minted = self.word, 0
        last = word.samples if count is None else word.answered + count
        for first in range(word.answered, last, 16):
            answers = [self.answer_of(n) for n in range(first, min(first + 16, last))]
            relay = self.world.people.relay
            minted += int(self.world.storage.answer(self.number, answers, sender=relay))
        return minted

    def prove(self, after: int = MONTH) -> int:
        """A whole period: challenged after some time, and answered."""
        self.challenge(after)
        return self.answer()
