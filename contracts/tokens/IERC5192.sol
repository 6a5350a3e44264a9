// SPDX-License-Identifier: AGPL-3.0-only
pragma solidity ^0.8.24;

/// @title Tokens that may be locked to their holder (ERC-5192).
interface IERC5192 {
    event Locked(uint256 tokenId);
    event Unlocked(uint256 tokenId);

    /// @notice Whether a token is bound to its holder. Reverts for a token that does not exist.
    function locked(uint256 tokenId) external view returns (bool);
}
