// SPDX-License-Identifier: AGPL-3.0-only
pragma solidity ^0.8.24;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {ERC20Votes} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Votes.sol";
import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/**
 * @title Base of the tokens that are earned, not traded: the contribution token, and the governance token (R1, R5).
 * @notice No transfer, approval or delegation. Voting power is the holder's own balance, checkpointed by time
 * (ERC-6372), without anybody having to delegate first (R28). A balance moves in one way only: to the new
 * wallet of the same person (R41).
 */
abstract contract SoulboundVotes is ERC20Votes, AccessManaged {
    /// @notice The only contract that mints. It is set once, at deployment, and never again.
    address public minter;

    event MinterBound(address indexed minter);
    event Recovered(address indexed previous, address indexed current, uint256 amount);

    constructor(address manager, string memory name_, string memory symbol_)
        ERC20(name_, symbol_)
        EIP712(name_, "1")
        AccessManaged(manager)
    {}

    /// @notice Name the minting contract, once. Caller: the manager's admin role.
    function bindMinter(address account) external restricted {
        require(minter == address(0), "soulbound: the minter is already bound");
        require(account != address(0), "soulbound: no minter is named");
        minter = account;
        emit MinterBound(account);
    }

    /**
     * @notice Mint `amount` base units to `to`. Caller: the bound minter. The check is a storage read and not a
     * question to the AccessManager because minting is on the hot path of attestation.
     */
    function mint(address to, uint256 amount) external {
        require(minter != address(0) && msg.sender == minter, "soulbound: only the bound minter mints");
        _mint(to, amount);
    }

    /// @notice Burn `amount` base units of `from` against a service delivered (R26). Caller: the redemption role.
    function burn(address from, uint256 amount) external restricted {
        _burn(from, amount);
    }

    /// @notice Move all of `previous` to `current`, the same person's new wallet (R41). Caller: the recovery role.
    function recover(address previous, address current) external restricted returns (uint256 amount) {
        require(current != address(0) && current != previous, "soulbound: no new wallet is named");
        amount = balanceOf(previous);
        _move(previous, current, amount);
        emit Recovered(previous, current, amount);
    }

    /// @notice What `account` holds, base units: its latest checkpoint, for a balance and its votes are one.
    function balanceOf(address account) public view override returns (uint256) {
        return getVotes(account);
    }

    /// @notice What exists, base units: the latest checkpoint of the supply.
    function totalSupply() public view override returns (uint256) {
        return _getTotalSupply();
    }

    /// @notice Always the holder itself: votes cannot be lent.
    function delegates(address account) public pure override returns (address) {
        return account;
    }

    /// @notice Always reverts: soulbound tokens grant no allowance.
    function approve(address, uint256) public pure override returns (bool) {
        revert("soulbound: not transferable");
    }

    /// @notice Seconds; snapshots are taken by time so that they mean the same on every chain (ERC-6372).
    function clock() public view override returns (uint48) {
        return SafeCast.toUint48(block.timestamp);
    }

    /// @notice Machine-readable description of `clock` (ERC-6372).
    // solhint-disable-next-line func-name-mixedcase
    function CLOCK_MODE() public pure override returns (string memory) {
        return "mode=timestamp";
    }

    /// @dev Reached by `delegate` and `delegateBySig`.
    function _delegate(address, address) internal pure override {
        revert("soulbound: votes cannot be delegated");
    }

    function _update(address from, address to, uint256 value) internal override {
        require(from == address(0) || to == address(0), "soulbound: not transferable");
        _move(from, to, value);
    }

    /// @dev The checkpoints are the only books: ERC-20's own balances would say the same a second time, for one more
    /// storage slot each mint. What they lack, the check of a balance, is here.
    function _move(address from, address to, uint256 value) private {
        if (from != address(0)) {
            uint256 held = balanceOf(from);
            if (held < value) revert ERC20InsufficientBalance(from, held, value);
        }
        emit Transfer(from, to, value);
        _transferVotingUnits(from, to, value);
    }
}
