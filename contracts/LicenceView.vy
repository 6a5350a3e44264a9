# pragma version ~=0.4.3
"""
@title LicenceView
@license AGPL-3.0-only
@notice Licences in readable form for other contracts and for pages: whether one can be used now, what it says, what
        it has earned. It reads the market's packed words. Of its own it holds only what licensees attested once
        their licences were over: that they destroyed what they had (R35).
"""

from interfaces import IDataMarket
from interfaces import ILicenceView
from modules import signing

initializes: signing

exports: signing.eip712Domain

_DESTRUCTION_TYPE: constant(bytes32) = keccak256(
    "CopyDestruction(bytes32 licence,bytes32 statement)"
)
_MAX_SIGNATURE: constant(uint256) = 1024

_MARKET: immutable(IDataMarket)

_METERED: constant(uint256) = 2
_SUSPENDED: constant(uint256) = 4
_CLOSED: constant(uint256) = 8
_URGENT: constant(uint256) = 16
_GRAIN: constant(uint256) = 10**9
_TIME: constant(uint256) = 2**40 - 1
_MAX_BATCH: constant(uint256) = 100

# licence → SHA-256 of what its licensee stated of the destruction; zero: nothing yet
_statements: HashMap[bytes32, bytes32]


@deploy
def __init__(market: address):
    """
    @param market The DataMarket's proxy.
    """
    assert market != empty(address), "view: no market is named"
    _MARKET = IDataMarket(market)
    signing.__init__("medtoken", "1")


@external
def attest_destruction(
    ref: IDataMarket.LicenceRef, statement: bytes32, signature: Bytes[_MAX_SIGNATURE]
):
    """
    @notice Put on the chain that a licensee destroyed every copy that it had of a record, after its licence (R35).
    @param statement SHA-256 of what it states: which copies, how and when. Nobody can check that it is true.
    @param signature The licensee's EIP-712 signature over CopyDestruction(licence, statement), which never expires;
           empty when the licensee sends the transaction itself.
    @dev Anybody may relay. Reverts when the licence is unknown or not over, no statement is named, one was made
         before, or the signature is another's.
    """
    id: bytes32 = keccak256(abi_encode(ref))
    found: IDataMarket.Licence = self._licence(id)
    assert found.form != 0, "view: unknown licence"
    assert found.closed or not self._lasts(found, ref.consent), "view: the licence is not over"
    assert statement != empty(bytes32), "view: no statement is named"
    assert self._statements[id] == empty(bytes32), "view: the destruction was attested before"
    signing._require(
        ref.licensee, keccak256(abi_encode(_DESTRUCTION_TYPE, id, statement)), signature
    )
    self._statements[id] = statement
    log ILicenceView.DestructionAttested(
        licence=id, record=ref.record, licensee=ref.licensee, statement=statement
    )


@external
@view
def destruction(id: bytes32) -> bytes32:
    """
    @notice What a licence's licensee stated of the destruction of its copies: the statement's hash, or zero.
    """
    return self._statements[id]


@external
@pure
def licence_id(ref: IDataMarket.LicenceRef) -> bytes32:
    """
    @notice The id of the licence with this ref.
    """
    return keccak256(abi_encode(ref))


@external
@view
def licence(id: bytes32) -> IDataMarket.Licence:
    """
    @notice What is stored of a licence; zeros for an unknown one.
    """
    return self._licence(id)


@external
@view
def is_valid(ref: IDataMarket.LicenceRef, units: uint256) -> bool:
    """
    @notice Whether the licence can be used for `units` now: bought, running, neither suspended nor closed, its
            consent live, and, when it is metered, that many units prepaid and unused. Zero units are never valid, nor
            are more than 40 bits hold, which the market refuses to log.
    """
    found: IDataMarket.Licence = self._licence(keccak256(abi_encode(ref)))
    if units == 0 or units > _TIME:
        return False
    if found.form == _METERED and units > found.units - found.used:
        return False
    return self._runs(found, ref.consent)


@external
@view
def is_usable(ref: IDataMarket.LicenceRef) -> bool:
    """
    @notice Whether the licence runs now: bought, not ended, neither suspended nor closed, its consent live; however
            many units are left.
    """
    return self._runs(self._licence(keccak256(abi_encode(ref))), ref.consent)


@external
@view
def earned_now(refs: DynArray[IDataMarket.LicenceRef, _MAX_BATCH]) -> uint256:
    """
    @notice What licences have earned and nobody has settled yet, before the split; base units.
    """
    total: uint256 = 0
    for ref: IDataMarket.LicenceRef in refs:
        found: IDataMarket.Licence = self._licence(keccak256(abi_encode(ref)))
        if found.form != 0 and not found.closed:
            revoked: uint256 = (staticcall _MARKET.consent_word(ref.consent) >> 200) & _TIME
            stop: uint256 = found.used
            if found.form != _METERED:
                stop = min(block.timestamp, found.end)
                if revoked != 0:
                    stop = min(stop, revoked)
            total += self._earned(found, stop) - self._earned(found, found.settled)
    return total


@internal
@view
def _runs(found: IDataMarket.Licence, consentId: bytes32) -> bool:
    return (
        found.form != 0
        and not found.suspended
        and not found.closed
        and self._lasts(found, consentId)
    )


@internal
@view
def _lasts(found: IDataMarket.Licence, consentId: bytes32) -> bool:
    """
    @dev Whether neither the licence's time nor its consent has ended. A suspended licence may run again.
    """
    consent: uint256 = staticcall _MARKET.consent_word(consentId)
    return (
        found.end > block.timestamp
        and (consent >> 160) & _TIME > block.timestamp
        and (consent >> 200) & _TIME == 0
    )


@internal
@view
def _licence(id: bytes32) -> IDataMarket.Licence:
    word: uint256 = staticcall _MARKET.licence_word(id)
    flags: uint256 = (word >> 120) & (2**16 - 1)
    form: uint256 = flags & 3
    metered: bool = form == _METERED
    a: uint256 = (word >> 136) & _TIME
    b: uint256 = (word >> 176) & _TIME
    return IDataMarket.Licence(
        form=form,
        price=(word & (2**64 - 1)) * _GRAIN,
        start=0 if metered else a,
        end=(word >> 64) & _TIME,
        units=a if metered else 0,
        used=b if metered else 0,
        settled=word >> 216 if metered else b,
        epoch=(word >> 104) & (2**16 - 1),
        suspended=flags & _SUSPENDED != 0,
        closed=flags & _CLOSED != 0,
        urgent=flags & _URGENT != 0,
    )


@internal
@pure
def _earned(found: IDataMarket.Licence, mark: uint256) -> uint256:
    if found.form == _METERED:
        return found.price * mark
    return found.price // _GRAIN * (mark - found.start) // (found.end - found.start) * _GRAIN
