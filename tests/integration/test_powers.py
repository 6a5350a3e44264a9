"""R29: `medtoken roles` on a real chain."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from support.live import Chain, medtoken_here


def test_the_verb_tells_who_may_do_what(live: Chain, tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    live.suite.deployment.save(record)
    words = ("roles", "--rpc", live.node.url, "--deployment", record)
    told = medtoken_here(*words, "--json").ok()
    assert told["block"] == live.height()
    issue = next(
        f for f in told["functions"] if (f["contract"], f["function"]) == ("UsageToken", "issue")
    )
    exchange = live.cast["exchange"].address
    assert issue["holders"] == [{"address": exchange, "name": "exchange", "delay": 0, "since": 0}]
    text = medtoken_here(*words).out
    assert f"  EXCHANGE: exchange ({exchange}); named by COMPLIANCE" in text
    assert "  reclaim, buy_licence, top_up\n      the licensee, from its own deposit\n" in text


def test_a_record_of_another_chain_is_refused(live: Chain, tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    replace(live.suite.deployment, chain_id=1).save(record)
    ran = medtoken_here("roles", "--rpc", live.node.url, "--deployment", record)
    assert ran.code == 9
    assert "is for chain 1" in ran.err
