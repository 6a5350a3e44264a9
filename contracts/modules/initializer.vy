# pragma version ~=0.4.3
"""
@title initializer
@license AGPL-3.0-only
@notice One initialisation of a contract behind a proxy, by the account that was named when its logic was
        deployed, so that nobody can step in between. The bare logic is locked in its constructor.
"""

_INITIALIZER: immutable(address)

_done: bool


@deploy
def __init__(deployer: address):
    _INITIALIZER = deployer
    self._done = True


@internal
def _initialize():
    assert not self._done, "initializer: done before"
    assert msg.sender == _INITIALIZER, "initializer: not the deployer"
    self._done = True
