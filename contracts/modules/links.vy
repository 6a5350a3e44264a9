# pragma version ~=0.4.3
"""
@title links
@license AGPL-3.0-only
@notice The other contracts that the market speaks to, fixed when its logic is deployed.
"""

from ..interfaces import IRecordRegistry
from ..interfaces import ITreasury
from ..interfaces import IUsageToken

DUT: immutable(IUsageToken)
REGISTRY: immutable(IRecordRegistry)
TREASURY: immutable(ITreasury)


@deploy
def __init__(usage: address, registry: address, treasury: address):
    assert usage != empty(address), "links: no usage token is named"
    assert registry != empty(address), "links: no registry is named"
    assert treasury != empty(address), "links: no treasury is named"
    DUT = IUsageToken(usage)
    REGISTRY = IRecordRegistry(registry)
    TREASURY = ITreasury(treasury)
