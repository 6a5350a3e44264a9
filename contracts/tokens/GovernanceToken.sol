// SPDX-License-Identifier: AGPL-3.0-only
pragma solidity ^0.8.24;

import {SoulboundVotes} from "./SoulboundVotes.sol";

/**
 * @title Governance Token (GT): what a custodian has earned by storing (R5).
 * @notice Minted by StorageRewards for storage that was proven, burned by the redemption role (R26); see
 * SoulboundVotes for what it never does.
 */
contract GovernanceToken is SoulboundVotes {
    constructor(address manager) SoulboundVotes(manager, "Governance Token", "GT") {}
}
