# pragma version ~=0.4.3
"""
@title signing
@license AGPL-3.0-only
@notice EIP-712 signatures of plain wallets, of smart wallets (ERC-1271) and of wallets that carry code
        but still sign with their key (EIP-7702).
@dev ERC-6492 (a wallet that is not deployed yet) is left out on purpose: it makes the verifier call a
     factory that the signature names, and a contract which holds tokens must not call where it is told.
"""

from snekmate.utils import eip712_domain_separator as domain

initializes: domain

exports: domain.eip712Domain

# The longest signature accepted, in bytes: smart wallets put proofs and several keys in theirs.
_MAX_SIGNATURE: constant(uint256) = 1024
_ERC1271_MAGIC: constant(bytes32) = (
    0x1626ba7e00000000000000000000000000000000000000000000000000000000
)
# Half of the curve's order; a larger `s` is the malleable twin of a valid signature.
_MAX_S: constant(uint256) = (
    57896044618658097711785492504343953926418782139537452191302581570759080747168
)


@deploy
def __init__(name: String[50], version: String[20]):
    domain.__init__(name, version)


@internal
@view
def _require(signer: address, struct_hash: bytes32, signature: Bytes[_MAX_SIGNATURE]):
    """
    @dev Refuses unless `signer` signed the EIP-712 message with this struct hash, or is the caller itself.
    """
    if msg.sender != signer:
        assert self._signed_by(
            signer, domain._hash_typed_data_v4(struct_hash), signature
        ), "signature: not by its owner"


@internal
@view
def _signed_by(signer: address, digest: bytes32, signature: Bytes[_MAX_SIGNATURE]) -> bool:
    """
    @dev Whether `signer` signed `digest`. The key is tried before the code: it is cheaper, and whoever
         holds the key of a 7702 account controls the account anyway.
    """
    if signer == empty(address):
        return False
    if len(signature) == 65:
        s: uint256 = extract32(signature, 32, output_type=uint256)
        if s <= _MAX_S:
            recovered: address = ecrecover(
                digest,
                convert(slice(signature, 64, 1), uint256),
                extract32(signature, 0, output_type=uint256),
                s,
            )
            if recovered == signer:
                return True
    if not signer.is_contract:
        return False
    success: bool = False
    answer: Bytes[32] = b""
    success, answer = raw_call(
        signer,
        abi_encode(digest, signature, method_id=method_id("isValidSignature(bytes32,bytes)")),
        max_outsize=32,
        is_static_call=True,
        revert_on_failure=False,
    )
    return success and len(answer) == 32 and convert(answer, bytes32) == _ERC1271_MAGIC
