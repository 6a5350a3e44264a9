"""The report as one HTML file: no outside request, drawings as inline SVG, the same bytes each time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from importlib.resources import files
from typing import Any

from medtoken.audit.report._figures import Figures

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_WIDE, _HIGH = 920, 420
_TOKEN = 10**18
_PARTS = {
    "patient": ("Patients", "patient"),
    "custodian": ("Custodians", "hospital"),
    "annotator": ("Annotators", "annotator"),
    "platform": ("Platform", "platform"),
    "reserve": ("Reserve", "reserve"),
    "burned": ("Burned", "burned"),
}


def report_page(body: Figures) -> str:
    """The report of a whole suite."""
    verdict, lede = _verdict(body)
    sections = [
        ("supply", "Supply over time", _supply(body["supply"])),
        ("money", "Where the money went", _flow(body) + _sums(body["totals"])),
        (
            "consents",
            "Licences against consents",
            _timeline(body["consents"], body["last_block"]["time"]),
        ),
        ("changes", "Roles and parameters", _changes(body["changes"])),
        ("exceptions", "Every exception", _exceptions(_found(body))),
        ("checks", "What was checked", _checks(body["checks"])),
        ("again", "Check it yourself", _again(body)),
    ]
    return _html("Audit of a medtoken suite", verdict, lede, body, sections)


def credibility_page(body: Figures) -> str:
    """The report on one account, for whoever deals with it."""
    party, named = body["party"], body["named"]
    licensee, institution = body["licensee"], body["institution"]
    if licensee is None and institution is None:
        verdict, lede = "Unknown here", "No licence and no accreditation names this account."
    elif named:
        verdict = f"{_counted(len(named))} name{'s' if len(named) == 1 else ''} this account"
        lede = "Each is below, with its block and its numbers."
    else:
        verdict, lede = "Nothing held against it", "No check that names this account was broken."
    sections = []
    if licensee is not None:
        sections.append(("licensee", "As a licensee", _facts(_LICENSEE, licensee)))
    if institution is not None:
        sections.append(("institution", "As an institution", _facts(_INSTITUTION, institution)))
    sections += [
        ("exceptions", "Exceptions that name it", _exceptions(named)),
        ("checks", "What was checked", _checks(body["checks"])),
        ("again", "Check it yourself", _again(body)),
    ]
    return _html(f"Credibility of {party}", verdict, lede, body, sections, bad=bool(named))


_LICENSEE = {
    "licences": "licences bought",
    "paid": "paid for them, levies included",
    "uses": "uses on the chain",
    "suspended": "licences ever suspended by the regulator",
    "destructions": "destructions attested",
    "overdue": "destructions overdue: a licence ended 30 days ago or more",
    "outcomes": "outcomes reported to patients",
}
_INSTITUTION = {
    "number": "its number",
    "records": "records registered as custodian",
    "mean_dvi": "their mean DVI, of 100",
    "destroyed": "records destroyed, with a certificate",
    "attested": "attestations of quality for others",
    "challenged": "of these challenged",
    "upheld": "challenges upheld against it",
    "storage_proven": "proofs of storage answered",
    "storage_failed": "proofs of storage failed",
    "earned": "earned as custodian",
}
_MONEY = ("paid", "earned")


# ------------------------------------------------------------------ words


def _dut(units: Any) -> str:
    """Base units as people read them, rounded down to hundredths."""
    whole, rest = divmod(abs(int(units)), _TOKEN)
    cents = rest * 100 // _TOKEN
    if rest and not whole and not cents:
        return f"{int(units):,} × 10⁻¹⁸"
    sign = "-" if int(units) < 0 else ""
    return f"{sign}{whole:,}" + (f".{cents:02}" if cents else "")


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def _short(text: str) -> str:
    return f"{text[:8]}…{text[-4:]}" if text.startswith("0x") and len(text) > 16 else text


def _counted(exceptions: int) -> str:
    return f"{exceptions:,} exception{'s' if exceptions != 1 else ''}"


def _found(body: Figures) -> list[Figures]:
    return [violation for check in body["checks"] for violation in check["violations"]]


def _verdict(body: Figures) -> tuple[str, str]:
    count, checks = len(_found(body)), len(body["checks"])
    if count == 0:
        return (
            "Every rule held",
            f"{checks} checks over {body['events']:,} events found no exception.",
        )
    broken = sorted({v["rule"] for v in _found(body)}, key=lambda rule: int(rule[1:]))
    return _counted(count), f"Broken: {', '.join(broken)}. Each is listed below with its numbers."


# ------------------------------------------------------------------ drawings


def _svg(title: str, text: str, wide: int, high: int, inside: str) -> str:
    name = "d" + "".join(c for c in title.lower() if c.isalnum())
    return (
        f'<figure><div class="draw" tabindex="0" role="region" aria-label="{escape(title)}">'
        f'<svg viewBox="0 0 {wide} {high}" role="img" '
        f'aria-labelledby="{name} {name}x"><title id="{name}">{escape(title)}</title>'
        f'<desc id="{name}x">{escape(text)}</desc>{inside}</svg></div>'
        f"<figcaption>{escape(text)}</figcaption></figure>"
    )


def _supply(curves: dict[str, list[list[Any]]]) -> str:
    return "".join(_curve(name, points) for name, points in curves.items() if points)


def _curve(name: str, points: Sequence[Sequence[Any]]) -> str:
    """A step line: supply changes at a block and stays."""
    high, left, right, top, low = 200, 20, _WIDE - 20, 34, 168
    begin, end = points[0][0], points[-1][0]
    most = max(int(value) for _, value in points) or 1
    span = max(end - begin, 1)

    def place(time: int, value: int) -> tuple[int, int]:
        return left + (time - begin) * (right - left) // span, low - value * (low - top) // most

    path = ""
    for time, value in points:
        x, y = place(time, int(value))
        path += f"M{x} {low}V{y}" if not path else f"H{x}V{y}"
    inside = (
        f'<path class="area" d="{path}H{right}V{low}Z"/><path class="line" d="{path}H{right}"/>'
        f'<path class="axis" d="M{left} {low}H{right}"/>'
        f'<text x="{left}" y="{low + 22}">{_day(begin)}</text>'
        f'<text x="{right}" y="{low + 22}" text-anchor="end">{_day(end)}</text>'
        f'<text class="strong" x="{left}" y="20">{name}: {_dut(points[-1][1])}</text>'
        f'<text x="{right}" y="20" text-anchor="end">highest {_dut(most)}</text>'
    )
    text = f"Supply of {name}: {_dut(points[-1][1])} at the end, at most {_dut(most)}."
    return _svg(f"Supply of {name}", text, _WIDE, high, inside)


def _flow(body: Figures) -> str:
    """Bands from payers to what they paid became; the height of a band is its amount."""
    totals, payers = body["totals"], body["payers"]
    right = {name: int(totals[name]) for name in _PARTS if int(totals[name]) > 0}
    left = [(payer["account"], int(payer["paid"])) for payer in payers]
    if not left or not right:
        return "<p>Nothing was settled yet.</p>"
    gap, top = 36, 20
    room = _HIGH - 2 * top - 20 - gap * (max(len(left), len(right)) - 1)

    def stacked(items: Iterable[tuple[str, int]]) -> list[tuple[str, int, int, int]]:
        items = list(items)
        total, y, found = sum(amount for _, amount in items), top, []
        for name, amount in items:
            tall = max(2, amount * room // total)
            found.append((name, amount, y, tall))
            y += tall + gap
        return found

    sources, sinks = stacked(left), stacked(right.items())
    paid = sum(amount for _, amount in left)
    out, shapes = [0] * len(sources), []
    for name, amount, y, tall in sinks:
        inner = 0
        for place, (_, gave, source_y, source_tall) in enumerate(sources):
            thick_in = max(1, tall * gave // paid)
            thick_out = max(1, source_tall * amount // sum(right.values()))
            y0, y1 = source_y + out[place], y + inner
            shapes.append(
                f'<path class="{_PARTS[name][1]} band" d="M222 {y0}C450 {y0} 450 {y1} 678 {y1}'
                f'V{y1 + thick_in}C450 {y1 + thick_in} 450 {y0 + thick_out} 222 {y0 + thick_out}Z"/>'
            )
            out[place] += thick_out
            inner += thick_in
    for name, amount, y, tall in sources:
        shapes.append(
            f'<rect class="company" x="212" y="{y}" width="10" height="{tall}"/>'
            f'<text class="strong" x="204" y="{y + 12}" text-anchor="end">{escape(_short(name))}</text>'
            f'<text x="204" y="{y + 28}" text-anchor="end">{_dut(amount)}</text>'
        )
    for name, amount, y, tall in sinks:
        words, css = _PARTS[name]
        shapes.append(
            f'<rect class="{css}" x="678" y="{y}" width="10" height="{tall}"/>'
            f'<text class="strong" x="696" y="{y + 12}">{words}</text>'
            f'<text x="696" y="{y + 28}">{_dut(amount)} DUT</text>'
        )
    text = (
        f"Of {_dut(paid)} DUT that licensees' settlements took, "
        + ", ".join(f"{_dut(amount)} went to {_PARTS[n][0].lower()}" for n, amount in right.items())
        + "."
    )
    text = text.replace("to burned", "to nobody (burned)")
    return _svg("From payers to everybody else", text, _WIDE, _HIGH, "".join(shapes))


def _timeline(consents: Figures, now: int) -> str:
    shown = consents["shown"]
    if not shown:
        return "<p>No consent was granted yet.</p>"
    rows = sum(1 + min(len(c["licences"]), 4) for c in shown)
    step, left, right = 15, 150, _WIDE - 20
    high = 58 + rows * step + len(shown) * 8
    begin = min(c["granted"] for c in shown)
    end = max(now, *(min(c["expiry"], now + 365 * 86_400) for c in shown))
    span = max(end - begin, 1)

    def x(time: int) -> int:
        return left + int((min(max(time, begin), end) - begin) * (right - left) // span)

    shapes, y = [], 30
    for consent in shown:
        until = consent["revoked"] or consent["expiry"]
        wide = max(2, x(until) - x(consent["granted"]))
        shapes.append(
            f'<text x="{left - 8}" y="{y + 10}" text-anchor="end">{_short(consent["consent"])}</text>'
            f'<rect class="patient" x="{x(consent["granted"])}" y="{y}" width="{wide}" height="11" rx="2"/>'
        )
        if consent["revoked"]:
            at = x(consent["revoked"])
            shapes.append(f'<path class="cut" d="M{at} {y - 2}V{y + 13}"/>')
        y += step
        for licence in consent["licences"][:4]:
            stop = min(licence["until"], until)
            wide = max(2, x(stop) - x(licence["since"]))
            shapes.append(
                f'<rect class="company" x="{x(licence["since"])}" y="{y + 2}" width="{wide}" '
                'height="7" rx="2"/>'
            )
            y += step
        y += 8
    # The first day below, so that no two days lie over each other; today inside the drawing.
    side = "start" if x(now) < left + 60 else "end" if x(now) > right - 60 else "middle"
    shapes.append(
        f'<path class="axis" d="M{x(now)} 22V{high - 14}"/><text x="{x(now)}" y="16" text-anchor="{side}">'
        f'{_day(now)}</text><text x="{left}" y="{high - 2}">{_day(begin)}</text>'
        f'<text x="{right}" y="{high - 2}" text-anchor="end">{_day(end)}</text>'
    )
    text = (
        f"{len(shown)} of {consents['total']} consents, those with the most licences (up to four of each, "
        "below it). A consent's bar ends where it expires, or at the stroke where it was revoked; a "
        "licence's ends with it at the latest."
    )
    return _svg("Consents and licences", text, _WIDE, high, "".join(shapes))


# ------------------------------------------------------------------ tables


def _table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]], css: str = "") -> str:
    head = "".join(f'<th scope="col">{escape(h)}</th>' for h in heads)
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f'<table class="{css}"><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )


def _sums(totals: Figures) -> str:
    names = {
        "gross": "settled",
        "patient": "to patients",
        "custodian": "to custodians",
        "annotator": "to annotators",
        "platform": "to the platform",
        "levy": "levies on top, to the treasury",
        "burned": "of these burned",
    }
    rows = [
        (words, _dut(totals[name]), f"<code>{totals[name]}</code>") for name, words in names.items()
    ]
    return _table("Sums of all settlements", ("what", "DUT", "base units"), rows, "numbers")


def _changes(changes: Figures) -> str:
    rows = [
        (str(c["block"]), _day(c["time"]), c["kind"], escape(_short(c["what"])), escape(c["how"]))
        for c in changes["shown"]
    ]
    total = changes["total"]
    more = (
        f"<p>The last {len(rows)} of {total} changes; the JSON has the sums.</p>"
        if total > len(rows)
        else ""
    )
    caption = f"{total} changes of roles, logic and parameters"
    table = _table(caption, ("block", "day (UTC)", "kind", "of", "change"), rows)
    return f"{more}<details><summary>{caption}</summary>{table}</details>"


def _exceptions(found: Sequence[Figures]) -> str:
    if not found:
        return '<p class="good">None.</p>'
    rows = [
        (
            v["rule"],
            str(v["block"]),
            f"<code>{escape(v['transaction'])}</code>",
            escape(v["what"])
            + (f"<br><code>{escape(v['subject'])}</code>" if v["subject"] else ""),
            "<br>".join(f"<code>{escape(p)}</code>" for p in v["parties"]),
            escape(v["expected"]),
            escape(v["found"]),
        )
        for v in found
    ]
    heads = ("rule", "block", "transaction", "what", "parties", "expected", "found")
    return _table(_counted(len(found)), heads, rows, "exceptions")


def _checks(checks: Sequence[Figures]) -> str:
    rows = [
        (
            check["rule"],
            escape(check["title"]),
            '<span class="good">holds</span>'
            if check["holds"]
            else f'<strong class="bad">{_counted(len(check["violations"]))}</strong>',
        )
        for check in checks
    ]
    return _table(f"{len(checks)} checks", ("rule", "what must hold", "result"), rows)


def _facts(names: dict[str, str], values: Figures) -> str:
    rows = [
        (escape(words), f"{_dut(values[name])} DUT" if name in _MONEY else f"{values[name]:,}")
        for name, words in names.items()
    ]
    return _table("As the chain tells it", ("what", "how much"), rows, "numbers")


def _again(body: Figures) -> str:
    last, anchor = body["last_block"], body["anchor"]
    how = (
        f"Receipts of every block were proven from the block hash <code>{anchor}</code>."
        if anchor
        else "The events were taken as a node gave them; <code>--anchor HASH</code> makes the "
        "extraction prove each from a block hash that you trust."
    )
    market = body["market"]
    return (
        f"<p>Chain {body['chain_id']}, market <code>{market}</code>, blocks {body['first_block']} to "
        f"{last['number']} (<code>{last['hash']}</code>, {_day(last['time'])}). {how}</p>"
        "<pre><code>medtoken audit extract --rpc URL --deployment FILE --out DIR\n"
        "medtoken audit check --tables DIR\n"
        "medtoken audit report --tables DIR --out report.html</code></pre>"
        "<p>From the same tables the same bytes come out. What no history can tell is listed in "
        "<code>docs/checks.md</code>; that the state on the chain is what these events give is told by "
        "<code>medtoken audit replay --anchor HASH</code>.</p>"
    )


def _html(
    title: str,
    verdict: str,
    lede: str,
    body: Figures,
    sections: Sequence[tuple[str, str, str]],
    *,
    bad: bool | None = None,
) -> str:
    state = "bad" if (bad if bad is not None else not body["holds"]) else "good"
    style = (files("medtoken.audit.report") / "_page.css").read_text(encoding="utf-8")
    links = "".join(f'<li><a href="#{name}">{escape(head)}</a></li>' for name, head, _ in sections)
    parts = "".join(
        f'<section id="{name}"><h2>{escape(head)}</h2>{text}</section>'
        for name, head, text in sections
    )
    last = body["last_block"]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer"><link rel="icon" href="data:,">'
        f"<title>{escape(verdict)} · {escape(title)}</title><style>{style}</style></head><body>"
        f'<div class="page"><header><p class="brand">{escape(title)}</p>'
        f'<div class="verdict {state}"><h1>{escape(verdict)}</h1><p>{escape(lede)}</p></div>'
        f"<p>Blocks {body['first_block']:,} to {last['number']:,}, until {_day(last['time'])}.</p>"
        f'<nav aria-label="On this page"><ul>{links}</ul></nav></header><main>{parts}</main></div>'
        "</body></html>\n"
    )
