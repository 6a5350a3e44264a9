// SPDX-License-Identifier: AGPL-3.0-only
pragma solidity ^0.8.24;

import {Governor} from "@openzeppelin/contracts/governance/Governor.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/**
 * @title The council's gate in front of every vote (R28).
 * @notice Seats in three chambers, users 40 %, institutions 40 %, technical 20 %, may object to a proposal while it
 * is pending, that is for `votingDelay` seconds. A seat has its chamber's weight divided by the chamber's seats; once
 * objections weigh more than half of the whole council, the proposal is rejected at once and for ever. Silence
 * passes: an empty chamber, a dead council and one that is divided hold nothing up.
 *
 * Interface: `object` and `objectBySig` for seats (the latter relayed by anybody), `setSeat` for a proposal that was
 * carried, `seats`, `chamberOf`, `objected`, `objections`, `gateEnd`, `isAboutSeats` for everybody.
 * Events: SeatSet, ProposalObjected, and ProposalCanceled when a proposal is rejected (what indexers know).
 * Invariants:
 * 1. No single chamber rejects, and no two seats of one account exist.
 * 2. Nobody but a carried proposal seats or unseats.
 * 3. A proposal that does nothing but set seats cannot be rejected: a council is no judge in its own case, and one
 *    that was captured is replaced by a vote.
 * 4. Objections count by the seats there are when somebody objects, also when that is one who has objected before.
 * 5. What is rejected is never voted on, queued or executed; what the gate has let through is never rejected.
 * 6. Votes are weighed as of the second before the proposal was made, not as of the gate's end: what is minted in
 *    answer to a proposal, or beside it in one block, has no weight in it.
 */
abstract contract GovernorCouncil is Governor {
    enum Chamber {
        None,
        Users,
        Institutions,
        Technical
    }

    struct Seat {
        address account;
        Chamber chamber;
    }

    struct Gate {
        uint48 snapshot;
        bool aboutSeats;
        bool rejected;
    }

    bytes32 public constant OBJECTION_TYPEHASH = keccak256("Objection(uint256 proposalId,address seat)");
    /// @notice How many seats the whole council may have: each objection reads them all.
    uint256 public constant MAX_SEATS = 45;

    uint256 private constant WHOLE = 10_000;

    address[] private _seats;
    mapping(address account => Chamber) private _chambers;
    mapping(uint256 proposalId => Gate) private _gates;
    mapping(uint256 proposalId => mapping(address seat => bool)) private _objected;

    event SeatSet(address indexed account, Chamber previous, Chamber current);
    /// @dev `weight`: of all objections so far, in bps of the whole council.
    event ProposalObjected(uint256 indexed proposalId, address indexed seat, uint256 weight);

    constructor(Seat[] memory seats_) {
        for (uint256 i = 0; i < seats_.length; ++i) {
            _setSeat(seats_[i].account, seats_[i].chamber);
        }
    }

    // ------------------------------------------------------------------ seats

    /**
     * @notice Seat an account in a chamber, move it to another, or take its seat (chamber 0). Caller: the timelock, in
     * the execution of a proposal. Reverts when nobody is named, on what changes nothing, and over `MAX_SEATS`.
     */
    function setSeat(address account, Chamber chamber) external onlyGovernance {
        _setSeat(account, chamber);
    }

    /// @notice All seats, in no order.
    function seats() external view returns (Seat[] memory found) {
        found = new Seat[](_seats.length);
        for (uint256 i = 0; i < found.length; ++i) {
            found[i] = Seat(_seats[i], _chambers[_seats[i]]);
        }
    }

    /// @notice The chamber of an account: 0 none, 1 users, 2 institutions, 3 technical.
    function chamberOf(address account) external view returns (Chamber) {
        return _chambers[account];
    }

    // ------------------------------------------------------------------ the gate

    /**
     * @notice Object to a pending proposal; the objection that brings the weight over one half rejects it.
     * @return weight Of all objections so far, in bps of the whole council.
     * @dev Caller: a seat. Reverts when the proposal is not pending, and when it is about seats alone. Who objects again
     * has the objections counted anew, by the seats there are now; only a rejection is told then.
     */
    function object(uint256 proposalId) external returns (uint256 weight) {
        return _object(proposalId, _msgSender());
    }

    /// @notice The same by the seat's signature (EIP-712, or ERC-1271 of a contract), relayed by anybody.
    function objectBySig(uint256 proposalId, address seat, bytes calldata signature) external returns (uint256 weight) {
        bytes32 digest = _hashTypedDataV4(keccak256(abi.encode(OBJECTION_TYPEHASH, proposalId, seat)));
        if (!SignatureChecker.isValidSignatureNow(seat, digest, signature)) revert GovernorInvalidSignature(seat);
        return _object(proposalId, seat);
    }

    /// @notice Whether a seat has objected to a proposal.
    function objected(uint256 proposalId, address seat) external view returns (bool) {
        return _objected[proposalId][seat];
    }

    /// @notice What the objections of those who have a seat now weigh, in bps of the whole council.
    function objections(uint256 proposalId) public view returns (uint256 weight) {
        uint256[4] memory all;
        uint256[4] memory against;
        for (uint256 i = 0; i < _seats.length; ++i) {
            address seat = _seats[i];
            uint256 chamber = uint256(_chambers[seat]);
            ++all[chamber];
            if (_objected[proposalId][seat]) ++against[chamber];
        }
        for (uint256 chamber = 1; chamber < 4; ++chamber) {
            // Rounded down: a doubt lets the proposal pass.
            if (all[chamber] != 0) weight += _share(Chamber(chamber)) * against[chamber] / all[chamber];
        }
    }

    /// @notice The last second in which the council may object; votes are taken after it. Zero for no proposal.
    function gateEnd(uint256 proposalId) public view returns (uint256) {
        return super.proposalSnapshot(proposalId);
    }

    /// @notice Whether a proposal does nothing but set seats, so that the council cannot reject it.
    function isAboutSeats(uint256 proposalId) external view returns (bool) {
        return _gates[proposalId].aboutSeats;
    }

    // ------------------------------------------------------------------ what the gate changes of a governor

    /// @notice The time as of which votes and quorum are weighed: the second before the proposal was made.
    function proposalSnapshot(uint256 proposalId) public view virtual override returns (uint256) {
        return _gates[proposalId].snapshot;
    }

    /// @notice As OpenZeppelin's: pending while the gate is open, canceled when the council has rejected it.
    function state(uint256 proposalId) public view virtual override returns (ProposalState current) {
        if (_gates[proposalId].rejected) return ProposalState.Canceled;
        current = super.state(proposalId);
        // The snapshot lies before the gate, so the governor itself would already take votes.
        if (current == ProposalState.Active && clock() <= gateEnd(proposalId)) return ProposalState.Pending;
    }

    function _propose(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        string memory description,
        address proposer
    ) internal virtual override returns (uint256 proposalId) {
        proposalId = super._propose(targets, values, calldatas, description, proposer);
        _gates[proposalId] = Gate(clock() - 1, _onlySetsSeats(targets, calldatas), false);
    }

    // ------------------------------------------------------------------ internal

    function _object(uint256 proposalId, address seat) private returns (uint256 weight) {
        require(_chambers[seat] != Chamber.None, "council: the caller has no seat");
        _validateStateBitmap(proposalId, _encodeStateBitmap(ProposalState.Pending));
        require(!_gates[proposalId].aboutSeats, "council: not in its own case");
        bool again = _objected[proposalId][seat];
        _objected[proposalId][seat] = true;
        weight = objections(proposalId);
        // Seats may have changed since: the same objections can have come to weigh more than one half.
        if (again && weight <= WHOLE / 2) return weight;
        emit ProposalObjected(proposalId, seat, weight);
        if (weight > WHOLE / 2) {
            _gates[proposalId].rejected = true;
            emit ProposalCanceled(proposalId);
        }
    }

    function _setSeat(address account, Chamber chamber) private {
        Chamber previous = _chambers[account];
        require(account != address(0), "council: nobody is named");
        require(chamber != previous, "council: nothing changes");
        if (previous == Chamber.None) {
            require(_seats.length < MAX_SEATS, "council: every seat is taken");
            _seats.push(account);
        } else if (chamber == Chamber.None) {
            uint256 place = 0;
            while (_seats[place] != account) ++place;
            _seats[place] = _seats[_seats.length - 1];
            _seats.pop();
        }
        _chambers[account] = chamber;
        emit SeatSet(account, previous, chamber);
    }

    function _onlySetsSeats(address[] memory targets, bytes[] memory calldatas) private view returns (bool) {
        for (uint256 i = 0; i < targets.length; ++i) {
            if (targets[i] != address(this) || bytes4(calldatas[i]) != this.setSeat.selector) return false;
        }
        return true;
    }

    /// @dev The weight of a chamber, bps of the whole council.
    function _share(Chamber chamber) private pure returns (uint256) {
        return chamber == Chamber.Technical ? 2_000 : 4_000;
    }
}
