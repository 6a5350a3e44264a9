# pragma version ~=0.4.3
"""
@title A smart wallet with one key, as ERC-1271 asks: it says yes to its owner's signature only.
@license AGPL-3.0-only
"""

_OWNER: immutable(address)


@deploy
def __init__(owner: address):
    _OWNER = owner


@external
@view
def isValidSignature(digest: bytes32, signature: Bytes[1024]) -> bytes4:
    assert len(signature) >= 65, "wallet: too short"
    signer: address = ecrecover(
        digest,
        convert(slice(signature, 64, 1), uint256),
        extract32(signature, 0, output_type=uint256),
        extract32(signature, 32, output_type=uint256),
    )
    return 0x1626ba7e if signer == _OWNER else 0xffffffff
