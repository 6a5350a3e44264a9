"""Accounts and storage words, from ``eth_getProof`` against a header's state root."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from medtoken._keccak import keccak
from medtoken.audit.proven.rlp import decode
from medtoken.audit.proven.trie import EMPTY_ROOT, proven
from medtoken.errors import BadInput, NodeUnreachable, ProofFailed

_NO_CODE = keccak(b"")


@dataclass(frozen=True)
class Account:
    """What the state holds of an address. One that was never touched is empty."""

    nonce: int
    balance: int  # wei
    storage_root: bytes
    code_hash: bytes


_EMPTY = Account(0, 0, EMPTY_ROOT, _NO_CODE)


class StorageProof(msgspec.Struct, frozen=True):
    """A slot's proof; what the node says that the word is, is not read."""

    key: str
    proof: list[str]


class AccountProof(msgspec.Struct, rename="camel", frozen=True):
    """What ``eth_getProof`` gives, but for what the node claims beside its proofs."""

    account_proof: list[str]
    storage_proof: list[StorageProof]

    def account(self, state_root: bytes, address: str) -> Account:
        """The account under a state root. Raises ProofFailed where the proof does not lead to it."""
        key = keccak(bytes.fromhex(address[2:]))
        value = proven(state_root, key, _nodes(self.account_proof))
        if value is None:
            return _EMPTY
        try:
            fields = decode(value)
        except BadInput as error:
            raise ProofFailed(f"The account {address} is not well formed: {error}") from None
        match fields:
            case [bytes() as nonce, bytes() as balance, bytes() as storage, bytes() as code]:
                return Account(int.from_bytes(nonce), int.from_bytes(balance), storage, code)
        raise ProofFailed(f"The account {address} is not well formed.")

    def leaves(self, account: Account, slots: Sequence[int]) -> dict[int, int]:
        """The words of those among some slots that are in the trie.

        Raises ProofFailed where neither presence nor absence is proven.
        """
        if len(self.storage_proof) != len(slots):
            raise ProofFailed("The node proves other slots than it was asked for.")
        found = zip(slots, self.storage_proof, strict=True)
        words = {slot: _word(account.storage_root, slot, entry.proof) for slot, entry in found}
        return {slot: word for slot, word in words.items() if word is not None}


def _word(root: bytes, slot: int, proof: Sequence[str]) -> int | None:
    value = proven(root, keccak(slot.to_bytes(32)), _nodes(proof))
    if value is None:
        return None
    try:
        word = decode(value)
    except BadInput as error:
        raise ProofFailed(f"The word of slot {slot} is not well formed: {error}") from None
    if not isinstance(word, bytes):
        raise ProofFailed(f"The word of slot {slot} is a list.")
    return int.from_bytes(word)


def _nodes(proof: Sequence[str]) -> list[bytes]:
    try:
        return [bytes.fromhex(node[2:]) for node in proof]
    except ValueError:
        raise NodeUnreachable("The node gave a proof that is not hexadecimal.") from None
