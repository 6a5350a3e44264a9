// SPDX-License-Identifier: AGPL-3.0-only
pragma solidity ^0.8.24;

import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IERC5192} from "./IERC5192.sol";

/**
 * @title Health Ambassador and Data Openness badges: soulbound ERC-721 with ERC-5192 (R25).
 * @notice Minted by the bound contract (Rewards) to the ten highest of a month or a year; a badge is not moved or
 * approved, and grants nothing by itself. Its id is board · 2^128 + period · 2^64 + rank: boards 0 and 1 are
 * patients' (Health Ambassador), 2 and 3 institutions' (Data Openness).
 */
contract BadgeToken is ERC721, AccessManaged, IERC5192 {
    /// @notice The only contract that mints. It is set once, at deployment, and never again.
    address public minter;

    event MinterBound(address indexed minter);

    constructor(address manager) ERC721("medtoken badge", "MTB") AccessManaged(manager) {}

    /// @notice Name the minting contract, once. Caller: the manager's admin role.
    function bindMinter(address account) external restricted {
        require(minter == address(0), "badge: the minter is already bound");
        require(account != address(0), "badge: no minter is named");
        minter = account;
        emit MinterBound(account);
    }

    /// @notice Give a badge. Caller: the bound minter.
    function mint(address to, uint256 tokenId) external {
        require(minter != address(0) && msg.sender == minter, "badge: only the bound minter mints");
        _mint(to, tokenId);
        emit Locked(tokenId);
    }

    /// @inheritdoc IERC5192
    function locked(uint256 tokenId) external view returns (bool) {
        _requireOwned(tokenId);
        return true;
    }

    /// @notice ERC-165: also ERC-5192.
    function supportsInterface(bytes4 interfaceId) public view override returns (bool) {
        return interfaceId == 0xb45a3c0e || super.supportsInterface(interfaceId);
    }

    /// @notice Always reverts: a badge is its holder's.
    function approve(address, uint256) public pure override {
        revert("badge: not transferable");
    }

    /// @notice Always reverts: a badge is its holder's.
    function setApprovalForAll(address, bool) public pure override {
        revert("badge: not transferable");
    }

    function _update(address to, uint256 tokenId, address auth) internal override returns (address from) {
        from = super._update(to, tokenId, auth);
        require(from == address(0), "badge: not transferable");
    }
}
