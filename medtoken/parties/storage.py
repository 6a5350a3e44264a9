"""Storage that earns (R5): the attester who witnesses what is stored, the custodian who proves it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from medtoken.chain.contracts import Answer, Suite
from medtoken.chain.node import Receipt, Wallet
from medtoken.errors import BadInput, ContractRefused, IntegrityError, NotPermitted, StateError
from medtoken.holding import CHUNK, ChunkTree, Holding, Line
from medtoken.home import Home
from medtoken.ipfs import CID, Codec, Store
from medtoken.messages import Domain, StorageWitness
from medtoken.vocabulary import Capability

# What the contract takes in one transaction.
_BATCH = 16


@dataclass(frozen=True)
class Witness:
    """An attester's word for the chunks of one record."""

    line: Line
    attester: int  # institution's number
    signature: bytes


def witness_storage(suite: Suite, wallet: Wallet, record: bytes, store: Store) -> Witness:
    """Read a record's sealed bytes by their registered CID and sign the root over their chunks.

    Raises BadInput for an unknown record, NotPermitted without accreditation or for one's own work,
    StoreError when the store does not have it, IntegrityError when the registered size is another.
    """
    draft, facts = suite.registry.draft(record), suite.registry.facts(record)
    number = suite.registry.number_of(wallet.address)
    if not suite.registry.may(wallet.address, Capability.ATTESTER):
        raise NotPermitted(f"{wallet.address} is not accredited for this.")
    if number in (facts.custodian, facts.annotator):
        raise NotPermitted("Nobody attests their own work.")
    with store.open(CID(Codec(draft.codec), draft.content)) as sealed:
        tree = ChunkTree(sealed)
    if tree.size != draft.size:
        raise IntegrityError(
            f"The sealed record has {tree.size} bytes, but {draft.size} are registered."
        )
    line = Line(tree.root, record, tree.size)
    message = StorageWitness(line.record, line.root, line.size)
    return Witness(line, number, message.sign(wallet.key, storage_domain(suite)))


def storage_domain(suite: Suite) -> Domain:
    """The EIP-712 domain in which attesters witness storage."""
    return Domain(suite.node.chain_id, suite.storage.address)


@dataclass(frozen=True)
class Proof:
    """A challenge that was answered: base units of GT, zero while samples are left."""

    answered: int
    samples: int
    minted: int


class Storer:
    """A custodian that proves what it stores. It keeps the witnesses in its folder."""

    def __init__(
        self, suite: Suite, wallet: Wallet, home: Home, *, store: Store | None = None
    ) -> None:
        """``store`` defaults to the home folder's."""
        self._suite = suite
        self._wallet = wallet
        self._home = home
        self._store = store if store is not None else home.store
        self._trees: dict[bytes, ChunkTree] = {}

    def keep(self, witness: Witness) -> None:
        """Keep an attester's word, in place of an earlier one for the record."""
        self._home.write_journal(
            _entry(witness.line.record),
            {
                "record": witness.line.record.hex(),
                "root": witness.line.root.hex(),
                "size": witness.line.size,
                "attester": witness.attester,
                "signature": witness.signature.hex(),
            },
        )

    def commit(self, *, key: str | None = None) -> Holding:
        """State on the chain what this custodian stores: every record that counts and is witnessed.

        Raises BadInput when there is none, ContractRefused as the contract does.
        """
        registry, number = self._suite.registry, self._number()
        least = self._suite.storage.rules().threshold
        lines = []
        for witness in self._witnesses():
            facts = registry.facts(witness.line.record)
            if facts.custodian == number and facts.live and facts.dvi >= least:
                lines.append(witness.line)
        if not lines:
            raise BadInput("No record of this custodian is witnessed and counts.")
        holding = Holding(lines)
        self._home.write_journal(
            _HOLDING,
            {"lines": [{k: _plain(v) for k, v in asdict(line).items()} for line in holding.lines]},
        )
        self._suite.storage.commit(self._wallet, holding.root, holding.size, key=key)
        return holding

    def answer(self, *, key: str | None = None) -> Proof:
        """Answer the samples of the open challenge that are left; the last one mints.

        Run again after a crash, it goes on where it stopped. Raises StateError when the committed
        holding is not this folder's, StoreError when a block is missing, ContractRefused as the
        contract does.
        """
        storage, number = self._suite.storage, self._number()
        word = storage.holding(number)
        if not word.challenged:
            raise ContractRefused("storage: no challenge is open")
        holding = self._committed(storage.root(number))
        witnesses = {witness.line: witness for witness in self._witnesses()}
        minted = 0
        for first in range(word.answered, word.samples, _BATCH):
            numbers = range(first, min(first + _BATCH, word.samples))
            answers = list(self._answers(holding, witnesses, number, numbers))
            intent = f"{key}:{first}" if key else None
            receipt = storage.answer(self._wallet, number, answers, key=intent)
            minted += self._minted(receipt)
        return Proof(word.samples - word.answered, word.samples, minted)

    def _answers(
        self,
        holding: Holding,
        witnesses: dict[Line, Witness],
        custodian: int,
        numbers: Sequence[int],
    ) -> Iterator[Answer]:
        for number in numbers:
            place = holding.place(self._suite.storage.sample(custodian, number))
            witness = witnesses.get(place.line)
            if witness is None:
                raise StateError(f"The witness of record 0x{place.line.record.hex()} is gone.")
            tree = self._tree(place.line.record)
            if tree.root != place.line.root:
                raise IntegrityError("The sealed bytes are not those that were witnessed.")
            with self._store.open(self._cid(place.line.record)) as sealed:
                sealed.seek(place.chunk * CHUNK)
                left = min(CHUNK, place.line.size - place.chunk * CHUNK)
                chunk = b""
                while len(chunk) < left and (part := sealed.read(left - len(chunk))):
                    chunk += part
            yield Answer(
                line=place.line,
                right=place.right,
                steps=place.steps,
                attester=witness.attester,
                signature=witness.signature,
                chunk=chunk,
                path=tuple(tree.path(place.chunk)),
            )

    def _tree(self, record: bytes) -> ChunkTree:
        if record not in self._trees:
            with self._store.open(self._cid(record)) as sealed:
                self._trees[record] = ChunkTree(sealed)
        return self._trees[record]

    def _cid(self, record: bytes) -> CID:
        draft = self._suite.registry.draft(record)
        return CID(Codec(draft.codec), draft.content)

    def _minted(self, receipt: Receipt) -> int:
        proven = self._suite.storage.events(receipt.logs, "StorageProven")
        return sum(int(log.args["minted"]) for log in proven)

    def _number(self) -> int:
        number = self._suite.registry.number_of(self._wallet.address)
        if not self._suite.registry.may(self._wallet.address, Capability.CUSTODIAN):
            raise NotPermitted(f"{self._wallet.address} is not accredited for this.")
        return number

    def _committed(self, root: bytes) -> Holding:
        entry = self._home.read_journal(_HOLDING)
        try:
            lines = [
                Line(bytes.fromhex(x["root"]), bytes.fromhex(x["record"]), int(x["size"]))
                for x in (entry or {})["lines"]
            ]
            holding = Holding(lines)
        except (KeyError, TypeError, ValueError, BadInput):
            raise StateError("The journal of the holding is missing or damaged.") from None
        if holding.root != root:
            raise StateError(
                "What is committed on the chain is another holding than this folder's."
            )
        return holding

    def _witnesses(self) -> Iterator[Witness]:
        for record in self._home.registered():
            entry = self._home.read_journal(_entry(bytes.fromhex(record)))
            if entry is None:
                continue
            try:
                line = Line(bytes.fromhex(entry["root"]), bytes.fromhex(record), int(entry["size"]))
                yield Witness(line, int(entry["attester"]), bytes.fromhex(entry["signature"]))
            except (KeyError, TypeError, ValueError):
                raise StateError("The journal of a witness is damaged.") from None


_HOLDING = "holding"


def _entry(record: bytes) -> str:
    return f"witness-{record.hex()}"


def _plain(value: bytes | int) -> str | int:
    return value.hex() if isinstance(value, bytes) else value
