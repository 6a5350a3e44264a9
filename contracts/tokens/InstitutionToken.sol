// SPDX-License-Identifier: AGPL-3.0-only
pragma solidity ^0.8.24;

import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";

interface IAssetDesk {
    function collect(bytes32 asset) external;
}

/**
 * @title Institution asset (IT): one token per derived dataset or model (R3).
 * @notice A token's id is its record's. Whoever holds it offers the asset and receives what it earns beside the lineage
 * share. It can be sold: the desk first books to the seller what the market has credited until then.
 */
contract InstitutionToken is ERC721, AccessManaged {
    /// @notice The only contract that mints: the AssetDesk. It is set once, at deployment, and never again.
    address public minter;

    event MinterBound(address indexed minter);

    constructor(address manager) ERC721("medtoken institution asset", "IT") AccessManaged(manager) {}

    /// @notice Name the minting contract, once. Caller: the manager's admin role.
    function bindMinter(address account) external restricted {
        require(minter == address(0), "institution token: the minter is already bound");
        require(account != address(0), "institution token: no minter is named");
        minter = account;
        emit MinterBound(account);
    }

    /// @notice Mint the token of a derived record. Caller: the bound minter. Reverts when it exists.
    function mint(address to, uint256 tokenId) external {
        require(minter != address(0) && msg.sender == minter, "institution token: only the bound minter mints");
        _mint(to, tokenId);
    }

    /// @dev What an asset has earned before it moves is the former holder's.
    function _update(address to, uint256 tokenId, address auth) internal override returns (address from) {
        if (_ownerOf(tokenId) != address(0)) IAssetDesk(minter).collect(bytes32(tokenId));
        return super._update(to, tokenId, auth);
    }
}
