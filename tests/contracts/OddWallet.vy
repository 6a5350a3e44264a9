# pragma version ~=0.4.3
"""
@title A smart wallet that answers with fixed bytes, or misbehaves first.
@license AGPL-3.0-only
"""

QUIET: constant(uint256) = 0
REVERT: constant(uint256) = 1
BURN_GAS: constant(uint256) = 2
CALL_BACK: constant(uint256) = 3

_BEHAVIOUR: immutable(uint256)
_ANSWER: immutable(Bytes[4096])
_TARGET: immutable(address)
_DATA: immutable(Bytes[2048])


@deploy
def __init__(behaviour: uint256, answer: Bytes[4096], target: address, data: Bytes[2048]):
    _BEHAVIOUR = behaviour
    _ANSWER = answer
    _TARGET = target
    _DATA = data


@external
@raw_return
def isValidSignature(digest: bytes32, signature: Bytes[1024]) -> Bytes[4096]:
    if _BEHAVIOUR == REVERT:
        raise "wallet: no"
    if _BEHAVIOUR == BURN_GAS:
        for i: uint256 in range(max_value(uint256)):
            assert i != max_value(uint256)
    if _BEHAVIOUR == CALL_BACK:
        # Whatever comes of it, say yes.
        ignored: bool = raw_call(_TARGET, _DATA, revert_on_failure=False)
    return _ANSWER
