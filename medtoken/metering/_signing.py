"""Vouchers signed and recognised fast: the very bytes of ``messages.Voucher``, hashed by hand.

A general EIP-712 encoder takes a hundred times as long as the signature itself.
"""

from __future__ import annotations

from coincurve import PrivateKey, PublicKey
from eth_account.messages import encode_typed_data
from eth_hash.auto import keccak
from eth_utils import to_checksum_address

from medtoken.errors import BadInput
from medtoken.messages import Domain, Voucher

_TYPE_HASH = keccak(Voucher(bytes(32), 0, 0).type_string().encode())
# Half of the curve's order; a larger s is the malleable twin of a valid signature.
_MAX_S = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


class VoucherHasher:
    """The EIP-712 digests of one market's vouchers."""

    def __init__(self, domain: Domain) -> None:
        """The domain is hashed once."""
        signable = encode_typed_data(full_message=Voucher(bytes(32), 0, 0).typed_data(domain))
        self.separator = bytes(signable.header)
        self._prefix = b"\x19\x01" + self.separator

    def digest(self, licence: bytes, units: int, time: int) -> bytes:
        """What the voucher key signs."""
        struct = _TYPE_HASH + licence + units.to_bytes(32) + time.to_bytes(32)
        return keccak(self._prefix + keccak(struct))


class VoucherKey:
    """The key that signs vouchers: apart from the wallet that pays, so a server may hold it."""

    def __init__(self, secret: bytes) -> None:
        """From 32 bytes. Raises BadInput on anything that is no private key."""
        try:
            if len(secret) != 32:
                raise ValueError
            self._key = PrivateKey(secret)
        except ValueError:
            raise BadInput("A voucher key is 32 bytes, a private key of secp256k1.") from None
        self.address = address_of(self._key.public_key.format(compressed=False))

    def sign(self, digest: bytes) -> bytes:
        """65 bytes r, s, v with low s."""
        signature = self._key.sign_recoverable(digest, hasher=None)
        return signature[:64] + bytes((signature[64] + 27,))

    def __repr__(self) -> str:
        """The address alone."""
        return f"VoucherKey({self.address})"


def recover(digest: bytes, signature: bytes) -> bytes | None:
    """The public key (65 bytes) that made a signature; None when the market would not take it."""
    if len(signature) != 65 or signature[64] not in (27, 28):
        return None
    if int.from_bytes(signature[32:64]) > _MAX_S:
        return None
    try:
        raw = signature[:64] + bytes((signature[64] - 27,))
        key = PublicKey.from_signature_and_message(raw, digest, hasher=None)
    except Exception:  # the library raises plain Exception on values off the curve
        return None
    return key.format(compressed=False)


def address_of(public: bytes) -> str:
    """The checksummed address of an uncompressed public key."""
    return str(to_checksum_address(keccak(public[1:])[12:]))
