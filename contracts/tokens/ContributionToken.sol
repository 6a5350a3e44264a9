// SPDX-License-Identifier: AGPL-3.0-only
pragma solidity ^0.8.24;

import {SoulboundVotes} from "./SoulboundVotes.sol";

/**
 * @title Data Contribution Token (DCT): what a patient has contributed (R1).
 * @notice Minted by the record registry when a record's quality is attested; see SoulboundVotes for what it never does.
 */
contract ContributionToken is SoulboundVotes {
    constructor(address manager) SoulboundVotes(manager, "Data Contribution Token", "DCT") {}
}
