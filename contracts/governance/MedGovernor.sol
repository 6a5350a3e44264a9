// SPDX-License-Identifier: AGPL-3.0-only
pragma solidity ^0.8.24;

import {Governor} from "@openzeppelin/contracts/governance/Governor.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {GovernorCountingSimple} from "@openzeppelin/contracts/governance/extensions/GovernorCountingSimple.sol";
import {GovernorSettings} from "@openzeppelin/contracts/governance/extensions/GovernorSettings.sol";
import {GovernorTimelockControl} from "@openzeppelin/contracts/governance/extensions/GovernorTimelockControl.sol";
import {IERC5805} from "@openzeppelin/contracts/interfaces/IERC5805.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {GovernorCouncil} from "./GovernorCouncil.sol";

/**
 * @title The suite's governor: who holds GT or DCT decides (R28).
 * @notice A holder proposes calls; the council's gate is open for `votingDelay` seconds (see GovernorCouncil); then
 * holders vote for `votingPeriod` seconds, each with 1.5 × GT + 0.5 × contribution as of the second before the proposal
 * was made, where the contribution is DCT divided by `contributionDivisor`. A proposal is carried when those for and
 * those who abstain reach the quorum, a share of all votes that existed at that time, and more than 60 % of those who
 * took a side are for it. Then anybody queues it, and once the timelock's delay is over anybody executes it.
 *
 * Interface: OpenZeppelin's Governor (`propose`, `castVote` and its variants, `castVoteBySig` for votes that anybody
 * relays, `queue`, `execute`, `cancel` by the proposer while the gate is open), unchanged, so that tools which know it
 * work; the council's functions; `setContributionDivisor`, `setQuorumShare` for a carried proposal. Bounds hold for
 * OpenZeppelin's `setVotingPeriod` (1 to 30 days) and `setProposalThreshold` (1 to 100,000e18) too.
 * Events: OpenZeppelin's (ProposalCreated, VoteCast, ProposalQueued, ProposalExecuted, ProposalCanceled, the settings'),
 * the council's, and ContributionDivisorSet, QuorumShareSet, NonceUsed.
 * Invariants:
 * 1. A vote weighs what its voter held at the snapshot, once, whoever relays it; nothing that is minted, burned,
 *    recovered or set later changes it. Nobody votes with what others hold: both tokens refuse delegation.
 * 2. Without a vote for it nothing is carried, however small the quorum; a tie of 60 to 40 is not enough.
 * 3. It has no owner and no guardian. It changes itself by proposals alone, and cannot take the council's time away;
 *    no rule that it sets makes voting or proposing impossible.
 * 4. A proposal runs once: its calls and description name it, and it is marked before it runs.
 * 5. Its clock is that of both tokens (ERC-6372, seconds).
 */
contract MedGovernor is GovernorSettings, GovernorCountingSimple, GovernorTimelockControl, GovernorCouncil {
    using Checkpoints for Checkpoints.Trace208;

    uint256 private constant BPS = 10_000;

    /// @notice The least time that the council has for its objections, seconds.
    uint256 public constant MIN_GATE = 7 days;

    // Bounds within which a proposal may move the rules.
    uint256 public constant MIN_PERIOD = 1 days;
    uint256 public constant MAX_PERIOD = 30 days;
    /// @dev 100,000 votes, base units: the GT of some 55 TB that are kept for a year. A hospital has that, so no
    /// majority of a day shuts everybody else out for good.
    uint256 public constant MAX_THRESHOLD = 100_000e18;
    uint256 public constant MAX_QUORUM_SHARE = 5_000;
    uint256 public constant MAX_CONTRIBUTION_DIVISOR = 1_000_000;

    IERC5805 public immutable governanceToken;
    IERC5805 public immutable contributionToken;

    // By time, so that a change reaches no proposal that was made before it.
    Checkpoints.Trace208 private _divisors;
    Checkpoints.Trace208 private _quorumShares;

    event ContributionDivisorSet(uint256 previous, uint256 current);
    event QuorumShareSet(uint256 previous, uint256 current);
    /// @dev A signed ballot was counted, so that the events alone tell every word that is kept here.
    event NonceUsed(address indexed account, uint256 nonce);

    /// @param gate Seconds for the council, at least 7 days; fixed.
    /// @param period Seconds for the vote, 1 to 30 days.
    /// @param threshold Votes that a proposer must have, base units, at most `MAX_THRESHOLD`.
    /// @param quorumShare Bps of all votes.
    /// @param divisor DCT to one contribution.
    struct Rules {
        uint48 gate;
        uint32 period;
        uint256 threshold;
        uint256 quorumShare;
        uint256 divisor;
    }

    /**
     * @param timelock The TimelockController, which lets this contract propose.
     * @param governance The GovernanceToken (GT).
     * @param contribution The ContributionToken (DCT).
     * @param rules The first rules.
     * @param seats The first council; it may be empty.
     */
    constructor(
        TimelockController timelock,
        IERC5805 governance,
        IERC5805 contribution,
        Rules memory rules,
        Seat[] memory seats
    )
        Governor("medtoken governor")
        GovernorSettings(rules.gate, rules.period, rules.threshold)
        GovernorTimelockControl(timelock)
        GovernorCouncil(seats)
    {
        require(address(timelock).code.length != 0, "governor: no timelock is named");
        require(rules.gate >= MIN_GATE, "governor: the council has too little time");
        require(
            governance.clock() == clock() && contribution.clock() == clock(), "governor: the tokens' clock is another"
        );
        governanceToken = governance;
        contributionToken = contribution;
        _setContributionDivisor(0, rules.divisor);
        _setQuorumShare(0, rules.quorumShare);
    }

    // ------------------------------------------------------------------ rules

    /// @notice Set how much DCT counts as one contribution, 1 to 1,000,000, for proposals from now on. Caller: the timelock.
    function setContributionDivisor(uint256 divisor) external onlyGovernance {
        _setContributionDivisor(clock(), divisor);
    }

    /// @notice Set the quorum, 1 to 5,000 bps of all votes, for proposals from now on. Caller: the timelock.
    function setQuorumShare(uint256 share) external onlyGovernance {
        _setQuorumShare(clock(), share);
    }

    /// @notice Always reverts: the council keeps its time (R28).
    function setVotingDelay(uint48) public pure override {
        revert("governor: the council's time is fixed");
    }

    /// @notice How much DCT is one contribution.
    function contributionDivisor() external view returns (uint256) {
        return _divisors.latest();
    }

    /// @notice The quorum, in bps of all votes.
    function quorumShare() external view returns (uint256) {
        return _quorumShares.latest();
    }

    // ------------------------------------------------------------------ votes

    /// @notice The votes for or abstaining that carry a proposal as of `timepoint`, base units.
    function quorum(uint256 timepoint) public view override returns (uint256) {
        uint256 all = _weight(
            governanceToken.getPastTotalSupply(timepoint), contributionToken.getPastTotalSupply(timepoint), timepoint
        );
        return all * _quorumShares.upperLookupRecent(SafeCast.toUint48(timepoint)) / BPS;
    }

    /// @notice Unix time in seconds, as the tokens count it (ERC-6372).
    function clock() public view override returns (uint48) {
        return SafeCast.toUint48(block.timestamp);
    }

    /// @notice Machine-readable description of `clock` (ERC-6372).
    // solhint-disable-next-line func-name-mixedcase
    function CLOCK_MODE() public pure override returns (string memory) {
        return "mode=timestamp";
    }

    function _getVotes(address account, uint256 timepoint, bytes memory) internal view override returns (uint256) {
        return _weight(
            governanceToken.getPastVotes(account, timepoint),
            contributionToken.getPastVotes(account, timepoint),
            timepoint
        );
    }

    /// @dev 1.5 × GT + 0.5 × contribution, rounded down (R28).
    function _weight(uint256 gt, uint256 dct, uint256 timepoint) private view returns (uint256) {
        uint256 divisor = _divisors.upperLookupRecent(SafeCast.toUint48(timepoint));
        return (3 * gt + dct / divisor) / 2;
    }

    /// @dev More than 60 % of those who took a side; who abstains counts to the quorum.
    function _voteSucceeded(uint256 proposalId)
        internal
        view
        override(Governor, GovernorCountingSimple)
        returns (bool)
    {
        (uint256 against, uint256 pro,) = proposalVotes(proposalId);
        return 10 * pro > 6 * (pro + against);
    }

    // ------------------------------------------------------------------ internal

    function _setContributionDivisor(uint48 since, uint256 divisor) private {
        require(divisor != 0 && divisor <= MAX_CONTRIBUTION_DIVISOR, "governor: divisor out of bounds");
        (uint256 previous,) = _divisors.push(since, SafeCast.toUint208(divisor));
        emit ContributionDivisorSet(previous, divisor);
    }

    function _setQuorumShare(uint48 since, uint256 share) private {
        require(share != 0 && share <= MAX_QUORUM_SHARE, "governor: quorum out of bounds");
        (uint256 previous,) = _quorumShares.push(since, SafeCast.toUint208(share));
        emit QuorumShareSet(previous, share);
    }

    function _useNonce(address owner) internal override returns (uint256 nonce) {
        nonce = super._useNonce(owner);
        emit NonceUsed(owner, nonce);
    }

    function _setVotingPeriod(uint32 period) internal override {
        require(period >= MIN_PERIOD && period <= MAX_PERIOD, "governor: period out of bounds");
        super._setVotingPeriod(period);
    }

    function _setProposalThreshold(uint256 threshold) internal override {
        require(threshold != 0, "governor: who holds nothing does not propose");
        require(threshold <= MAX_THRESHOLD, "governor: threshold out of bounds");
        super._setProposalThreshold(threshold);
    }

    // ------------------------------------------------------------------ where OpenZeppelin's parts meet

    function state(uint256 proposalId)
        public
        view
        override(Governor, GovernorTimelockControl, GovernorCouncil)
        returns (ProposalState)
    {
        return super.state(proposalId);
    }

    function proposalSnapshot(uint256 proposalId) public view override(Governor, GovernorCouncil) returns (uint256) {
        return super.proposalSnapshot(proposalId);
    }

    function proposalThreshold() public view override(Governor, GovernorSettings) returns (uint256) {
        return super.proposalThreshold();
    }

    function proposalNeedsQueuing(uint256 proposalId)
        public
        view
        override(Governor, GovernorTimelockControl)
        returns (bool)
    {
        return super.proposalNeedsQueuing(proposalId);
    }

    function _propose(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        string memory description,
        address proposer
    ) internal override(Governor, GovernorCouncil) returns (uint256) {
        return super._propose(targets, values, calldatas, description, proposer);
    }

    function _queueOperations(
        uint256 proposalId,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) returns (uint48) {
        return super._queueOperations(proposalId, targets, values, calldatas, descriptionHash);
    }

    function _executeOperations(
        uint256 proposalId,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) {
        super._executeOperations(proposalId, targets, values, calldatas, descriptionHash);
    }

    function _cancel(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) returns (uint256) {
        return super._cancel(targets, values, calldatas, descriptionHash);
    }

    function _executor() internal view override(Governor, GovernorTimelockControl) returns (address) {
        return super._executor();
    }
}
