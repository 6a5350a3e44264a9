"""The demo's report: one HTML page for people who never saw a blockchain, made from the summary.

The page runs no script and loads nothing; the same summary gives the same bytes. Whatever comes
from the summary is escaped by ``_fill``, and every figure on the page comes from the summary.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from os import PathLike
from pathlib import Path
from string import Template
from typing import Any

from medtoken.chain.outbox import write_durably
from medtoken.errors import BadInput
from medtoken.formats import Format
from medtoken.messages import DUT

Summary = Mapping[str, Any]


def write_report(summary: Summary, path: str | PathLike[str]) -> None:
    """Write the summary of a demo (``medtoken.demo.story``) as one self-contained HTML file.

    Raises BadInput when an amount in the summary is not a whole number of base units.
    """
    write_durably(Path(path), _page(summary).encode(), mode=0o644)


# ---------------------------------------------------------------------- markup


class _Html(str):
    """Text that is markup already."""


def _fill(template: str, /, **values: object) -> _Html:
    """Put values into a template; whatever is not markup is escaped."""
    safe = {k: v if isinstance(v, _Html) else html.escape(str(v)) for k, v in values.items()}
    return _Html(Template(template).substitute(safe))


def _lines(parts: Iterable[_Html]) -> _Html:
    return _Html("\n".join(parts))


def _resource(name: str) -> _Html:
    return _Html((files("medtoken.demo") / name).read_text(encoding="utf-8"))


def _policy(style: str) -> str:
    """A content security policy that allows this one style sheet and nothing else."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


# ---------------------------------------------------------------------- figures


def _whole(value: Any) -> int:
    """A count or an amount in base units, given as a number or as text."""
    try:
        number = int(value)
    except (TypeError, ValueError):
        raise BadInput(f"The summary has {value!r} where a whole number belongs.") from None
    if number < 0:
        raise BadInput(f"The summary has {number} where an amount belongs.")
    return number


def _amount(base: int) -> str:
    """Base units as tokens, rounded to two decimals."""
    cents = (base * 100 + DUT // 2) // DUT
    if base and not cents:
        return "< 0.01"
    return f"{cents // 100:,}.{cents % 100:02}" if cents % 100 else f"{cents // 100:,}"


def _percent(part: int, whole: int) -> str:
    if not whole:
        return "none"
    hundredths = (part * 20_000 + whole) // (2 * whole)
    if part and not hundredths:
        return "< 0.01\N{NO-BREAK SPACE}%"
    return f"{hundredths / 100:,.2f}".rstrip("0").rstrip(".") + "\N{NO-BREAK SPACE}%"


def _size(size: int) -> str:
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} bytes"


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


@dataclass(frozen=True)
class _Money:
    """The worked example's payment, base units."""

    gross: int
    levy: int
    provider: int
    patient: int
    custodian: int
    annotator: int
    platform: int
    burned: int

    @classmethod
    def of(cls, worked: Summary) -> _Money:
        return cls(**{name: _whole(worked[name]) for name in cls.__dataclass_fields__})

    @property
    def paid(self) -> int:
        return self.gross + self.levy

    @property
    def reserve(self) -> int:
        return max(0, self.levy - self.burned)

    def adds_up(self) -> bool:
        return (
            self.patient + self.custodian == self.provider
            and self.provider + self.annotator + self.platform == self.gross
            and self.burned <= self.levy
        )


# ---------------------------------------------------------------------- what must hold


@dataclass(frozen=True)
class _Rule:
    """An invariant in plain words."""

    name: str
    checked: str


_RULES = {
    "1": _Rule(
        "No money out of thin air",
        "All DUT that anybody holds, added up, must be exactly the DUT that were issued minus "
        "those that were burned.",
    ),
    "2": _Rule(
        "Every payment adds up",
        "What a company paid must be, to the last base unit, what everybody got, plus the levy, "
        "plus what was returned or still waits to be earned.",
    ),
    "3": _Rule(
        "The reserve is complete",
        "The reserve must hold every levy that came in, minus what was burned and minus what a "
        "decision of the members spent.",
    ),
    "4": _Rule(
        "Nothing without a living consent",
        "For each purchase, each use and each payment there must be a consent that the patient "
        "had given and not taken back, and a licence inside it.",
    ),
    "5": _Rule(
        "Contributions stay with their patient",
        "No DCT may ever move from one person to another, except back to its owner after a lost "
        "wallet.",
    ),
    "6": _Rule(
        "Everybody gets what they earned, and no more",
        "Nobody may have taken out more than they had earned, and the money for all that is still "
        "owed must be there.",
    ),
    "7": _Rule(
        "Anybody can rebuild the books",
        "All books, computed again from the public log alone, must agree with what the chain "
        "itself says.",
    ),
}

# What was tried after the revocation: in a few words, and what its refusal means.
_ATTEMPTS = {
    "use": (
        "Using the record",
        "Each use is entered on the chain, which looks at the consent first. It found it taken "
        "back, so nothing was used and nothing was paid.",
    ),
    "key": (
        "Getting its key",
        "The record is kept encrypted. Every key keeper looked at the chain for itself and kept "
        "its share of the key, so the record stays shut.",
    ),
    "purchase": (
        "Buying a licence",
        "The consent is looked at in the same step that takes the money. So there was no licence, "
        "and no money moved.",
    ),
}


def _refused(summary: Summary) -> int:
    return sum(1 for what in _ATTEMPTS if summary["after_revoke"].get(what))


def _rule(invariant: Summary) -> _Rule:
    number = str(invariant["id"])
    return _RULES.get(number) or _Rule(f"Rule {number}", "")


def broken_rules(summary: Summary) -> list[str]:
    """The names of the rules that did not hold, of the audit, the keepers and the story itself."""
    invariants, supply = summary["audit"]["invariants"], summary["supply"]
    broken = [_rule(i).name for i in invariants if not i["holds"]]
    if not invariants:
        broken.append("An audit looks at every rule")
    broken += [
        f"{record['file']} opens as the copy that its patient lets out"
        for record in summary["records"]
        if not record["opened_as_consented"]
    ]
    if not _Money.of(summary["worked_example"]).adds_up():
        broken.append("The parts of the payment make up its price")
    broken += [
        f"After a revocation there is no {what}"
        for what in _ATTEMPTS
        if not summary["after_revoke"].get(what)
    ]
    if summary["keepers"]["unjustified"]:
        broken.append("No key is released without a live licence")
    if _whole(supply["minted"]) - _whole(supply["burned"]) != _whole(supply["total"]):
        broken.append("Issued minus burned is what exists")
    return broken


def _verdict(broken: list[str]) -> str:
    if not broken:
        return "Every rule held."
    subject = "One rule did" if len(broken) == 1 else f"{len(broken)} rules did"
    return f"{subject} not hold: {'; '.join(f'“{name}”' for name in broken)}."


# ---------------------------------------------------------------------- the page

_GOOD = _Html(
    '<svg class="mark" viewBox="0 0 24 24" aria-hidden="true"><path d="M4 13l5 5L20 6"/></svg>'
)
_BAD = _Html(
    '<svg class="mark" viewBox="0 0 24 24" aria-hidden="true"><path d="M5 5l14 14M19 5L5 19"/></svg>'
)


def _page(summary: Summary) -> str:
    broken = broken_rules(summary)
    money = _Money.of(summary["worked_example"])
    style = _resource("_report.css")
    invariants = summary["audit"]["invariants"]
    return _fill(
        _resource("_report.html"),
        policy=_policy(style),
        style=style,
        verdict=_verdict(broken),
        state="broken" if broken else "good",
        mark=_BAD if broken else _GOOD,
        lede=_lede(summary, broken),
        tiles=_lines(_tiles(summary, money)),
        story=_lines(_story(summary, money)),
        records=_lines(_record(r, _earned(summary, r)) for r in summary["records"]),
        money=_paid(summary["worked_example"], money),
        flow=_lines(_picture(money, layout) for layout in (_WIDE, _NARROW)),
        shares=_lines(_shares(money)),
        sums=_sums(money),
        unit=str(DUT),
        exact=_lines(_exact(summary)),
        attempts=len(_ATTEMPTS),
        refusals=_lines(_refusals(summary["after_revoke"])),
        audited=_audited(summary["audit"]),
        rules=_lines(_finding(i) for i in invariants),
        supply=_lines(_supply(summary["supply"])),
        supply_exact="{minted} − {burned} = {total}".format_map(summary["supply"]),
        seconds=summary["seconds"],
    )


def _lede(summary: Summary, broken: list[str]) -> str:
    if broken:
        return (
            "This page shows what happened and where it went wrong. Until the reason is known, "
            "nothing of this run should be relied on."
        )
    return (
        f"{_count(len(summary['records']), 'medical record was', 'medical records were')} sealed, "
        "licensed, used and paid for. Every payment adds up, every record opened as the copy that "
        "its patient let out, and when a patient said no, it stopped."
    )


_TILE = "<div><dt>$label</dt><dd>$value</dd></div>"


def _tiles(summary: Summary, money: _Money) -> Iterator[_Html]:
    records = summary["records"]
    opened = sum(1 for r in records if r["opened_as_consented"])
    invariants = summary["audit"]["invariants"]
    held = sum(1 for i in invariants if i["holds"])
    of = "$part <small>of $whole</small>"
    dut = _fill("$amount <small>DUT</small>", amount=_amount(money.patient))
    yield _fill(_TILE, label="went to one patient for one record", value=dut)
    for label, part, whole in (
        ("records opened as the copies that patients let out", opened, len(records)),
        ("attempts refused after the patient said no", _refused(summary), len(_ATTEMPTS)),
        ("rules of the audit held", held, len(invariants)),
    ):
        yield _fill(_TILE, label=label, value=_fill(of, part=part, whole=whole))


_STEP = "<li><h3>$title</h3><p>$text</p></li>"


def _story(summary: Summary, money: _Money) -> Iterator[_Html]:
    records, worked, withdrawn = (summary[k] for k in ("records", "worked_example", "withdrawn"))
    audit = summary["audit"]
    dct = sum(_whole(r["dct"]) for r in records)
    files_ = _count(len(records), "medical file", "medical files")
    uses = _count(_whole(summary["uses"]), "time", "times")
    fee = _whole(withdrawn["eth_balance"])
    steps = {
        "A hospital sealed the records": f"It encrypted {files_} and put a fingerprint of each on "
        "the chain. A laboratory, not the hospital, attested their quality, and for that the "
        f"patients got {_amount(dct)} DCT, the token that counts their contribution.",
        "The patients agreed": "Each signed a consent in plain words: who may use the record, for "
        "what, for how long. A relay carried the signatures to the chain, so that no patient "
        "needed money to do so.",
        "A company bought licences and used the records": "It could buy only what the consents "
        f"allow, and it paid in DUT. It used the records {uses}.",
        "It opened them": "Independent key keepers looked at the chain, then handed out their "
        "shares of the keys. The company opened the records and compared each with its "
        "fingerprint.",
        "Everybody was paid": f"For {_whole(worked['calls']):,} calls of one record the company "
        f"paid {_amount(money.paid)} DUT. The rules split it by themselves: "
        f"{_amount(money.patient)} DUT were the patient's, who moved "
        f"{_amount(_whole(withdrawn['patient']))} DUT to a wallet of their own while holding "
        f"{_amount(fee)} ETH, the currency in which chains charge their fees.",
        "One patient said no": "One signature took the consent back. The company then tried to "
        "use the record, to get its key and to buy another licence: "
        f"{_refused(summary)} of {len(_ATTEMPTS)} attempts were refused.",
        "An auditor checked it all": f"From the public log alone, {_entries(audit)}, it "
        "computed every balance again and held it against the chain.",
    }
    return (_fill(_STEP, title=title, text=text) for title, text in steps.items())


def _entries(audit: Summary) -> str:
    return (
        f"{_count(_whole(audit['events']), 'entry', 'entries')} in blocks "
        f"{_whole(audit['from_block']):,} to {_whole(audit['to_block']):,}"
    )


# ---------------------------------------------------------------------- records

# For each format its name and an icon, as paths on a field of 24 by 24.
_KINDS = {
    Format.FHIR.value: ("Health record", "M7 3h10v18H7zM10 8h4M12 6v4M10 14h4M10 17h4"),
    Format.DICOM.value: ("Medical image", "M3 5h18v14H3zM3 16l5-5 4 4 3-3 6 5M16 9h.01"),
    Format.CGM.value: ("Glucose series", "M3 3v18h18M6 15l3-5 3 3 3-7 5 8"),
    Format.VCF.value: (
        "Genome",
        "M7 2c0 7 10 7 10 10S7 15 7 22M17 2c0 7-10 7-10 10s10 3 10 10M9 5h6M9 19h6M9 12h6",
    ),
}
_ANY_KIND = "M6 3h8l4 4v14H6zM14 3v4h4"

_RECORD = """\
<li class="card">
<div class="kind"><svg class="mark" viewBox="0 0 24 24" aria-hidden="true"><path d="$icon"/></svg>
<h3>$kind</h3></div>
<p class="about">$about</p>
<dl class="facts">
<div><dt>File</dt><dd>$file</dd></div>
<div><dt>Comes from</dt><dd>$source</dd></div>
<div><dt>Size</dt><dd class="number">$size</dd></div>
<div><dt>Quality</dt><dd><span>$quality of 100</span>$bar</dd></div>
<div><dt>The patient got</dt><dd>$got</dd></div>
<div><dt>Opened as consented</dt><dd>$opened</dd></div>
</dl>
<details>
<summary>Fingerprint and address<span class="unseen"> of $file</span></summary>
<dl>
<dt>Fingerprint (salted)</dt><dd class="mono">$fingerprint</dd>
<dt>Content address of the encrypted file</dt><dd class="mono">$cid</dd>
<dt>Record on the chain</dt><dd class="mono">$record</dd>
<dt>Bytes, as it is and encrypted</dt><dd class="mono">$bytes and $sealed</dd>
</dl>
</details>
</li>"""

_BAR = (
    '<svg class="bar" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">'
    '<rect class="back" width="100" height="6"/><rect class="front" width="$width" height="6"/>'
    "</svg>"
)


def _record(record: Summary, earned: int | None) -> _Html:
    kind, icon = _KINDS.get(record["kind"], (record["kind"], _ANY_KIND))
    quality = _whole(record["quality"])
    got = [f"{_amount(_whole(record['dct']))} DCT"]
    if earned is not None:
        got.append(f"{_amount(earned)} DUT")
    return _fill(
        _RECORD,
        icon=icon,
        kind=kind,
        about=record["description"],
        file=record["file"],
        source=record["source"],
        size=_size(_whole(record["bytes"])),
        quality=quality,
        bar=_fill(_BAR, width=min(quality, 100)),
        got=_Html("".join(_fill("<span>$each</span>", each=each) for each in got)),
        opened=_yes_or_no(record["opened_as_consented"]),
        fingerprint=record["fingerprint"],
        cid=record["cid"],
        record=record["record"],
        bytes=f"{_whole(record['bytes']):,}",
        sealed=f"{_whole(record['sealed_bytes']):,}",
    )


def _earned(summary: Summary, record: Summary) -> int | None:
    """What the owner of a record earned, by the audit's ledger; None when it does not say."""
    ledger = summary["audit"]["ledger"]
    entry = ledger.get("registry", {}).get("records", {}).get(record["record"])
    if entry is None:
        return None
    earnings = ledger.get("market", {}).get("earnings", {}).get(entry["owner"], {})
    return _whole(earnings.get("patient", 0))


def _yes_or_no(value: object) -> _Html:
    return _Html('<span class="yes">Yes</span>' if value else '<span class="no">No</span>')


# ---------------------------------------------------------------------- the flow of money


@dataclass(frozen=True)
class _Layout:
    """Where a flow picture puts its three columns, in units of its own."""

    name: str
    width: int
    columns: tuple[int, int, int]
    bar: int  # width of a node
    scale: int  # height of everything that was paid
    slot: int  # room for the label of a small flow
    line: int  # from one line of text to the next
    words: bool  # whether labels have room for a unit and a share


_WIDE = _Layout("wide", 920, (0, 315, 620), 14, 330, 44, 19, words=True)
_NARROW = _Layout("narrow", 330, (0, 112, 222), 10, 300, 38, 16, words=False)
_GAP = 12


@dataclass(frozen=True)
class _Node:
    kind: str
    label: str
    amount: int
    x: int
    y: float
    height: float


_PICTURE = """\
<svg class="flow $name" viewBox="0 0 $width $height" role="img" aria-labelledby="flow-$name">
<title id="flow-$name">$title</title>
$shapes
</svg>"""
_RIBBON = (
    '<path class="$kind" '
    'd="M$x0 ${a0}C$mid $a0 $mid $a1 $x1 ${a1}V${b1}C$mid $b1 $mid $b0 $x0 ${b0}Z"/>'
)
_RECT = '<rect class="$kind" x="$x" y="$y" width="$width" height="$height" rx="2"/>'
_TEXT = '<text class="$kind" x="$x" y="$y" text-anchor="$anchor">$text</text>'


def _picture(money: _Money, layout: _Layout) -> _Html:
    """The flow from the company to everybody, drawn for one width of screen."""
    top = 2.45 * layout.line
    payees, bottom = _payees(money, layout, top)
    split = sum(1 for p in payees if p.kind not in ("reserve", "burned"))
    first, second, _ = layout.columns
    company = _Node(
        "company", "Company", money.paid, first, top, _height(money, money.paid, layout)
    )
    price = _Node("price", "Price", money.gross, second, top, _height(money, money.gross, layout))
    high = _height(money, money.levy, layout)
    between = (payees[split].y + payees[-1].y + payees[-1].height) / 2
    lowest = price.y + price.height + _GAP
    levy = _Node("levy", "Levy on top", money.levy, second, max(lowest, between - high / 2), high)
    ribbons = [
        *_ribbons(money, layout, company, [price, levy], by_target=True),
        *_ribbons(money, layout, price, payees[:split]),
        *_ribbons(money, layout, levy, payees[split:]),
    ]
    nodes = [company, price, levy, *payees]
    labels = [
        *_label(layout, company, company.x, company.y - 1.45 * layout.line, "start"),
        *_label(layout, price, price.x, price.y - 1.45 * layout.line, "start"),
        *_label(layout, levy, levy.x + layout.bar, levy.y + levy.height + layout.line, "end"),
    ]
    for node in payees:
        middle = node.y + node.height / 2 - 0.15 * layout.line
        share = _percent(node.amount, money.gross) if node.kind in _OF_PRICE else ""
        labels += _label(layout, node, node.x + layout.bar + 10, middle, "start", share)
    bottom = max(bottom, levy.y + levy.height + 2.4 * layout.line)
    shapes = [*ribbons, *(_rect(layout, n) for n in nodes), *labels]
    return _fill(
        _PICTURE,
        name=layout.name,
        width=layout.width,
        height=_n(bottom),
        title="Where the money went, from the company to everybody who was paid; the table below "
        "has the same figures.",
        shapes=_lines(shapes),
    )


_OF_PRICE = ("patient", "hospital", "annotator", "platform")


def _payees(money: _Money, layout: _Layout, top: float) -> tuple[list[_Node], float]:
    """The right column: each node in the middle of a slot that has room for its label."""
    parts = (
        ("patient", "Patient", money.patient),
        ("hospital", "Hospital", money.custodian),
        ("annotator", "Annotator", money.annotator),
        ("platform", "Platform", money.platform),
        ("reserve", "Reserve", money.reserve),
        ("burned", "Burned", money.burned),
    )
    nodes, y = [], top
    for kind, label, amount in parts:
        height = _height(money, amount, layout)
        slot = max(height, layout.slot)
        nodes.append(_Node(kind, label, amount, layout.columns[2], y + (slot - height) / 2, height))
        y += slot + _GAP
    return nodes, y - _GAP


def _height(money: _Money, amount: int, layout: _Layout) -> float:
    """In proportion, but never too small to see, and never more than everything."""
    if not amount:
        return 0.0
    return max(2.0, min(amount, money.paid) / max(money.paid, 1) * layout.scale)


def _ribbons(
    money: _Money, layout: _Layout, source: _Node, targets: list[_Node], *, by_target: bool = False
) -> Iterator[_Html]:
    """Bands from a node to each of its targets, side by side in the source's height."""
    start = source.y
    for target in targets:
        x0, x1 = source.x + layout.bar, target.x
        yield _fill(
            _RIBBON,
            kind=target.kind,
            x0=x0,
            x1=x1,
            mid=_n((x0 + x1) / 2),
            a0=_n(start),
            b0=_n(start + target.height),
            a1=_n(target.y),
            b1=_n(target.y + target.height),
        )
        start += target.height


def _rect(layout: _Layout, node: _Node) -> _Html:
    height = _n(node.height)
    return _fill(_RECT, kind=node.kind, x=node.x, y=_n(node.y), width=layout.bar, height=height)


def _label(
    layout: _Layout, node: _Node, x: float, y: float, anchor: str, share: str = ""
) -> Iterator[_Html]:
    """Two lines: the name, then the amount."""
    amount = _amount(node.amount)
    if layout.words:
        amount += f" DUT · {share} of the price" if share else " DUT"
    for kind, text, row in (("name", node.label, 0), ("share", amount, 1)):
        at = _n(y + row * layout.line)
        yield _fill(_TEXT, kind=kind, x=_n(x), y=at, anchor=anchor, text=text)


def _n(value: float) -> str:
    """A coordinate."""
    return f"{value:.1f}".removesuffix(".0")


def _paid(worked: Summary, money: _Money) -> str:
    return (
        f"For {_whole(worked['calls']):,} calls of one record at {_amount(_whole(worked['price']))} "
        f"DUT each the company owed {_amount(money.gross)} DUT, and {_amount(money.levy)} DUT levy "
        f"on top. It took {_count(_whole(worked['transactions']), 'transaction', 'transactions')}. "
        "Nobody decided who gets what: the contract did, by rules that everybody can read."
    )


_SHARE = """\
<tr$sum><th scope="row">$swatch$label<small>$why</small></th>\
<td class="number">$amount</td><td class="number">$share</td></tr>"""
_SWATCH = (
    '<svg class="swatch" viewBox="0 0 12 12" aria-hidden="true">'
    '<rect class="$kind" width="12" height="12" rx="2"/></svg>'
)


def _shares(money: _Money) -> Iterator[_Html]:
    whose = _percent(money.patient, money.provider)
    rows = (
        ("patient", "Patient", money.patient, f"owns the record: {whose} of the provider's part"),
        ("hospital", "Hospital", money.custodian, "keeps, seals and looks after the record"),
        ("annotator", "Annotator", money.annotator, "labels the data, so that they can be used"),
        ("platform", "Platform", money.platform, "runs the service"),
        ("", "Price", money.gross, "all of the above"),
        ("reserve", "Reserve", money.reserve, "the part of the levy that is kept"),
        ("burned", "Burned", money.burned, "the part of the levy that is destroyed"),
        ("", "Paid by the company", money.paid, "the price and the levy"),
    )
    for kind, label, amount, why in rows:
        yield _fill(
            _SHARE,
            sum=_Html("" if kind else ' class="sum"'),
            swatch=_fill(_SWATCH, kind=kind) if kind else "",
            label=label,
            why=why,
            amount=_amount(amount),
            share=_percent(amount, money.gross),
        )


def _sums(money: _Money) -> str:
    if money.adds_up():
        return (
            "The parts add up to the price, and the price and the levy to what was paid, exactly."
        )
    return "The parts do not add up: compare the exact figures."


_EXACT = '<tr><th scope="row">$label</th><td class="mono">$value</td></tr>'
_FIGURES = {
    "price": "Price of one call",
    "gross": "Price of all calls",
    "provider": "Provider's part (patient and hospital)",
    "patient": "Patient",
    "custodian": "Hospital",
    "annotator": "Annotator",
    "platform": "Platform",
    "levy": "Levy",
    "burned": "Of the levy, burned",
}


def _exact(summary: Summary) -> Iterator[_Html]:
    worked, withdrawn = summary["worked_example"], summary["withdrawn"]
    for key, label in _FIGURES.items():
        yield _fill(_EXACT, label=label, value=worked[key])
    yield _fill(_EXACT, label="Withdrawn by the patient", value=withdrawn["patient"])
    yield _fill(_EXACT, label="DUT in the patient's wallet then", value=withdrawn["dut_balance"])


# ---------------------------------------------------------------------- refusals, audit, supply

_REFUSAL = """\
<div class="card">
<div class="tried"><h3>$title</h3> <span class="badge $state">$answer</span></div>
<blockquote>$words</blockquote>
<p class="small">$meaning</p>
</div>"""


def _refusals(refusals: Summary) -> Iterator[_Html]:
    for what, (title, meaning) in _ATTEMPTS.items():
        words = refusals.get(what)
        yield _fill(
            _REFUSAL,
            title=title,
            state="good" if words else "broken",
            answer="Refused" if words else "Not refused",
            words=words or "(no refusal)",
            meaning=meaning if words else "This should have been refused.",
        )


def _audited(audit: Summary) -> str:
    invariants = audit["invariants"]
    if not invariants:
        return "No audit was made, so nothing on this page is proven."
    held = sum(1 for i in invariants if i["holds"])
    return (
        f"The auditor trusts nobody's books. It read the public log, {_entries(audit)}, computed "
        f"everything again, and tested {_count(len(invariants), 'rule', 'rules')}: "
        f"{held} held. What it found stands under each rule, with amounts in base units."
    )


_FINDING = """\
<li>
<h3>$name</h3><span class="badge $state">$holds</span>
<p class="small">$checked</p>
<details$open><summary>What the auditor found</summary>
<p class="mono">$detail</p></details>
</li>"""


def _finding(invariant: Summary) -> _Html:
    rule, holds = _rule(invariant), invariant["holds"]
    return _fill(
        _FINDING,
        name=rule.name,
        checked=rule.checked,
        state="good" if holds else "broken",
        holds="Holds" if holds else "Does not hold",
        open=_Html("" if holds else " open"),
        detail=invariant["detail"],
    )


def _supply(supply: Summary) -> Iterator[_Html]:
    for key, label in (("minted", "issued"), ("burned", "− burned"), ("total", "= in existence")):
        value = _fill("$amount <small>DUT</small>", amount=_amount(_whole(supply[key])))
        yield _fill(_TILE, label=label, value=value)
