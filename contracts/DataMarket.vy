# pragma version ~=0.4.3
# pragma optimize codesize
"""
@title DataMarket
@license AGPL-3.0-only
@notice Where a patient's consent meets a licensee's money. One contract, so that the transaction which pays
        reads the consent itself: `consents` (R9), `licences` (R12) at the Tariff's price (R13), paid from
        `accounts`, split by `settlement` at the `rates` in force when the money was taken (R8, R15).
        No function here lets anybody, the timelock included, move earnings to anyone but whose they are, revive a
        revoked consent, or stop a revocation or a withdrawal. Deposits are moved by their owners, and by desks:
        contracts that the timelock has named, which `charge` what an owner told them to. The timelock can also
        upgrade this contract and withdraw its standing in DUT. Only its delay protects against a bad desk or a bad
        upgrade.
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
initializes: settlement[accounts := accounts, links := links, rates := rates]
initializes: licences[
    access := access,
    accounts := accounts,
    consents := consents,
    links := links,
    rates := rates,
    settlement := settlement,
    signing := signing,
]

exports: (
    access.authority,
    signing.eip712Domain,
    consents.grant_consent,
    consents.grant_consents,
    consents.revoke_consent,
    consents.cancel_consent,
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
    accounts.charge,
    accounts.release,
    settlement.demand,
    licences.buy_licence,
    licences.issue_licence,
    licences.top_up,
    licences.redeem_vouchers,
    licences.use_licence,
    licences.settle,
    licences.set_suspended,
    licences.set_agreement,
    licences.agreement,
    licences.set_window,
    licences.window,
    licences.licence_word,
)


@deploy
def __init__(
    deployer: address,
    manager: address,
    usage: address,
    registry: address,
    treasury: address,
    tariff: address,
    passkeys: address,
):
    """
    @param deployer The account that initialises the proxy, once.
    @param manager The AccessManager.
    @param usage The UsageToken (DUT).
    @param registry The RecordRegistry's proxy.
    @param treasury The Treasury's proxy.
    @param tariff The Tariff's proxy.
    @param passkeys The Passkeys' proxy.
    """
    access.__init__(manager)
    initializer.__init__(deployer)
    links.__init__(usage, registry, treasury, tariff, passkeys)
    signing.__init__("medtoken", "1")


@external
def initialize(
    current: IDataMarket.Rates,
    platform: address,
    window: uint256,
    agreement: bytes32,
):
    """
    @notice Set the first parameters, once.
    @param current The first rates, in bps.
    @param platform The account that earns the platform's part.
    @param window Seconds after a licence's end in which acknowledged vouchers still count.
    @param agreement Hash of the data-use commitment that buyers sign.
    @dev Caller: the deployer, through the proxy.
    """
    initializer._initialize()
    rates._set_rates(current)
    rates._set_platform(platform)
    licences._set_window(window)
    licences._set_agreement(agreement)
    # The treasury takes its levies itself, so that what it books is what arrived.
    assert extcall links.DUT.approve(links.TREASURY.address, max_value(uint256))
