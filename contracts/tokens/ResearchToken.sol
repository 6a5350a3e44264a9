// SPDX-License-Identifier: AGPL-3.0-only
pragma solidity ^0.8.24;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";

/**
 * @title Research Token (RT): what a licensee earned by an outcome that was verified (R4).
 * @notice It pays part of a licence and is burned then; it cannot be moved, approved or exchanged. The research desk
 * alone mints and burns it.
 */
contract ResearchToken is ERC20, AccessManaged {
    /// @notice The only contract that mints and burns. It is set once, at deployment, and never again.
    address public desk;

    event DeskBound(address indexed desk);

    constructor(address manager) ERC20("Research Token", "RT") AccessManaged(manager) {}

    /// @notice Name the desk, once. Caller: the manager's admin role.
    function bindDesk(address account) external restricted {
        require(desk == address(0), "RT: the desk is already bound");
        require(account != address(0), "RT: no desk is named");
        desk = account;
        emit DeskBound(account);
    }

    /// @notice Mint `amount` base units to `to`. Caller: the bound desk.
    function mint(address to, uint256 amount) external {
        _requireDesk();
        _mint(to, amount);
    }

    /// @notice Burn `amount` base units of `from`, who spends them. Caller: the bound desk.
    function burn(address from, uint256 amount) external {
        _requireDesk();
        _burn(from, amount);
    }

    /// @notice Always reverts: research tokens grant no allowance.
    function approve(address, uint256) public pure override returns (bool) {
        revert("RT: not transferable");
    }

    function _update(address from, address to, uint256 value) internal override {
        require(from == address(0) || to == address(0), "RT: not transferable");
        super._update(from, to, value);
    }

    function _requireDesk() private view {
        require(desk != address(0) && msg.sender == desk, "RT: only the bound desk mints and burns");
    }
}
