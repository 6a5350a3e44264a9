"""Whatever is wrong with a call: a code of its own, one sentence on stderr, and nothing has changed."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.live import Ran, answering, listing, medtoken

from medtoken import errors
from medtoken.chain.devnet import anvil, free_port
from medtoken.formats import Format

pytestmark = pytest.mark.e2e

Run = Callable[..., Ran]
NOTHING = "0x" + "01" * 32
NOBODY = "0x" + "11" * 20
BUY = ("--purpose", "HMB", "--purpose", "NPUNCU")


def said_once(ran: Ran, kind: type[errors.MedtokenError]) -> None:
    """The exit code of this kind, one sentence, and nothing for whoever reads stdout."""
    assert ran.code == kind.exit_code, ran.err
    assert ran.out == ""
    *before, last = ran.err.splitlines()
    assert last.startswith("Error: ")
    assert len(last) > 20
    assert not any(line.startswith(("Error", "Traceback", "Usage", "  File")) for line in before)
    assert before == [] or "You " in before[0] or "of your earnings" in before[0]


def unchanged(devnet: Any, attempt: Callable[[], Ran]) -> Ran:
    before, height = listing(devnet.home), devnet.chain.height()
    ran = attempt()
    assert devnet.chain.height() == height
    assert listing(devnet.home) == before
    return ran


# name: (exception, what is called; words in braces are filled in)
CALLS: dict[str, tuple[type[errors.MedtokenError], str]] = {
    # files
    "a file of no known type": (
        errors.UnsupportedFile,
        "record add {pdf} --owner patient --region TW",
    ),
    "an empty file": (errors.MalformedFile, "record add {empty} --owner patient --region TW"),
    "a truncated file": (
        errors.MalformedFile,
        "record add {truncated} --owner patient --region TW",
    ),
    "no file": (errors.BadInput, "record add {home}/nothing --owner patient --region TW"),
    "a folder": (errors.BadInput, "record add {home} --owner patient --region TW"),
    "a file of another owner": (
        errors.ContractRefused,
        "record add {vcf} --owner somebody --region TW",
    ),
    "a file of another record": (errors.BadInput, "record attest {unattested} {vcf}"),
    # people
    "an owner that is nobody": (errors.BadInput, "record add {dicom} --owner bob --region TW"),
    "an owner that is half an address": (
        errors.BadInput,
        "record add {dicom} --owner 0x1111 --region TW",
    ),
    "a wallet that is not there": (errors.StateError, "licence deposit 1 --as bob"),
    "a wallet outside the folder": (errors.BadInput, "licence deposit 1 --as ../custodian"),
    "a stranger who registers": (
        errors.NotPermitted,
        "record add {dicom} --owner patient --region TW --as stranger",
    ),
    "a stranger who annotates": (
        errors.NotPermitted,
        "record add {dicom} --owner patient --region TW --annotator stranger",
    ),
    "a hospital that attests": (
        errors.NotPermitted,
        "record attest {unattested} {cgm} --as hospital",
    ),
    "a stranger who deposits": (errors.NotPermitted, "licence deposit 1 --as stranger"),
    "a stranger who uses": (errors.ContractRefused, "licence use {licence} --as stranger"),
    "a stranger who opens": (errors.KeyRefused, "record open {licence} {home}/x --as stranger"),
    "a patient who consents to another's record": (
        errors.ConsentRefused,
        "consent grant {record} --purpose HMB --licensee pharma --as somebody",
    ),
    "a patient who revokes another's consent": (
        errors.InvalidSignature,
        "consent revoke {consent} --as somebody",
    ),
    # ids
    "a record that nobody knows": (errors.BadInput, "record show " + NOTHING),
    "a consent that nobody knows": (errors.ConsentRefused, "consent show " + NOTHING),
    "a consent that nobody can revoke": (errors.ConsentRefused, "consent revoke " + NOTHING),
    "a licence that nobody knows": (errors.ContractRefused, "licence show " + NOTHING),
    "a licence that nobody bought": (errors.ContractRefused, "licence use " + NOTHING),
    "a licence that nobody opens": (errors.ContractRefused, "record open " + NOTHING + " {home}/x"),
    "a licence that nobody settles": (errors.ContractRefused, "earnings settle " + NOTHING),
    "an attestation of nothing": (errors.BadInput, "record attest " + NOTHING + " {cgm}"),
    "a purchase of nothing": (
        errors.ConsentRefused,
        "licence buy " + NOTHING + " --consent {consent} --purpose HMB --purpose NPUNCU",
    ),
    "a purchase under nothing": (
        errors.ConsentRefused,
        "licence buy {record} --consent " + NOTHING + " --purpose HMB --purpose NPUNCU",
    ),
    "an id that is too short": (errors.BadInput, "record show 0x12"),
    "an id that is too long": (errors.BadInput, "licence show " + NOTHING + "00"),
    "an id that is no number": (errors.BadInput, "consent show 0x" + "zz" * 32),
    # amounts
    "an amount that is a word": (errors.BadInput, "licence deposit much"),
    "an amount that is negative": (errors.BadInput, "licence deposit -- -1"),
    "an amount of nothing": (errors.BadInput, "licence deposit 0"),
    "an amount below the smallest": (errors.BadInput, "licence deposit 0.0000000000000000001"),
    "an amount without an end": (errors.BadInput, "licence deposit inf"),
    "an amount that is none": (errors.BadInput, "licence deposit nan"),
    "an amount beyond all bounds": (errors.BadInput, "licence deposit 1e999999999"),
    "more than there is": (errors.InsufficientFunds, "licence deposit 30000000"),
    "more than was earned": (errors.InsufficientFunds, "earnings withdraw 1000000"),
    "what was never earned": (errors.InsufficientFunds, "earnings withdraw --as somebody"),
    "more units than were prepaid": (
        errors.InsufficientFunds,
        "licence use {licence} --units 7",
    ),
    "less than nothing": (errors.BadInput, "licence use {licence} --units -1"),
    "a licence beyond the deposit": (
        errors.InsufficientFunds,
        "licence buy {record} --consent {consent} --form metered --units 1000000"
        " --purpose HMB --purpose NPUNCU",
    ),
    "a price above the limit": (
        errors.ContractRefused,
        "licence buy {record} --consent {consent} --max-price 1 --purpose HMB --purpose NPUNCU",
    ),
    # words
    "a purpose that is none": (
        errors.BadInput,
        "consent grant {record} --purpose FUN --licensee pharma",
    ),
    "no purpose": (errors.BadInput, "consent grant {record} --licensee pharma"),
    "conditions without a purpose": (
        errors.BadInput,
        "consent grant {record} --purpose NCU --licensee pharma",
    ),
    "a group that is none": (
        errors.BadInput,
        "consent grant {record} --purpose HMB --licensee friends",
    ),
    "a region that is none": (
        errors.BadInput,
        "consent grant {record} --purpose HMB --licensee pharma --region Atlantis",
    ),
    "a share out of bounds": (
        errors.BadInput,
        "consent grant {record} --purpose HMB --licensee pharma --share 60",
    ),
    "a share that is no number": (
        errors.BadInput,
        "consent grant {record} --purpose HMB --licensee pharma --share nan",
    ),
    "a consent that has expired": (
        errors.BadInput,
        "consent grant {record} --purpose HMB --licensee pharma --days 0",
    ),
    "a consent without end": (
        errors.BadInput,
        "consent grant {record} --purpose HMB --licensee pharma --days 99999999999",
    ),
    "a floor between two grains": (
        errors.BadInput,
        "consent grant {record} --purpose HMB --licensee pharma --floor 0.000000000000000001",
    ),
    "a purpose that was not allowed": (
        errors.ConsentRefused,
        "licence buy {record} --consent {consent} --purpose GRU --purpose NPUNCU",
    ),
    "a form that is none": (
        errors.BadInput,
        "licence buy {record} --consent {consent} --form gift --purpose HMB",
    ),
    "a verb that is none": (errors.BadInput, "record sell {record}"),
    "an option that is none": (errors.BadInput, "record show {record} --loudly"),
    # where
    "a deployment record that is not there": (
        errors.DeploymentError,
        "record show {record} --deployment {home}/nothing.json",
    ),
    "a deployment record that is none": (
        errors.DeploymentError,
        "record show {record} --deployment {empty}",
    ),
    "an audit without a deployment record": (
        errors.DeploymentError,
        "audit replay --deployment {home}/nothing.json",
    ),
    "an audit of a malformed record": (errors.DeploymentError, "audit replay --deployment {pdf}"),
    "parameters that are not there": (
        errors.BadInput,
        "deploy --params {home}/nothing.toml --operator operator --platform platform",
    ),
    "an office that is none": (
        errors.BadInput,
        "deploy --operator operator --platform platform --office king=operator",
    ),
    "an office without a holder": (
        errors.BadInput,
        "deploy --operator operator --platform platform --office exchange",
    ),
}


def words(devnet: Any, tmp_path: Path, call: str) -> list[str]:
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "pdf").write_bytes(b"%PDF-1.7\n" + bytes(100))
    (tmp_path / "truncated").write_bytes(devnet.stage.files[Format.DICOM].read_bytes()[:9000])
    names = {name: str(tmp_path / name) for name in ("empty", "pdf", "truncated")}
    filled = call.format(
        home=devnet.home,
        record=devnet.record,
        unattested=devnet.unattested,
        consent=devnet.consent,
        licence=devnet.licence,
        vcf=devnet.file(Format.VCF),
        cgm=devnet.file(Format.CGM),
        dicom=devnet.file(Format.DICOM),
        **names,
    ).split()
    at = filled.index("--") if "--" in filled else len(filled)
    return [*filled[:at], *devnet.where, "--json", *filled[at:]]


@pytest.mark.parametrize("name", CALLS)
def test_a_mistake_costs_nothing(devnet: Any, run: Run, tmp_path: Path, name: str) -> None:
    kind, call = CALLS[name]
    command = words(devnet, tmp_path, call)
    ran = unchanged(devnet, lambda: run(*command))
    said_once(ran, kind)


@pytest.mark.parametrize("name", ["an empty file", "an id that is too short", "more than there is"])
def test_a_mistake_in_a_process_of_its_own(devnet: Any, tmp_path: Path, name: str) -> None:
    kind, call = CALLS[name]
    command = words(devnet, tmp_path, call)
    said_once(unchanged(devnet, lambda: medtoken(*command)), kind)


def test_every_code_means_one_thing() -> None:
    named = [k for k in vars(errors).values() if isinstance(k, type)]
    codes = [k.exit_code for k in named if issubclass(k, errors.MedtokenError)]
    assert len(set(codes)) == len(codes)
    assert not {0, 130} & set(codes)


# ------------------------------------------------------------------ consents that are over


def test_an_expired_consent_sells_nothing(devnet: Any, run: Run) -> None:
    devnet.stage.later(366)
    state = run("consent", "show", devnet.consent, *devnet.where, "--json").ok()
    assert state["state"] == "expired"
    call = ("licence", "buy", devnet.record, "--consent", devnet.consent, *BUY, *devnet.where)
    ran = unchanged(devnet, lambda: run(*call))
    said_once(ran, errors.ConsentRefused)
    assert "it has expired" in ran.err
    said_once(
        unchanged(devnet, lambda: run("licence", "use", devnet.licence, *devnet.where)),
        errors.ContractRefused,
    )


def test_a_revoked_consent_stays_revoked(devnet: Any, run: Run) -> None:
    revoke = ("consent", "revoke", devnet.consent, *devnet.where, "--json")
    at = run(*revoke).ok()["revoked_at"]
    again = unchanged(devnet, lambda: run(*revoke))
    assert again.ok()["revoked_at"] == at
    use = unchanged(devnet, lambda: run("licence", "use", devnet.licence, *devnet.where))
    said_once(use, errors.ConsentRefused)
    assert use.err == "Error: consent: it was revoked\n"


# ------------------------------------------------------------------ nodes and deployments

VERBS = [
    "record add {dicom} --owner patient --region TW",
    "record show {record}",
    "consent grant {record} --purpose HMB --licensee pharma",
    "licence deposit 1",
    "earnings show",
    "audit replay --deployment {home}/deployments/31337.json",
]


@pytest.mark.parametrize("call", VERBS)
def test_a_node_that_is_not_there(devnet: Any, run: Run, tmp_path: Path, call: str) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    command = [*words(devnet, tmp_path, call), "--rpc", url]
    ran = unchanged(devnet, lambda: run(*command))
    said_once(ran, errors.NodeUnreachable)
    assert url in ran.err


@pytest.mark.parametrize("call", VERBS[1:3])
@pytest.mark.parametrize("body", [b"", b"<html>hello</html>", b'{"result":'])
def test_a_node_that_is_none(devnet: Any, run: Run, tmp_path: Path, call: str, body: bytes) -> None:
    with answering(body) as url:
        command = [*words(devnet, tmp_path, call), "--rpc", url]
        said_once(unchanged(devnet, lambda: run(*command)), errors.NodeUnreachable)


def test_an_address_that_is_none(devnet: Any, run: Run) -> None:
    said_once(run("earnings", "show", "--rpc", "localhost:8545"), errors.BadInput)


@pytest.fixture(scope="module")
def elsewhere() -> Any:
    with anvil(chain_id=5) as node:
        yield node.url


@pytest.mark.parametrize("call", VERBS)
def test_the_wrong_chain(devnet: Any, run: Run, tmp_path: Path, call: str, elsewhere: str) -> None:
    record = devnet.stage.home.deployment(31337)
    command = [*words(devnet, tmp_path, call), "--rpc", elsewhere, "--deployment", str(record)]
    ran = unchanged(devnet, lambda: run(*command))
    said_once(ran, errors.WrongChain)
    assert "31337" in ran.err
    assert "chain 5" in ran.err


def test_a_chain_where_nothing_was_deployed(devnet: Any, run: Run, elsewhere: str) -> None:
    ran = run("earnings", "show", "--rpc", elsewhere, "--home", str(devnet.home))
    said_once(ran, errors.DeploymentError)
    assert "There is no deployment record" in ran.err


@pytest.mark.parametrize("key", ["zz" * 32, "hello", "0x12"])
def test_a_key_that_is_none(
    devnet: Any, run: Run, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("MEDTOKEN_KEY", key)
    ran = unchanged(devnet, lambda: run("licence", "deposit", "1", *devnet.where))
    said_once(ran, errors.BadInput)
    assert key not in ran.err


def test_a_home_that_was_never_there(devnet: Any, run: Run, tmp_path: Path) -> None:
    home = tmp_path / "none"
    said_once(
        run("record", "show", devnet.record, "--rpc", devnet.rpc, "--home", str(home)),
        errors.DeploymentError,
    )
    said_once(
        run("record", "show", NOTHING, "--rpc", f"http://127.0.0.1:{free_port()}", "--home", home),
        errors.NodeUnreachable,
    )
    assert not home.exists()


def test_a_home_that_is_a_file(devnet: Any, run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said_once(
        run("earnings", "show", "--rpc", devnet.rpc, "--home", str(tmp_path / "file")),
        errors.BadInput,
    )


@pytest.mark.parametrize("name", ["outbox", "journal", "wallets/pharma.key", "custodian.secret"])
def test_a_home_that_was_damaged(devnet: Any, run: Run, tmp_path: Path, name: str) -> None:
    import shutil

    target = devnet.home / name
    if target.is_dir():
        shutil.rmtree(target)
    else:
        target.unlink(missing_ok=True)
    target.write_text("not what it was")
    verb = "licence deposit 1" if name in ("outbox", "wallets/pharma.key") else VERBS[0]
    ran = unchanged(devnet, lambda: run(*words(devnet, tmp_path, verb)))
    assert ran.code in (errors.StateError.exit_code, errors.BadInput.exit_code), ran.err
    assert ran.err.count("Error: ") == 1


# ------------------------------------------------------------------ devnet and demo


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        ran = medtoken("devnet", "--port", port, "--home", home)
    said_once(ran, errors.ToolMissing)
    assert port in ran.err
    assert not home.exists()


def test_a_devnet_does_not_take_the_folder_of_one_that_runs(devnet: Any) -> None:
    port = devnet.rpc.rpartition(":")[2]
    running = devnet.stage.chain.home.folder
    before = listing(running)
    said_once(medtoken("devnet", "--port", port, "--home", running), errors.ToolMissing)
    said_once(medtoken("devnet", "--port", "0", "--home", running), errors.StateError)
    assert listing(running) == before


@pytest.mark.parametrize(
    ("verb", "option", "name"), [("devnet", "--home", "wallets"), ("demo", "--out", "files")]
)
def test_no_folder_is_emptied_that_it_did_not_fill(
    tmp_path: Path, verb: str, option: str, name: str
) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "precious").write_text("years of work")
    more = ("--port", "0") if verb == "devnet" else ()
    said_once(medtoken(verb, option, tmp_path, *more), errors.StateError)
    assert (tmp_path / name / "precious").read_text() == "years of work"


def test_a_demo_that_has_nowhere_to_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said_once(medtoken("demo", "--out", tmp_path / "file" / "below"), errors.BadInput)


def test_a_reader_that_goes_away_gets_no_traceback(devnet: Any) -> None:
    import subprocess

    from support.live import MEDTOKEN, environment

    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*MEDTOKEN, "record", "show", devnet.record, *devnet.where],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        check=False,
    )
    os.close(write)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
