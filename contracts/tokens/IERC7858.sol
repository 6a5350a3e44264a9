// SPDX-License-Identifier: AGPL-3.0-only
pragma solidity ^0.8.24;

/// @title Tokens that expire (ERC-7858).
interface IERC7858 {
    // The standard's own name.
    enum EXPIRY_TYPE {
        BLOCKS_BASED,
        TIME_BASED
    }

    event TokenExpiryUpdated(uint256 indexed tokenId, uint256 indexed startTime, uint256 indexed endTime);

    /// @notice Whether expiry counts blocks or seconds.
    function expiryType() external view returns (EXPIRY_TYPE);

    /// @notice When a token becomes valid. Reverts for a token that does not exist.
    function startTime(uint256 tokenId) external view returns (uint256);

    /// @notice When a token stops being valid. Reverts for a token that does not exist.
    function endTime(uint256 tokenId) external view returns (uint256);

    /// @notice Whether a token has expired. Reverts for a token that does not exist.
    function isTokenExpired(uint256 tokenId) external view returns (bool);
}
