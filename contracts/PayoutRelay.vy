# pragma version ~=0.4.3
"""
@title PayoutRelay
@license AGPL-3.0-only
@notice Brings what several earners signed in one transaction: each is paid by the contract that owes it (the market, the
        royalty vault, the asset desk), which checks signature, nonce and deadline as if the withdrawal had come alone.
        This contract holds nothing, remembers nothing, has no role and no owner, and cannot be changed.
"""

from interfaces import IPayoutRelay

_MAX_BATCH: constant(uint256) = 20
_MAX_SIGNATURE: constant(uint256) = 1024
# The call's six words and its selector, and the longest signature with its length.
_MAX_CALL: constant(uint256) = 4 + 32 * 6 + _MAX_SIGNATURE
# What a withdrawal may use: an account that is a contract checks its signature itself, and shall not
# be able to use up what the others need.
_GAS: constant(uint256) = 300_000


@external
def withdraw_many(
    purse: address, withdrawals: DynArray[IPayoutRelay.Withdrawal, _MAX_BATCH]
) -> uint256:
    """
    @notice Bring up to 20 withdrawals from one contract. One that it refuses now (it was brought before, its time is
            over, its account is frozen) is passed over: nobody must be able to spoil the rest. So is one in this
            contract's own name, which would need no signature.
    @param purse The contract that owes the money.
    @return How many were paid; its own Withdrawn events name them.
    @dev Anybody may call, for each withdrawal is signed. Reverts when nothing is brought, when there is no such
         contract, and when so little gas is left that a refusal could be for want of it.
    """
    assert len(withdrawals) != 0, "payouts: nothing is brought"
    assert purse.is_contract, "payouts: no such contract"
    paid: uint256 = 0
    for one: IPayoutRelay.Withdrawal in withdrawals:
        # A call gets at most all but a 64th of what there is.
        assert msg.gas > _GAS * 64 // 63 + 10_000, "payouts: too little gas"
        if one.account != self and raw_call(
            purse,
            abi_encode(
                one.account,
                one.to,
                one.amount,
                one.deadline,
                one.signature,
                method_id=method_id("withdraw(address,address,uint256,uint256,bytes)"),
            ),
            gas=_GAS,
            revert_on_failure=False,
        ):
            paid += 1
    return paid
