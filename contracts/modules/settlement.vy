# pragma version ~=0.4.3
"""
@title settlement
@license AGPL-3.0-only
@notice The one way in which a price becomes earnings (R8, R15). Amounts that come in are multiples of 10^9
        base units, and every part is a product of at most two rates in bps, so each part is exact: there is
        no rounding, no dust and nothing to favour anybody with.
@dev Two schedules: the standard one, and that of records which a trustee manages (R21).
"""

from ..interfaces import IDataMarket
from ..interfaces import IRecordRegistry
from . import accounts
from . import consents
from . import links
from . import rates

uses: accounts
uses: links
uses: rates

_BPS: constant(uint256) = 10_000
_WEEK: constant(uint256) = 7 * 86400

# kind → week (block.timestamp / 604,800) → base units settled: the demand that moves scarcity (R13). Only what was
# earned is settled, and so paid its levy: buying for a refund counts for nothing.
_demand: HashMap[uint256, HashMap[uint256, uint256]]
__gap: uint256[8]


struct Split:
    patient: uint256
    custodian: uint256
    annotator: uint256
    platform: uint256
    levy: uint256


# What one transaction has settled so far for everybody together.
struct Totals:
    platform: uint256
    levy: uint256


@external
@view
def demand(kind: uint256, week: uint256) -> uint256:
    """
    @notice Base units settled for a kind of record in a week (block.timestamp / 604,800).
    """
    return self._demand[kind][week]


@internal
def _credit(
    licence: bytes32,
    record: bytes32,
    mark: uint256,
    gross: uint256,
    epoch: uint256,
    share: uint256,
    totals: Totals,
) -> Totals:
    """
    @dev Credits `gross` of a licence to the record's parties at the rates of `epoch`; returns the totals with
         the platform's part and the levy added, which `_conclude` moves once for the whole transaction.
    """
    parties: IRecordRegistry.Parties = staticcall links.REGISTRY.parties(record)
    split: Split = self._split(
        gross, rates._unpack(rates._epochs[epoch]), share, parties.annotator != empty(address)
    )
    accounts._earn(parties.owner, split.patient)
    accounts._earn(parties.custodian, split.custodian)
    accounts._earn(parties.annotator, split.annotator)
    self._demand[parties.kind][block.timestamp // _WEEK] += gross
    log IDataMarket.LicenceSettled(
        licence=licence,
        record=record,
        kind=parties.kind,
        settled=mark,
        gross=gross,
        patient=parties.owner,
        patientAmount=split.patient,
        custodian=parties.custodian,
        custodianAmount=split.custodian,
        annotator=parties.annotator,
        annotatorAmount=split.annotator,
        platform=rates._platform,
        platformAmount=split.platform,
        levy=split.levy,
    )
    return Totals(platform=totals.platform + split.platform, levy=totals.levy + split.levy)


@internal
def _conclude(totals: Totals):
    """
    @dev Credits the platform and hands the levy to the treasury, which decides about burning (R17).
    """
    accounts._earn(rates._platform, totals.platform)
    if totals.levy != 0:
        extcall links.TREASURY.receive_levy(totals.levy)


@internal
@pure
def _split(gross: uint256, current: IDataMarket.Rates, share: uint256, annotated: bool) -> Split:
    """
    @dev Without an annotator its part is the provider's (R8). The provider part is what the others leave, and
         the patient's part what the custodian leaves, so the parts make the gross whatever the rates. Under a
         trustee the whole price is the provider's (R21).
    """
    annotator: uint256 = 0
    platform: uint256 = 0
    if share != consents.TRUST_SHARE:
        platform = gross * current.platform // _BPS
        if annotated:
            annotator = gross * current.annotator // _BPS
    provider: uint256 = gross - annotator - platform
    custodian: uint256 = provider * (_BPS - share) // _BPS
    return Split(
        patient=provider - custodian,
        custodian=custodian,
        annotator=annotator,
        platform=platform,
        levy=gross * current.levy // _BPS,
    )
