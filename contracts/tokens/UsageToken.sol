// SPDX-License-Identifier: AGPL-3.0-only
pragma solidity ^0.8.24;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";

/**
 * @title Data Usage Token (DUT): the currency in which every fee is paid (R2).
 * @notice Issued only by admitted exchanges against money received, under a cap per epoch, and burned when
 * they redeem. It moves only between admitted participants and protocol contracts. A sanctioned account is
 * frozen, never confiscated: no function here takes tokens from anybody.
 * Who may call what is decided by the AccessManager alone; the token is immutable.
 */
contract UsageToken is ERC20, ERC20Permit, AccessManaged {
    /// @notice Seconds in one issuance epoch.
    uint256 public constant EPOCH = 1 days;
    /// @notice The highest cap that governance may set: 10^12 DUT an epoch, in base units.
    uint256 public constant MAX_CAP = 10 ** 30;

    uint8 internal constant ADMITTED = 1;
    uint8 internal constant PROTOCOL = 2;
    uint8 internal constant FROZEN = 4;

    /// @notice Standing of an account as bits: 1 admitted participant, 2 protocol contract, 4 frozen. Zero denies.
    mapping(address account => uint8 bits) public standing;
    /// @notice Base units that may be issued in one epoch. Zero denies every issue.
    uint256 public cap;
    /// @notice Base units issued so far in an epoch (the epoch's number is block.timestamp / EPOCH).
    mapping(uint256 epoch => uint256 amount) public issuedIn;

    event StandingChanged(address indexed account, uint8 previous, uint8 current);
    event CapChanged(uint256 previous, uint256 current);
    event Issued(address indexed exchange, address indexed to, uint256 amount, bytes32 payment);
    event Redeemed(address indexed exchange, uint256 amount, bytes32 payment);

    constructor(address manager) ERC20("Data Usage Token", "DUT") ERC20Permit("Data Usage Token") AccessManaged(manager) {}

    /**
     * @notice Issue `amount` base units to `to` against the money received under the reference `payment`.
     * Caller: an exchange admitted by the compliance role. Reverts when the epoch's cap would be passed, or
     * when `to` may not hold DUT.
     */
    function issue(address to, uint256 amount, bytes32 payment) external restricted {
        uint256 epoch = block.timestamp / EPOCH;
        uint256 issued = issuedIn[epoch] + amount;
        require(issued <= cap, "DUT: the epoch's issuance cap is reached");
        issuedIn[epoch] = issued;
        _mint(to, amount);
        emit Issued(msg.sender, to, amount, payment);
    }

    /**
     * @notice Burn `amount` base units of the calling exchange's own, against the money paid out under `payment`.
     * Caller: an admitted exchange.
     */
    function redeem(uint256 amount, bytes32 payment) external restricted {
        _burn(msg.sender, amount);
        emit Redeemed(msg.sender, amount, payment);
    }

    /// @notice Burn `amount` base units of the caller's own. Caller: a protocol contract (the treasury, R17).
    function burn(uint256 amount) external {
        require(standing[msg.sender] & PROTOCOL != 0, "DUT: only a protocol contract burns");
        _burn(msg.sender, amount);
    }

    /**
     * @notice Admit `account` as a participant; a no-op when it already is one. Caller: the compliance role,
     * or the market at a patient's first withdrawal (R2).
     */
    function admit(address account) external restricted {
        require(account != address(0), "DUT: no account is named");
        _setStanding(account, standing[account] | ADMITTED);
    }

    /// @notice Mark or unmark `account` as a protocol contract. Caller: the timelock.
    function setProtocol(address account, bool enabled) external restricted {
        require(account != address(0), "DUT: no account is named");
        uint8 bits = standing[account];
        _setStanding(account, enabled ? bits | PROTOCOL : bits & ~PROTOCOL);
    }

    /// @notice Freeze or unfreeze `account` (sanctions, R2, R31). Its balance stays its own. Caller: the sanctions role.
    function setFrozen(address account, bool frozen) external restricted {
        require(standing[account] & PROTOCOL == 0, "DUT: a protocol contract cannot be frozen");
        uint8 bits = standing[account];
        _setStanding(account, frozen ? bits | FROZEN : bits & ~FROZEN);
    }

    /// @notice Set the issuance cap of an epoch, in base units, at most MAX_CAP. Caller: the timelock.
    function setCap(uint256 newCap) external restricted {
        require(newCap <= MAX_CAP, "DUT: the cap is out of bounds");
        emit CapChanged(cap, newCap);
        cap = newCap;
    }

    /// @notice Whether `account` may send and receive DUT now.
    function mayHold(address account) public view returns (bool) {
        uint8 bits = standing[account];
        return bits & FROZEN == 0 && bits & (ADMITTED | PROTOCOL) != 0;
    }

    /// @dev The guard on every movement (R2); minting checks the receiver, burning the holder.
    function _update(address from, address to, uint256 value) internal override {
        if (from != address(0)) _requireStanding(from);
        if (to != address(0)) _requireStanding(to);
        super._update(from, to, value);
    }

    /// @dev A frozen account moves nobody else's DUT either, whatever it was allowed.
    function _spendAllowance(address owner, address spender, uint256 value) internal override {
        require(standing[spender] & FROZEN == 0, "DUT: the account is frozen");
        super._spendAllowance(owner, spender, value);
    }

    function _requireStanding(address account) private view {
        uint8 bits = standing[account];
        require(bits & FROZEN == 0, "DUT: the account is frozen");
        require(bits & (ADMITTED | PROTOCOL) != 0, "DUT: the account is not admitted");
    }

    function _setStanding(address account, uint8 bits) private {
        uint8 previous = standing[account];
        if (previous == bits) return;
        standing[account] = bits;
        emit StandingChanged(account, previous, bits);
    }
}
