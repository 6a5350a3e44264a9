# pragma version ~=0.4.3
"""
@title DataMarket
@license AGPL-3.0-only
@notice Where a patient's consent meets a licensee's money. One contract, so that the transaction which pays
        reads the consent itself: `consents` (R9), `licences` (R12) at the price of `pricing` (R13), paid from
        `accounts`, split by `settlement` at the `rates` in force when the money was taken (R8, R15).
        Nobody, the timelock included, can move a deposit or earnings to anyone but whose they are, revive a
        revoked consent, or stop a revocation or a withdrawal.
@dev Behind a proxy. New modules are appended to the `initializes` below, never inserted: their order is the
     storage layout, and each ends with a gap of its own.
"""

from interfaces import IDataMarket
from modules import access
from modules import accounts
from modules import consents
from modules import initializer
from modules import licences
from modules import links
from modules import pricing
from modules import rates
from modules import settlement
from modules import signing

initializes: initializer
initializes: access
initializes: links
initializes: signing
initializes: consents[signing := signing]
initializes: rates[access := access]
initializes: accounts[access := access, links := links, rates := rates, signing := signing]
initializes: pricing[access := access]
initializes: settlement[accounts := accounts, links := links, rates := rates]
initializes: licences[
    access := access,
    accounts := accounts,
    consents := consents,
    links := links,
    pricing := pricing,
    rates := rates,
    settlement := settlement,
]

exports: (
    access.authority,
    signing.eip712Domain,
    consents.grant_consent,
    consents.grant_consents,
    consents.revoke_consent,
    consents.cancel_consent,
    consents.consent_id,
    consents.consent_word,
    rates.set_rates,
    rates.set_platform,
    rates.pause,
    rates.unpause,
    rates.rates_of,
    rates.rates_word,
    rates.platform,
    accounts.set_licensee,
    accounts.deposit,
    accounts.deposit_with_permit,
    accounts.reclaim,
    accounts.withdraw,
    accounts.licensee_word,
    accounts.earnings_word,
    pricing.set_reference,
    pricing.reference,
    licences.buy_licence,
    licences.use_licence,
    licences.settle,
    licences.set_suspended,
    licences.set_agreement,
    licences.agreement,
    licences.quote,
    licences.licence_id,
    licences.licence_word,
    licences.is_usable,
)


@deploy
def __init__(
    deployer: address, manager: address, usage: address, registry: address, treasury: address
):
    """
    @param deployer The account that initialises the proxy, once.
    @param manager The AccessManager.
    @param usage The UsageToken (DUT).
    @param registry The RecordRegistry's proxy.
    @param treasury The Treasury's proxy.
    """
    access.__init__(manager)
    initializer.__init__(deployer)
    links.__init__(usage, registry, treasury)
    signing.__init__("medtoken", "1")


@external
def initialize(
    current: IDataMarket.Rates, platform: address, references: uint256[8], agreement: bytes32
):
    """
    @notice Set the first parameters, once.
    @param current The first rates, in bps.
    @param platform The account that earns the platform's part.
    @param references The reference price of each kind at DVI 85, from kind 1 on, base units per unit.
    @param agreement Hash of the data-use commitment that buyers sign.
    @dev Caller: the deployer, through the proxy.
    """
    initializer._initialize()
    rates._set_rates(current)
    rates._set_platform(platform)
    for i: uint256 in range(8):
        pricing._set_reference(i + 1, references[i])
    licences._set_agreement(agreement)
    # The treasury takes its levies itself, so that what it books is what arrived.
    assert extcall links.DUT.approve(links.TREASURY.address, max_value(uint256))
