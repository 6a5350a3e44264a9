# pragma version ~=0.4.3
"""
@title AssetDesk
@license AGPL-3.0-only
@notice Institution assets (R3): datasets and models that were derived from licensed records, one ERC-721 each. An asset is
        a record like any other, of kind derived, owned by an account of its own; it is licensed in the DataMarket and
        settled there (R15). Of what its account earns, the lineage share goes to the records that it came from, by the
        roster that its custodian stated when it was created; the rest is the token holder's.
        A line of a roster counts while its licence was really the creator's and its consent allowed to derive and to
        sell: zero denies. Anybody who finds a line that does not count takes the roster back before it opens, and
        nothing is offered until then; a line that slipped through is never paid.
        Nobody, the timelock included, can move a pot or a balance to anyone but whose it is. Nothing here is paused:
        money only comes in through the market, which is.
@dev Never checked, for no contract can: that the asset came from these records and from no others, that the weights are
     fair, and that sources are not friends of the creator. The manifest shows them. Behind a proxy.
"""

from interfaces import IAssetDesk
from interfaces import IDataMarket
from interfaces import IRecordRegistry
from modules import access
from modules import initializer
from modules import merkle
from modules import payouts
from modules import signing

initializes: initializer
initializes: access
initializes: signing
initializes: payouts[signing := signing]

exports: (
    access.authority,
    signing.eip712Domain,
    payouts.withdraw,
    payouts.balance_word,
)


interface Account:
    def open(): nonpayable
    def grant(consent: IDataMarket.Consent) -> bytes32: nonpayable
    def revoke(consent: bytes32): nonpayable
    def sweep() -> uint256: nonpayable


interface Registry:
    def number_of(account: address) -> uint256: view
    def institution(number: uint256) -> (address, uint256): view
    def parties(record: bytes32) -> IRecordRegistry.Parties: view


interface Token:
    def mint(to: address, tokenId: uint256): nonpayable
    def ownerOf(tokenId: uint256) -> address: view


_REGISTRY: immutable(Registry)
_MARKET: immutable(IDataMarket)
_TOKEN: immutable(Token)
_ACCOUNT: immutable(address)

_CUSTODIAN: constant(uint256) = 1
_DERIVED: constant(uint256) = 7
_BPS: constant(uint256) = 10_000
# The owner's part of every asset's provider part, the most that R8 allows: what an account earns is this much of it.
_OWNER_SHARE: constant(uint256) = 8_000
# GA4GH DUO modifiers under which nothing may be derived that is sold: NMDS no methods development, NPUNCU not-for-profit and
# non-commercial, NPU not-for-profit, NCU non-commercial.
_FORBIDDING: constant(uint256) = (1 << 15) | (1 << 18) | (1 << 45) | (1 << 46)
_MAX_BATCH: constant(uint256) = 50

# Bounds within which the timelock may move the parameters.
_MIN_SHARE: constant(uint256) = 500
_MAX_SHARE: constant(uint256) = 5_000
_MIN_WINDOW: constant(uint256) = 86400
_MAX_WINDOW: constant(uint256) = 90 * 86400

_CONSENT_TYPE: constant(bytes32) = keccak256(
    "Consent(address patient,bytes32 records,uint256 purposes,bytes32 diseases,uint256 licensees,bytes32 fields,uint256 region,uint256 tier,uint256 patientShare,uint256 floorPrice,uint256 expiry,uint256 nonce,uint256 deadline)"
)

_ADDRESS: constant(uint256) = 2**160 - 1
_CODE: constant(uint256) = 2**16 - 1
_TIME: constant(uint256) = 2**40 - 1
_AMOUNT: constant(uint256) = 2**128 - 1
_WEIGHT: constant(uint256) = 2**96 - 1
_MAX_COUNT: constant(uint256) = 2**32 - 1
# asset
_OPENS_AT: constant(uint256) = 160
_SHARE_AT: constant(uint256) = 200
# books
_CLAIMED_AT: constant(uint256) = 128
# line
_MARK_AT: constant(uint256) = 96
_PATIENT_AT: constant(uint256) = 224

# All words: lowest bits first.

# asset → creator 160 | lineage opens (unix seconds) 40 | lineage share (bps) 16; zero is no asset
_assets: HashMap[bytes32, uint256]
# asset → Merkle root of its lineage; empty while a roster that was taken back is not stated anew
_roots: HashMap[bytes32, bytes32]
# asset → sum of the weights
_totals: HashMap[bytes32, uint256]
# asset → all that its account has earned 128 | all that its lineage has claimed 128, base units
_books: HashMap[bytes32, uint256]
# asset → licence → weight 96 | mark: the pot at its last claim (base units) 128 | patient's share (bps) 16; zero is
# no line that has joined
_lines: HashMap[bytes32, HashMap[bytes32, uint256]]
# lineage share of new assets, bps
_share: uint256
# seconds between the statement of a roster and its opening
_window: uint256
__gap: uint256[16]


@deploy
def __init__(
    deployer: address,
    manager: address,
    usage: address,
    registry: address,
    market: address,
    token: address,
    account: address,
):
    """
    @param deployer The account that initialises the proxy, once.
    @param manager The AccessManager.
    @param usage The UsageToken (DUT).
    @param registry The RecordRegistry's proxy.
    @param market The DataMarket's proxy.
    @param token The InstitutionToken, whose bound minter is this contract's proxy.
    @param account The bare AssetAccount that every asset's account is a proxy of.
    """
    access.__init__(manager)
    initializer.__init__(deployer)
    signing.__init__("medtoken", "1")
    payouts.__init__(usage)
    assert (
        registry != empty(address)
        and market != empty(address)
        and token != empty(address)
        and account != empty(address)
    ), "asset: a contract is missing"
    _REGISTRY = Registry(registry)
    _MARKET = IDataMarket(market)
    _TOKEN = Token(token)
    _ACCOUNT = account


@external
def initialize(share: uint256, window: uint256):
    """
    @notice Set the first parameters, once.
    @param share Lineage share of new assets, bps.
    @param window Seconds between a lineage's statement and its opening.
    @dev Caller: the deployer, through the proxy.
    """
    initializer._initialize()
    self._set_share(share)
    self._set_window(window)


# ------------------------------------------------------------------ assets and their lineage


@external
@nonreentrant
def create(asset: bytes32, lineage: IAssetDesk.Lineage) -> address:
    """
    @notice Make an asset of a derived record: its account, its token, held by the caller, and its lineage at the share in
            force.
    @param asset The record. Its owner is the account that `account_of` names for it.
    @param lineage The roster of the licences that it came from; they were bought by the caller.
    @return The asset's account.
    @dev Caller: the record's custodian, accredited. Reverts when the record is not derived, another's, or not owned by
         its account, when the asset exists, and on a roster that is empty or out of range.
    """
    parties: IRecordRegistry.Parties = staticcall _REGISTRY.parties(asset)
    custodian: uint256 = self._require_custodian(parties)
    assert parties.kind == _DERIVED, "asset: the record is not derived"
    assert self._assets[asset] == 0, "asset: it exists"
    account: address = create_minimal_proxy_to(_ACCOUNT, salt=asset)
    assert parties.owner == account, "asset: the record is not owned by its account"
    extcall Account(account).open()
    share: uint256 = self._share
    self._assets[asset] = convert(msg.sender, uint256) | (share << _SHARE_AT)
    log IAssetDesk.AssetCreated(
        asset=asset, account=account, creator=msg.sender, custodian=custodian, share=share
    )
    self._state(asset, lineage)
    extcall _TOKEN.mint(msg.sender, convert(asset, uint256))
    return account


@external
def restate(asset: bytes32, lineage: IAssetDesk.Lineage):
    """
    @notice State another roster in the place of one that was taken back.
    @dev Caller: the record's custodian, accredited. Reverts on an unknown asset, while a roster stands, and on a roster
         that is empty or out of range.
    """
    self._require_custodian(staticcall _REGISTRY.parties(asset))
    self._asset(asset)
    assert self._roots[asset] == empty(bytes32), "asset: its lineage stands"
    self._state(asset, lineage)


@external
def refute(asset: bytes32, line: IAssetDesk.Line, source: IAssetDesk.Source):
    """
    @notice Take a roster back before it opens, by one line that does not count: nobody bought its licence, somebody else
            than the creator did, it is on the asset itself, or its consent does not allow to derive and to sell.
    @param source What names the licence and its consent; anything where nobody bought the licence.
    @dev Anybody may call. Reverts on an unknown asset, once the roster is open, on a line that is not in it, and on one
         that counts.
    """
    word: uint256 = self._closed(asset)
    self._require_line(asset, line)
    assert (
        staticcall _MARKET.licence_word(line.licence) == 0
        or not self._counts(asset, word, line.licence, source)
    ), "asset: the line counts"
    self._take_back(asset)
    log IAssetDesk.LineageRefuted(asset=asset, licence=line.licence, index=line.index)


@external
def cancel(asset: bytes32, reason: bytes32):
    """
    @notice Take a roster back before it opens, for what no contract can see: sources that are missing or made up.
    @param reason Digest of the finding.
    @dev Caller: the council role. Reverts on an unknown asset, and once the roster is open.
    """
    access._restricted()
    self._closed(asset)
    self._take_back(asset)
    log IAssetDesk.LineageCancelled(asset=asset, reason=reason)


@external
def join(
    asset: bytes32,
    lines: DynArray[IAssetDesk.Line, _MAX_BATCH],
    sources: DynArray[IAssetDesk.Source, _MAX_BATCH],
):
    """
    @notice Prove lines of an open roster, so that they can be paid from then on for all that was earned.
    @dev Anybody may call. A line that has joined is passed over. Reverts on an unknown asset, before the roster is open,
         on a line that is not in it or does not count, and when there are not as many sources as lines.
    """
    word: uint256 = self._open(asset)
    assert len(lines) == len(sources), "asset: a source is missing"
    for i: uint256 in range(len(lines), bound=_MAX_BATCH):
        licence: bytes32 = lines[i].licence
        if self._lines[asset][licence] != 0:
            continue
        weight: uint256 = lines[i].weight
        assert weight != 0 and weight <= self._totals[asset], "asset: weights out of range"
        self._require_line(asset, lines[i])
        assert self._counts(asset, word, licence, sources[i]), "asset: the line does not count"
        share: uint256 = sources[i].consent.patientShare
        self._lines[asset][licence] = weight | (share << _PATIENT_AT)
        log IAssetDesk.SourceJoined(
            asset=asset,
            licence=licence,
            record=sources[i].ref.record,
            index=lines[i].index,
            weight=weight,
            patientShare=share,
        )


# ------------------------------------------------------------------ offers


@external
def offer(asset: bytes32, consent: IDataMarket.Consent) -> bytes32:
    """
    @notice Offer the asset: grant, as its account, a consent that licences are bought under in the market.
    @param consent Its patient is the asset's account, its records the asset or a later version of it, and the owner's
           share 8,000 bps.
    @return The consent's id.
    @dev Caller: the token's holder. Reverts on an unknown asset, before its lineage is open, on another record, on another
         share, and as the market's `grant_consent` does.
    """
    self._open(asset)
    self._require_holder(asset)
    account: address = self._account(asset)
    assert consent.patient == account, "asset: not its account"
    parties: IRecordRegistry.Parties = staticcall _REGISTRY.parties(consent.records)
    assert parties.owner == account and parties.kind == _DERIVED, "asset: not its record"
    assert consent.patientShare == _OWNER_SHARE, "asset: the owner's share is not 8,000 bps"
    id: bytes32 = extcall Account(account).grant(consent)
    log IAssetDesk.AssetOffered(asset=asset, consent=id, holder=msg.sender)
    return id


@external
def withdraw_offer(asset: bytes32, consent: bytes32):
    """
    @notice Revoke a consent of the asset, whoever held the token when it was granted.
    @dev Caller: the token's holder. Reverts on an unknown asset, and as the market's `revoke_consent` does.
    """
    self._asset(asset)
    self._require_holder(asset)
    extcall Account(self._account(asset)).revoke(consent)
    log IAssetDesk.OfferWithdrawn(asset=asset, consent=consent, holder=msg.sender)


# ------------------------------------------------------------------ money


@external
@nonreentrant
def collect(asset: bytes32):
    """
    @notice Book what the asset's account has earned: the lineage share into its pot, the rest to the token's holder.
    @dev Anybody may call; the token does before it moves. Reverts on an unknown asset, and when the account is frozen.
    """
    word: uint256 = self._asset(asset)
    account: address = self._account(asset)
    sold: uint256 = extcall Account(account).sweep()
    # What assets derived from this one owe it as a source.
    inherited: uint256 = payouts._balances[account] & _AMOUNT
    if sold + inherited == 0:
        return
    if inherited != 0:
        payouts._balances[account] -= inherited
    book: uint256 = self._books[asset]
    lineage: uint256 = self._pot((book & _AMOUNT) + sold + inherited, word) - self._pot(
        book & _AMOUNT, word
    )
    self._books[asset] = book + sold + inherited
    holder: address = staticcall _TOKEN.ownerOf(convert(asset, uint256))
    kept: uint256 = sold + inherited - lineage
    log IAssetDesk.AssetEarned(
        asset=asset, holder=holder, sold=sold, inherited=inherited, lineage=lineage, kept=kept
    )
    payouts._credit(holder, kept)


@external
def claim(asset: bytes32, refs: DynArray[IDataMarket.LicenceRef, _MAX_BATCH]):
    """
    @notice Credit the sources of joined lines with their part of the pot: of each, the patient's share to the record's
            owner, the rest to its custodian (R8).
    @dev Anybody may call, for only they are credited. Reverts on an unknown asset and on a line that has not joined.
    """
    word: uint256 = self._asset(asset)
    book: uint256 = self._books[asset]
    pot: uint256 = self._pot(book & _AMOUNT, word)
    total: uint256 = self._totals[asset]
    claimed: uint256 = 0
    for ref: IDataMarket.LicenceRef in refs:
        licence: bytes32 = keccak256(abi_encode(ref))
        line: uint256 = self._lines[asset][licence]
        assert line != 0, "asset: the line has not joined"
        amount: uint256 = self._due(line, pot, total)
        # Nothing is written that no event tells.
        if amount == 0:
            continue
        self._lines[asset][licence] = (line & ~(_AMOUNT << _MARK_AT)) | (pot << _MARK_AT)
        claimed += amount
        parties: IRecordRegistry.Parties = staticcall _REGISTRY.parties(ref.record)
        custodian: uint256 = amount * (_BPS - (line >> _PATIENT_AT)) // _BPS
        log IAssetDesk.LineageClaimed(
            asset=asset,
            licence=licence,
            patient=parties.owner,
            patientAmount=amount - custodian,
            custodian=parties.custodian,
            custodianAmount=custodian,
        )
        payouts._credit(parties.owner, amount - custodian)
        payouts._credit(parties.custodian, custodian)
    if claimed != 0:
        # A sound roster never meets the limit; one whose weights make more than its total exhausts its own pot.
        assert (book >> _CLAIMED_AT) + claimed <= pot, "asset: more than the pot holds"
        self._books[asset] = book + (claimed << _CLAIMED_AT)


# ------------------------------------------------------------------ governed parameters


@external
def set_share(share: uint256):
    """
    @notice Set the lineage share of assets that are created from now on, in bps of the provider part.
    @dev Caller: the timelock. Reverts outside 500–5,000.
    """
    access._restricted()
    self._set_share(share)


@external
def set_window(window: uint256):
    """
    @notice Set the seconds between statement and opening, for rosters that are stated from now on.
    @dev Caller: the timelock. Reverts outside one to ninety days.
    """
    access._restricted()
    self._set_window(window)


# ------------------------------------------------------------------ views


@external
@view
def account_of(asset: bytes32) -> address:
    """
    @notice The account that owns an asset's record, whether it was made or not (CREATE2).
    """
    return self._account(asset)


@external
@view
def asset_word(asset: bytes32) -> uint256:
    """
    @notice What is stored of an asset: creator 160, lineage opens (unix seconds) 40, lineage share (bps) 16, lowest bits
            first; zero for none.
    """
    return self._assets[asset]


@external
@view
def lineage(asset: bytes32) -> (bytes32, uint256):
    """
    @notice The root of an asset's roster, and the sum of its weights; zeros when it was taken back.
    """
    return self._roots[asset], self._totals[asset]


@external
@view
def books_word(asset: bytes32) -> uint256:
    """
    @notice An asset's money: all that its account has earned 128, all that its lineage has claimed 128, base units,
            lowest bits first.
    """
    return self._books[asset]


@external
@view
def line_word(asset: bytes32, licence: bytes32) -> uint256:
    """
    @notice What is stored of a line that has joined: weight 96, mark (the pot at its last claim) 128, the patient's share
            (bps) 16, lowest bits first.
    """
    return self._lines[asset][licence]


@external
@view
def claimable(asset: bytes32, licence: bytes32) -> uint256:
    """
    @notice Base units that `claim` would credit for a line now, beside what was not collected yet.
    """
    line: uint256 = self._lines[asset][licence]
    if line == 0:
        return 0
    pot: uint256 = self._pot(self._books[asset] & _AMOUNT, self._assets[asset])
    return self._due(line, pot, self._totals[asset])


@external
@view
def terms() -> (uint256, uint256):
    """
    @notice Lineage share of new assets (bps), and the seconds until a roster opens.
    """
    return self._share, self._window


# ------------------------------------------------------------------ internal


@internal
@view
def _asset(asset: bytes32) -> uint256:
    word: uint256 = self._assets[asset]
    assert word != 0, "asset: unknown asset"
    return word


@internal
@view
def _open(asset: bytes32) -> uint256:
    """
    @dev The word of an asset whose roster is final; refuses any other.
    """
    word: uint256 = self._asset(asset)
    assert (
        self._roots[asset] != empty(bytes32) and block.timestamp >= self._opens(word)
    ), "asset: its lineage is not open yet"
    return word


@internal
@view
def _closed(asset: bytes32) -> uint256:
    """
    @dev The word of an asset whose roster can be taken back; refuses any other.
    """
    word: uint256 = self._asset(asset)
    assert (
        self._roots[asset] != empty(bytes32) and block.timestamp < self._opens(word)
    ), "asset: its lineage is not to be taken back"
    return word


@internal
@view
def _require_custodian(parties: IRecordRegistry.Parties) -> uint256:
    """
    @dev The caller's number; refuses anybody but the record's custodian while it is accredited.
    """
    number: uint256 = staticcall _REGISTRY.number_of(msg.sender)
    account: address = empty(address)
    capabilities: uint256 = 0
    account, capabilities = staticcall _REGISTRY.institution(number)
    assert capabilities & _CUSTODIAN != 0, "institutions: the caller is not accredited for this"
    assert parties.custodian == msg.sender, "asset: not the record's custodian"
    return number


@internal
@view
def _require_holder(asset: bytes32):
    assert (
        staticcall _TOKEN.ownerOf(convert(asset, uint256)) == msg.sender
    ), "asset: the caller does not hold it"


@internal
@view
def _require_line(asset: bytes32, line: IAssetDesk.Line):
    leaf: bytes32 = keccak256(keccak256(abi_encode(asset, line.index, line.licence, line.weight)))
    assert merkle._proves(line.proof, self._roots[asset], leaf), "asset: not in the lineage"


@internal
@view
def _counts(asset: bytes32, word: uint256, licence: bytes32, source: IAssetDesk.Source) -> bool:
    """
    @dev Whether a line's licence was bought by the creator, on another record than the asset's own, under a consent that
         allows to derive and to sell. Refuses a source that is not the licence's.
    """
    assert (
        keccak256(abi_encode(source.ref)) == licence
        and keccak256(abi_encode(_CONSENT_TYPE, source.consent)) == source.ref.consent
    ), "asset: not the line's source"
    return (
        staticcall _MARKET.licence_word(licence) != 0
        and convert(source.ref.licensee, uint256) == word & _ADDRESS
        and source.consent.patient != self._account(asset)
        and source.consent.purposes & _FORBIDDING == 0
    )


@internal
def _state(asset: bytes32, lineage: IAssetDesk.Lineage):
    assert (
        lineage.root != empty(bytes32) and lineage.manifest != empty(bytes32)
    ), "asset: no lineage is named"
    # Every line weighs something.
    assert (
        lineage.count != 0
        and lineage.count <= _MAX_COUNT
        and lineage.total >= lineage.count
        and lineage.total <= _WEIGHT
    ), "asset: weights out of range"
    opens: uint256 = block.timestamp + self._window
    self._assets[asset] = (self._assets[asset] & ~(_TIME << _OPENS_AT)) | (opens << _OPENS_AT)
    self._roots[asset] = lineage.root
    self._totals[asset] = lineage.total
    log IAssetDesk.LineageStated(asset=asset, lineage=lineage, opens=opens)


@internal
def _take_back(asset: bytes32):
    self._roots[asset] = empty(bytes32)
    self._totals[asset] = 0


@internal
def _set_share(share: uint256):
    assert share >= _MIN_SHARE and share <= _MAX_SHARE, "asset: share out of bounds"
    log IAssetDesk.ParameterChanged(name="share", previous=self._share, current=share)
    self._share = share


@internal
def _set_window(window: uint256):
    assert window >= _MIN_WINDOW and window <= _MAX_WINDOW, "asset: window out of bounds"
    log IAssetDesk.ParameterChanged(name="window", previous=self._window, current=window)
    self._window = window


@internal
@view
def _account(asset: bytes32) -> address:
    """
    @dev CREATE2 of an ERC-1167 proxy of the bare account, from this contract, salted with the asset.
    """
    code: bytes32 = keccak256(
        concat(
            x"602d3d8160093d39f3363d3d373d3d3d363d73",
            convert(_ACCOUNT, bytes20),
            x"5af43d82803e903d91602b57fd5bf3",
        )
    )
    digest: bytes32 = keccak256(concat(x"ff", convert(self, bytes20), asset, code))
    return convert(convert(digest, uint256) & _ADDRESS, address)


@internal
@pure
def _opens(word: uint256) -> uint256:
    return (word >> _OPENS_AT) & _TIME


@internal
@pure
def _pot(earned: uint256, word: uint256) -> uint256:
    """
    @dev The lineage's part of all that the account has earned, always counted from the start, so that no rounding adds
         up. The account earns 8,000 bps of the provider part; the share is of the whole of it.
    """
    return earned * (word >> _SHARE_AT) // _OWNER_SHARE


@internal
@pure
def _due(line: uint256, pot: uint256, total: uint256) -> uint256:
    weight: uint256 = line & _WEIGHT
    return pot * weight // total - ((line >> _MARK_AT) & _AMOUNT) * weight // total
