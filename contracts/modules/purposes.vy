# pragma version ~=0.4.3
"""
@title purposes
@license AGPL-3.0-only
@notice Whether a purpose lies inside a consent, by the GA4GH Data Use Ontology: bit n is DUO:00000nn.
        A consent names permissions (any of them suffices) and modifiers, each of which the licensee must
        undertake by naming it too. A code that is not known here is taken for a modifier: what is not
        understood restricts, it never permits.
"""

_HEALTH: constant(uint256) = 1 << 6  # HMB, health, medical, biomedical research
_DISEASE: constant(uint256) = 1 << 7  # DS, research on the diseases named
_ANCESTRY: constant(uint256) = 1 << 11  # POA, population origins or ancestry research
_GENERAL: constant(uint256) = 1 << 42  # GRU, general research
_UNRESTRICTED: constant(uint256) = 1 << 4  # NRES, no restriction
_PERMISSIONS: constant(uint256) = _HEALTH | _DISEASE | _ANCESTRY | _GENERAL | _UNRESTRICTED


@internal
@pure
def _permits(
    allowed: uint256, allowedDiseases: bytes32, asked: uint256, askedDiseases: bytes32
) -> bool:
    """
    @dev `asked` names exactly one permission; NRES is never asked for, it is only given.
    """
    # Every modifier of the consent must be undertaken.
    if allowed & ~_PERMISSIONS & ~asked != 0:
        return False
    purpose: uint256 = asked & _PERMISSIONS
    enough: uint256 = _UNRESTRICTED | _GENERAL
    if purpose == _DISEASE:
        if askedDiseases == empty(bytes32):
            return False
        if allowedDiseases == askedDiseases:
            enough |= _DISEASE
        enough |= _HEALTH
    elif purpose == _HEALTH:
        enough |= _HEALTH
    elif purpose == _ANCESTRY:
        enough |= _ANCESTRY
    elif purpose != _GENERAL:
        return False
    return allowed & enough != 0
