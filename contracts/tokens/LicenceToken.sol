// SPDX-License-Identifier: AGPL-3.0-only
pragma solidity ^0.8.24;

import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {IERC5192} from "./IERC5192.sol";
import {IERC7858} from "./IERC7858.sol";

interface ILicenceWords {
    function licence_word(bytes32 id) external view returns (uint256);

    function consent_word(bytes32 consent) external view returns (uint256);
}

/**
 * @title Licences as wallets and explorers see them: soulbound ERC-721 with ERC-5192 and ERC-7858.
 * @notice A token appears when anybody shows a licence that was really bought; it cannot be moved, approved or
 * burned, and grants nothing: what counts is the market's own state, which every view here reads.
 */
contract LicenceToken is ERC721, IERC5192, IERC7858 {
    /// @notice What names a licence; the keccak256 of its ABI encoding is its id and, as a number, its token id.
    struct LicenceRef {
        bytes32 consent;
        bytes32 record;
        address licensee;
        uint256 salt;
    }

    ILicenceWords public immutable market;

    // token → the consent that it lives on
    mapping(uint256 => bytes32) private _consents;

    constructor(address market_) ERC721("medtoken licence", "MTL") {
        require(market_ != address(0), "licence token: no market is named");
        market = ILicenceWords(market_);
    }

    /**
     * @notice Show a licence as a token of its licensee. Anybody may, once for each licence.
     * Reverts when there is no such licence in the market or it is shown already.
     */
    function show(LicenceRef calldata ref) external returns (uint256 tokenId) {
        bytes32 id = keccak256(abi.encode(ref));
        uint256 word = market.licence_word(id);
        require(word != 0, "licence token: unknown licence");
        tokenId = uint256(id);
        require(_ownerOf(tokenId) == address(0), "licence token: shown already");
        _consents[tokenId] = ref.consent;
        _mint(ref.licensee, tokenId);
        emit Locked(tokenId);
        (uint256 start, uint256 end) = _times(word);
        emit TokenExpiryUpdated(tokenId, start, end);
    }

    /// @inheritdoc IERC5192
    function locked(uint256 tokenId) external view returns (bool) {
        _requireOwned(tokenId);
        return true;
    }

    /// @inheritdoc IERC7858
    function expiryType() external pure returns (EXPIRY_TYPE) {
        return EXPIRY_TYPE.TIME_BASED;
    }

    /// @inheritdoc IERC7858
    function startTime(uint256 tokenId) external view returns (uint256 start) {
        (start,) = _times(_word(tokenId));
    }

    /// @inheritdoc IERC7858
    function endTime(uint256 tokenId) external view returns (uint256 end) {
        (, end) = _times(_word(tokenId));
    }

    /// @inheritdoc IERC7858
    /// @dev A revoked consent ends its licences at once, before anybody has settled them (R9).
    function isTokenExpired(uint256 tokenId) external view returns (bool) {
        uint256 word = _word(tokenId);
        (, uint256 end) = _times(word);
        bool closed = (word >> 123) & 1 == 1;
        bool revoked = (market.consent_word(_consents[tokenId]) >> 200) & (2 ** 40 - 1) != 0;
        return closed || revoked || end <= block.timestamp;
    }

    /// @notice ERC-165: also ERC-5192 and ERC-7858.
    function supportsInterface(bytes4 interfaceId) public view override returns (bool) {
        return interfaceId == 0xb45a3c0e // ERC-5192
            || interfaceId == 0x3ebdfa31 // ERC-7858
            || super.supportsInterface(interfaceId);
    }

    /// @notice Always reverts: a licence is its licensee's.
    function approve(address, uint256) public pure override {
        revert("licence token: not transferable");
    }

    /// @notice Always reverts: a licence is its licensee's.
    function setApprovalForAll(address, bool) public pure override {
        revert("licence token: not transferable");
    }

    function _update(address to, uint256 tokenId, address auth) internal override returns (address from) {
        from = super._update(to, tokenId, auth);
        require(from == address(0), "licence token: not transferable");
    }

    function _word(uint256 tokenId) private view returns (uint256) {
        _requireOwned(tokenId);
        return market.licence_word(bytes32(tokenId));
    }

    /// @dev A metered licence has no start: it counts units, not time.
    function _times(uint256 word) private pure returns (uint256 start, uint256 end) {
        uint256 time = 2 ** 40 - 1;
        end = (word >> 64) & time;
        if ((word >> 120) & 3 != 2) start = (word >> 136) & time;
    }
}
