# pragma version ~=0.4.3
"""
@title attestations
@license AGPL-3.0-only
@notice What scores may be attested of a record, or claimed against an attestation (R7). What they mean is
        the published method's, which they name; here is only what no method can say.
"""

from ..interfaces import IRecordRegistry

_MAX_UNITS: constant(uint256) = 100_000  # 100 units in one record, in thousandths
_DAY: constant(uint256) = 86_400


@internal
@view
def _check(scores: IRecordRegistry.Scores):
    """
    @dev Reverts on a score out of range, a missing method, and a day of reference that is missing or to come.
    """
    assert (
        scores.volume <= 100
        and scores.completeness <= 100
        and scores.timeliness <= 100
        and scores.accuracy <= 100
        and scores.annotation <= 100
        and scores.traceability <= 100
    ), "scores: a score is over 100"
    assert scores.dvi != 0 and scores.dvi <= 100, "scores: the DVI must be from 1 to 100"
    assert scores.units != 0 and scores.units <= _MAX_UNITS, "scores: units are out of range"
    assert (
        scores.asOf != 0 and scores.asOf <= block.timestamp // _DAY
    ), "scores: the day of reference is missing or to come"
    assert scores.method != empty(bytes32), "scores: no method is named"
