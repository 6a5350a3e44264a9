"""The invariants, checked on what the chain says and logs, without the model.

``Witness`` adds up logs and compares two states of the chain, before and after each call.

I1.  The balances of DUT add up to its supply, which is what was minted less what was burned.
I2.  A settlement's parts add up to its gross, each by the rates of the licence's own epoch and the
     consent's share; the levy is exact.
I3.  The reserve is levies less burned; the treasury holds it to the base unit.
I4.  No purchase under a consent that is revoked or has expired; no use of a licence that has ended,
     is suspended or closed, or whose consent is revoked; vouchers only inside their window.
I5.  DCT never moves but by a recovery, and is minted by attestation alone.
I6.  Nobody has withdrawn more than settlements credited; what is left is what they can withdraw.
I7.  The ledger rebuilt from logs alone = the model = the chain. (The machine and the auditor.)
I8.  The market holds deposits, earnings and unsettled licence money, levies included: solvent to the
     base unit.
I9.  Nobody earns but by a settlement, and only those whom it names.
I10. A licence has settled no more than was used, and used no more than was prepaid; a term has
     settled up to a time between its start and its end. Marks never go back.
I11. What is closed stays as it is; what was revoked stays revoked; nothing known is forgotten.
I12. What was paid for a licence, levy included, is what was settled, levied, returned and is held;
     a closed one holds nothing.
I13. Votes are balances, and the past does not change. (The machine, at the end.)
I14. A deposit is what came in, less what was taken back and paid, plus what was returned.
I15. Price, form, term and epoch of a licence never change, and its units only by a top-up: nothing is
     repriced.
I16. A call that is refused changes nothing.
I17. A levy that arrives while supply is above the ceiling is burned by the share in force, and no
     other levy is; supply falls by nothing but that and redeeming.
I18. A record's parties, kind, tier and region never change; attested, minted, superseded and destroyed
     are never taken back; one line of versions mints at most once.
I19. At the end everybody is paid: the market keeps nothing but open licences and gifts. (The machine.)
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from stateful.model import BPS, GRAIN, NONE, State
from support.world import (
    CONSENT_FIELDS,
    EARNINGS_FIELDS,
    LICENSEE_FIELDS,
    METER_FIELDS,
    METERED,
    RATES_FIELDS,
    RECORD_FIELDS,
    TERM_FIELDS,
    ZERO,
    unpack,
)

from medtoken.chain.abi import Log

RATES = ("provider", "annotator", "platform", "levy")
PARTS = ("patient", "custodian", "annotator", "platform")
SUSPENDED, CLOSED = 4, 8


def claim(holds: object, number: int, text: str) -> None:
    """Fail with the number of the invariant."""
    assert holds, f"I{number}: {text}"


def words(state: State, contract: str, function: str) -> dict[Any, int]:
    """The answers of one view that takes one argument."""
    return {k[2]: v for k, v in state.items() if k[:2] == (contract, function)}


def licence_fields(word: int) -> dict[str, int]:
    """A licence's word by the fields of its form."""
    form = unpack(word, METER_FIELDS)["flags"] & 3
    fields = unpack(word, METER_FIELDS if form == METERED else TERM_FIELDS)
    flags = fields["flags"]
    closed, suspended = bool(flags & CLOSED), bool(flags & SUSPENDED)
    return fields | {"form": form, "closed": closed, "suspended": suspended}


class Witness:
    """Sums over all logs since the deployment, and the rules that hold between them and the state."""

    def __init__(self, addresses: dict[str, str], state: State) -> None:
        self.addresses = addresses
        self.state = state
        self.minted = self.burned = 0
        self.levies = self.levies_burned = 0
        self.deposits: dict[str, int] = defaultdict(int)
        self.credited: dict[str, int] = defaultdict(int)
        self.withdrawn: dict[str, int] = defaultdict(int)
        self.licences: dict[bytes, dict[str, Any]] = {}
        first = state["DataMarket", "rates_of", 1]
        self.epochs: dict[int, dict[str, int]] = {1: dict(zip(RATES, first, strict=True))}
        self.shares: dict[bytes, int] = {}
        self.lines: dict[bytes, bytes] = {}  # record → the first version of it
        self.minted_for: set[bytes] = set()

    # ---------------------------------------------------------------- between two states

    def refused(self, after: State) -> None:
        """After a call that was refused."""
        changed = [key for key, old in after.items() if old != self.state.get(key, 0)]
        claim(not changed, 16, f"a refused call changed {changed}")

    def step(self, function: str, logs: list[Log], after: State, now: int, gifts: dict) -> None:
        """After a call that went through, or after time has passed (no logs)."""
        before, self.state = self.state, after
        names = [log.event for log in logs]
        self._supply(before, after, logs)
        for log in logs:
            handler = getattr(self, f"_on_{log.event}", None)
            if handler is not None:
                handler(log.args, before, now, logs)
        self._sums(after, gifts)
        self._earnings(before, after, "LicenceSettled" in names)
        self._licences(before, after)
        self._consents(before, after, names)
        self._records(before, after)

    def _supply(self, before: State, after: State, logs: list[Log]) -> None:
        for log in logs:
            if log.contract == "UsageToken" and log.event == "Transfer":
                self.minted += log.args["value"] if log.args["from"] == ZERO else 0
                self.burned += log.args["value"] if log.args["to"] == ZERO else 0
            if log.event == "LevyReceived":
                share = before["Treasury", "burn_rule"][1]
                above = before["UsageToken", "totalSupply"] > before["Treasury", "burn_rule"][0]
                burned = log.args["amount"] * share // BPS if above else 0
                claim(log.args["burned"] == burned, 17, f"{log.args} burned, not {burned}")
                self.levies += log.args["amount"]
                self.levies_burned += log.args["burned"]

    def _sums(self, now: State, gifts: dict[str, int]) -> None:
        supply, balances = now["UsageToken", "totalSupply"], words(now, "UsageToken", "balanceOf")
        total = sum(balances.values())
        claim(total == supply, 1, f"balances of {total}, supply of {supply}")
        claim(supply == self.minted - self.burned, 1, f"{self.minted} - {self.burned} of {supply}")

        levies, burned, reserve = now["Treasury", "books"]
        treasury, market = self.addresses["Treasury"], self.addresses["DataMarket"]
        claim((levies, burned) == (self.levies, self.levies_burned), 3, "books are not the logs")
        claim(reserve == levies - burned, 3, f"{reserve} = {levies} - {burned}")
        held = balances[treasury] - gifts.get(treasury, 0)
        claim(held == reserve, 3, f"the treasury holds {held} and says {reserve}")

        deposits = {
            account: unpack(word, LICENSEE_FIELDS)["deposit"]
            for account, word in words(now, "DataMarket", "licensee_word").items()
        }
        for account, deposit in deposits.items():
            claim(deposit == self.deposits[account], 14, f"{account} has {deposit} deposited")
        earned = sum(
            unpack(word, EARNINGS_FIELDS)["earned"]
            for word in words(now, "DataMarket", "earnings_word").values()
        )
        unsettled = sum(found["held"] for found in self.licences.values())
        owed = sum(deposits.values()) + earned + unsettled
        held = balances[market] - gifts.get(market, 0)
        claim(held == owed, 8, f"the market holds {held} and owes {owed}")

    def _earnings(self, before: State, after: State, settled: bool) -> None:
        for account, word in words(after, "DataMarket", "earnings_word").items():
            earned = unpack(word, EARNINGS_FIELDS)["earned"]
            left = self.credited[account] - self.withdrawn[account]
            claim(left >= 0, 6, f"{account} withdrew more than it earned")
            claim(earned == left, 6, f"{account} can withdraw {earned} of {left}")
            old = before.get(("DataMarket", "earnings_word", account), 0)
            more = earned > unpack(old, EARNINGS_FIELDS)["earned"]
            claim(settled or not more, 9, f"{account} earned without a settlement")

    def _licences(self, before: State, after: State) -> None:
        for licence, word in words(before, "DataMarket", "licence_word").items():
            claim(after.get(("DataMarket", "licence_word", licence)), 11, "a licence is forgotten")
            if licence_fields(word)["closed"]:
                same = after["DataMarket", "licence_word", licence] == word
                claim(same, 11, "a closed licence changed")
        for licence, word in words(after, "DataMarket", "licence_word").items():
            found = licence_fields(word)
            if found["form"] == METERED:
                inside = found["settled"] <= found["used"] <= found["units"]
            else:
                inside = found["start"] <= found["settled"] <= found["end"]
            claim(inside, 10, f"marks out of order: {found}")
            bought = self.licences[licence]
            fixed = {k: found[k] for k in ("price", "end", "epoch", "form")}
            fixed["extent"] = (
                found["units"] - bought["topped_up"] if found["form"] == METERED else found["start"]
            )
            claim(bought.setdefault("fixed", fixed) == fixed, 15, f"a licence changed: {fixed}")
            claim(bought.get("settled_mark", 0) <= found["settled"], 10, "a mark went back")
            bought["settled_mark"] = found["settled"]
            out = bought["settled"] + bought["levies"] + bought["returned"]
            claim(bought["paid"] == out + bought["held"], 12, f"{bought}")
            claim(bought["held"] == self._by_word(found), 12, f"{found} holds {bought['held']}")

    def _by_word(self, found: dict[str, int]) -> int:
        """What a licence holds by its word: the price of what is not settled, and the levy on it."""
        if found["closed"]:
            return 0
        price = found["price"] * GRAIN
        if found["form"] == METERED:
            rest = price * (found["units"] - found["settled"])
        else:
            span, done = found["end"] - found["start"], found["settled"] - found["start"]
            rest = price - found["price"] * done // span * GRAIN
        return rest + rest * self.epochs[found["epoch"]]["levy"] // BPS

    def _consents(self, before: State, after: State, names: list[str]) -> None:
        known = words(before, "DataMarket", "consent_word")
        for consent, word in words(after, "DataMarket", "consent_word").items():
            old = known.get(consent, 0)
            told = "ConsentGranted" in names or "ConsentRevoked" in names
            claim(word == old or told, 11, "a consent changed in silence")
            if unpack(old, CONSENT_FIELDS)["revoked"]:
                claim(word == old, 11, "a revoked consent changed")

    def _records(self, before: State, after: State) -> None:
        once = ("attested", "minted", "superseded", "destroyed")
        for record, word in words(before, "RecordRegistry", "facts").items():
            old = unpack(word, RECORD_FIELDS)
            new = unpack(after["RecordRegistry", "facts", record], RECORD_FIELDS)
            for name, value in old.items():
                scored = name in ("attester", "quality", "dvi") and not old["attested"]
                if name in once:
                    claim(new[name] >= value, 18, f"{name} was taken back")
                elif not scored:
                    claim(new[name] == value, 18, f"{name} changed from {value} to {new[name]}")

    # ---------------------------------------------------------------- log by log

    def _on_RatesChanged(self, args: dict, before: State, now: int, logs: list) -> None:  # noqa: N802
        self.epochs[args["epoch"]] = args["current"]

    def _on_ConsentGranted(self, args: dict, before: State, now: int, logs: list) -> None:  # noqa: N802
        self.shares[args["consent"]] = args["terms"]["patientShare"]

    def _on_Deposited(self, args: dict, before: State, now: int, logs: list) -> None:  # noqa: N802
        self.deposits[args["account"]] += args["amount"]

    def _on_DepositReclaimed(self, args: dict, before: State, now: int, logs: list) -> None:  # noqa: N802
        self.deposits[args["account"]] -= args["amount"]

    def _on_Withdrawn(self, args: dict, before: State, now: int, logs: list) -> None:  # noqa: N802
        self.withdrawn[args["account"]] += args["amount"]

    def _on_LicenceBought(self, args: dict, before: State, now: int, logs: list) -> None:  # noqa: N802
        word = before["DataMarket", "consent_word", args["consent"]]
        consent = unpack(word, CONSENT_FIELDS)
        claim(not consent["revoked"], 4, "bought under a revoked consent")
        claim(now < consent["expiry"], 4, "bought under an expired consent")
        claim(now < args["end"] <= consent["expiry"], 4, "bought beyond the consent")
        self.deposits[args["payer"]] -= args["paid"] + args["levy"]
        paid = args["paid"] + args["levy"]
        epoch = unpack(before["DataMarket", "rates_word"], RATES_FIELDS)
        claim(epoch["epoch"] == args["epoch"], 15, "bought at other rates than those in force")
        claim(args["levy"] * BPS == args["paid"] * epoch["levy"], 2, "the levy on a purchase")
        claim(args["licence"] not in self.licences, 11, "bought twice")
        self.licences[args["licence"]] = {
            "paid": paid,
            "held": paid,
            "settled": 0,
            "levies": 0,
            "returned": 0,
            "topped_up": 0,
            **{k: args[k] for k in ("consent", "record", "licensee", "epoch")},
        }

    def _on_LicenceToppedUp(self, args: dict, before: State, now: int, logs: list) -> None:  # noqa: N802
        bought = self.licences[args["licence"]]
        self._runs(args["licence"], before, now)
        rates, paid = self.epochs[bought["epoch"]], args["paid"]
        claim(args["levy"] * BPS == paid * rates["levy"], 2, "the levy on a top-up")
        self.deposits[bought["licensee"]] -= paid + args["levy"]
        bought["topped_up"] += args["units"]
        bought["paid"] += paid + args["levy"]
        bought["held"] += paid + args["levy"]

    def _on_VoucherRedeemed(self, args: dict, before: State, now: int, logs: list) -> None:  # noqa: N802
        found = licence_fields(before["DataMarket", "licence_word", args["licence"]])
        consent = self.licences[args["licence"]]["consent"]
        word = unpack(before["DataMarket", "consent_word", consent], CONSENT_FIELDS)
        last = min(found["end"], word["revoked"] or found["end"])
        claim(args["time"] <= min(last, now), 4, "a voucher of later than the end")
        window = before["DataMarket", "window"]
        claim(now <= last + window, 4, "a voucher came after its window")
        claim(not found["closed"], 4, "a voucher of a closed licence")

    def _on_DeskMoved(self, args: dict, before: State, now: int, logs: list) -> None:  # noqa: N802
        claim(args["desk"] in (args["source"], args["target"]), 14, "a desk moved others' deposits")
        self.deposits[args["source"]] -= args["amount"]
        self.deposits[args["target"]] += args["amount"]

    def _on_LicenceUsed(self, args: dict, before: State, now: int, logs: list) -> None:  # noqa: N802
        self._runs(args["licence"], before, now)

    def _runs(self, licence: bytes, before: State, now: int) -> None:
        found = licence_fields(before["DataMarket", "licence_word", licence])
        consent = self.licences[licence]["consent"]
        word = unpack(before["DataMarket", "consent_word", consent], CONSENT_FIELDS)
        claim(now < found["end"], 4, "used after its end")
        claim(not found["suspended"] and not found["closed"], 4, "used while it was stopped")
        claim(not word["revoked"], 4, "used after the consent was revoked")

    def _on_LicenceSettled(self, args: dict, before: State, now: int, logs: list) -> None:  # noqa: N802
        bought = self.licences[args["licence"]]
        rates, share = self.epochs[bought["epoch"]], self.shares[bought["consent"]]
        gross, part = args["gross"], {name: args[f"{name}Amount"] for name in PARTS}
        claim(sum(part.values()) == gross > 0, 2, f"the parts {part} do not make {gross}")
        claim(args["levy"] * BPS == gross * rates["levy"], 2, f"levy of {args['levy']}")
        claim(part["platform"] * BPS == gross * rates["platform"], 2, f"platform of {part}")
        named = args["annotator"] != ZERO
        due = gross * rates["annotator"] if named else 0
        claim(part["annotator"] * BPS == due, 2, f"annotator of {part}")
        provider = part["patient"] + part["custodian"]
        claim(part["patient"] * BPS == provider * share, 2, f"patient of {part}")
        parties = before["RecordRegistry", "parties", bought["record"]][:3]
        paid = tuple(int(args[name], 16) for name in PARTS)
        claim(paid == (*parties, before["DataMarket", "platform"]), 9, "somebody else was paid")
        for name in PARTS:
            self.credited[args[name]] += part[name]
        bought["settled"] += gross
        bought["levies"] += args["levy"]
        bought["held"] -= gross + args["levy"]

    def _on_LicenceClosed(self, args: dict, before: State, now: int, logs: list) -> None:  # noqa: N802
        bought = self.licences[args["licence"]]
        claim(args["licensee"] == bought["licensee"], 14, "refunded to somebody else")
        back = args["refund"] + args["levy"]
        bought["returned"] += back
        bought["held"] -= back
        self.deposits[args["licensee"]] += back

    def _on_Transfer(self, args: dict, before: State, now: int, logs: list) -> None:  # noqa: N802
        names = [log.event for log in logs]
        dct = any(log.contract == "ContributionToken" and log.args is args for log in logs)
        if not dct:
            return
        if args["from"] == ZERO and args["value"]:
            claim("RecordAttested" in names, 5, "DCT was minted without an attestation")
        elif args["from"] != ZERO and args["to"] != ZERO:
            claim("Recovered" in names, 5, "DCT moved without a recovery")

    def _on_RecordRegistered(self, args: dict, before: State, now: int, logs: list) -> None:  # noqa: N802
        previous = args["draft"]["previous"]
        claim(args["record"] not in self.lines, 18, "a record was registered twice")
        first = args["record"] if previous == NONE else self.lines[previous]
        self.lines[args["record"]] = first

    def _on_RecordAttested(self, args: dict, before: State, now: int, logs: list) -> None:  # noqa: N802
        if args["minted"]:
            first = self.lines[args["record"]]
            claim(first not in self.minted_for, 18, "one line of versions minted twice")
            self.minted_for.add(first)
