"""The whole way of a record with a daemon as the store, through the command line and the demo."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from support.kubo import Daemon
from support.live import medtoken

from medtoken.chain.devnet import anvil
from medtoken.demo.story import Story
from medtoken.home import Home
from medtoken.ipfs import EmbeddedStore, KuboStore, check

DAMAGED_LEAF = 3


def test_check_repair_export_and_import_on_a_daemon(
    own: Daemon, embedded: EmbeddedStore, content: bytes, tmp_path: Path
) -> None:
    cid = KuboStore(own.api).add_file(io.BytesIO(content))
    common = ("--home", tmp_path / "home", "--store", "kubo", "--ipfs-api", own.api, "--json")
    assert medtoken("store", "check", *common).ok()["records"][0]["pinned"]
    car = tmp_path / "record.car"
    assert medtoken("store", "export", str(cid), "--car", car, *common).ok()["blocks"] == 22
    (leaf,) = [
        path
        for path in (own.repo / "blocks").glob("*/*.data")
        if path.read_bytes() == content[DAMAGED_LEAF << 20 : DAMAGED_LEAF + 1 << 20]
    ]
    leaf.write_bytes(b"rot")
    assert medtoken("store", "check", *common).code == 5
    # Its only peers are none, so that without a source it cannot be repaired.
    assert medtoken("store", "repair", "--from", car, *common).code == 0
    assert medtoken("store", "check", *common).code == 0
    KuboStore(own.api).delete(cid)
    assert medtoken("store", "check", str(cid), *common).code == 6
    assert medtoken("store", "import", car, *common).code == 0
    assert medtoken("store", "check", *common).code == 0
    assert str(cid) in own.ipfs("dag", "import", car)


@pytest.mark.slow
@pytest.mark.e2e
def test_the_main_job_with_a_daemon_as_the_store(own: Daemon, tmp_path: Path) -> None:
    """Records are sealed into a daemon and opened from it; not a block is in the folder."""
    home = Home(tmp_path / "home", store="kubo", ipfs_api=own.api)
    with anvil(outbox=home.outbox) as node:
        summary = Story(node, home, tmp_path / "out", lambda line: None).run()
    assert all(record["opened_as_consented"] for record in summary["records"])
    store = KuboStore(own.api, offline=True)
    assert set(store.pins()) == {*home.registered().values(), *home.copies()}
    assert all(check(store, cid).sound for cid in store.pins())
    assert not (home.folder / "blocks").exists()
