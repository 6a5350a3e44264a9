# pragma version ~=0.4.3
"""
@title merkle
@license AGPL-3.0-only
@notice Membership in a set by a Merkle proof with sorted pairs, as OpenZeppelin's libraries build them.
@dev The check itself is snekmate's; this module bounds the proof, so that callers reserve little memory.
"""

from snekmate.utils import merkle_proof_verification

# Levels: sets of up to 2^32 members.
_MAX_DEPTH: constant(uint256) = 32


@internal
@pure
def _proves(proof: DynArray[bytes32, _MAX_DEPTH], root: bytes32, leaf: bytes32) -> bool:
    """
    @dev An empty proof is a set of one: the root is the leaf.
    """
    if len(proof) == 0:
        return leaf == root
    return merkle_proof_verification._verify(proof, root, leaf)
