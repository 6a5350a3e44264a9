# pragma version ~=0.4.3
"""
@title links
@license AGPL-3.0-only
@notice The other contracts that the market speaks to, fixed when its logic is deployed.
"""

from ..interfaces import IPasskeys
from ..interfaces import IRecordRegistry
from ..interfaces import ITariff
from ..interfaces import ITreasury
from ..interfaces import IUsageToken

DUT: immutable(IUsageToken)
REGISTRY: immutable(IRecordRegistry)
TREASURY: immutable(ITreasury)
TARIFF: immutable(ITariff)
PASSKEYS: immutable(IPasskeys)


@deploy
def __init__(
    usage: address, registry: address, treasury: address, tariff: address, passkeys: address
):
    assert (
        usage != empty(address)
        and registry != empty(address)
        and treasury != empty(address)
        and tariff != empty(address)
        and passkeys != empty(address)
    ), "links: a contract is missing"
    DUT = IUsageToken(usage)
    REGISTRY = IRecordRegistry(registry)
    TREASURY = ITreasury(treasury)
    TARIFF = ITariff(tariff)
    PASSKEYS = IPasskeys(passkeys)
