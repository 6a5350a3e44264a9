"""A browser with a wallet, the service as a process, and what a person does with both."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from eth_account import Account
from eth_account.messages import encode_typed_data

from medtoken.chain.node import Wallet
from support.live import MEDTOKEN, PATIENCE, ROOT, Chain, environment

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
SHOTS = ROOT / "build" / "page"
STATIC = ROOT / "medtoken" / "service" / "static"
# What this is run with wherever there is no desktop, and nothing outside to be reached.
CHROMIUM = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 900}
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]

_ANNOUNCE = """
(() => {
  const heard = {};
  const provider = {
    request: async (asked) => {
      const answer = await window.__medtoken_wallet(asked);
      if (answer.error) throw Object.assign(new Error(answer.error.message), answer.error);
      return answer.result;
    },
    on: (event, call) => { (heard[event] ??= []).push(call); },
  };
  window.__medtoken_emit = (event, value) => (heard[event] ?? []).forEach((call) => call(value));
  const uuid = "6f3c1f3e-0000-4000-8000-000000000001";
  const info = { uuid, name: "Test Wallet", icon: "", rdns: "test" };
  const announce = () => window.dispatchEvent(
    new CustomEvent("eip6963:announceProvider", { detail: Object.freeze({ info, provider }) }));
  window.addEventListener("eip6963:requestProvider", announce);
  announce();
})();
"""


def rpc(url: str, method: str, params: Any) -> Any:
    """One JSON-RPC request; what the node answers, whole."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    request = Request(url, body, {"content-type": "application/json"})  # noqa: S310  our own node
    with urlopen(request) as answer:  # noqa: S310
        return json.loads(answer.read())


@dataclass
class BrowserWallet:
    """An EIP-1193 wallet that signs with a key of the test and asks Anvil everything else."""

    wallet: Wallet
    url: str
    chain_id: int
    locked: bool = False
    rejects: bool = False
    asked: list[str] = field(default_factory=list)
    signed: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, _: Any, asked: dict[str, Any]) -> dict[str, Any]:
        method, params = asked["method"], asked.get("params") or []
        self.asked.append(method)
        if method == "eth_requestAccounts" and self.locked:
            return _error(4100, "the wallet is locked")
        if method in ("eth_signTypedData_v4", "eth_sendTransaction") and self.rejects:
            return _error(4001, "User rejected the request.")
        own = {
            "eth_requestAccounts": lambda: [self.wallet.address],
            "eth_chainId": lambda: hex(self.chain_id),
            "wallet_switchEthereumChain": lambda: self._switch(params[0]["chainId"]),
            "eth_signTypedData_v4": lambda: self._sign(*params),
        }
        if method in own:
            return {"result": own[method]()}
        if method == "eth_sendTransaction":
            method, params = "eth_sendRawTransaction", [self._raw(params[0])]
        found = rpc(self.url, method, params)
        return {"error": found["error"]} if "error" in found else {"result": found["result"]}

    def _switch(self, chain_id: str) -> None:
        self.chain_id = int(chain_id, 16)

    def _sign(self, account: str, text: str) -> str:
        assert account == self.wallet.address
        message = json.loads(text)
        self.signed.append(message)
        signable = encode_typed_data(full_message=message)
        return "0x" + bytes(Account.sign_message(signable, self.wallet.key).signature).hex()

    def _raw(self, sent: dict[str, str]) -> str:
        asked = [self.wallet.address, "pending"]
        nonce = int(rpc(self.url, "eth_getTransactionCount", asked)["result"], 16)
        raw = self.wallet.sign_transaction(
            {
                "to": sent["to"],
                "data": sent["data"],
                "value": 0,
                "gas": 3_000_000,
                "maxFeePerGas": 10**11,
                "maxPriorityFeePerGas": 1,
                "nonce": nonce,
                "chainId": self.chain_id,
                "type": 2,
            }
        )
        return "0x" + raw.hex()


def _error(code: int, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


class ServiceProcess:
    """``medtoken serve`` as a process that can be stopped and started again at the same address."""

    def __init__(self, deployment: Path, rpc: str, relay: Wallet | None, log: Path) -> None:
        self._options = ("--deployment", str(deployment), "--rpc", rpc)
        self._relay = relay
        self._log = log
        self._port = 0
        self.url = ""
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        key = {"MEDTOKEN_RELAY_KEY": "0x" + self._relay.key.hex()} if self._relay else {}
        with self._log.open("a") as log:
            self.process = subprocess.Popen(
                [
                    *(*MEDTOKEN, "serve", "--json", *self._options, "--port", str(self._port)),
                    *(
                        "--finality",
                        "4",
                        "--every",
                        "0.1",
                        "--relay-hourly",
                        "1000",
                        "--rate",
                        "1000",
                    ),
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment(**key),
            )
        assert self.process.stdout is not None
        assert select.select([self.process.stdout], [], [], PATIENCE)[0], self._log.read_text()
        line = self.process.stdout.readline()
        assert line, self._log.read_text()
        self.url = json.loads(line)["url"]
        self._port = int(self.url.rpartition(":")[2])

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(PATIENCE)
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None

    def get(self, path: str) -> Any:
        with urlopen(self.url + path) as answer:  # noqa: S310  our own service
            return json.loads(answer.read())


@contextlib.contextmanager
def serving(
    chain: Chain, folder: Path, *, rpc: str | None = None, relay: bool = True
) -> Iterator[ServiceProcess]:
    """The service on this chain, asking it through ``rpc``."""
    deployment = folder / "deployment.json"
    chain.suite.deployment.save(deployment)
    wallet = chain.cast["relay"] if relay else None
    process = ServiceProcess(deployment, rpc or chain.node.url, wallet, folder / "serve.log")
    process.start()
    try:
        yield process
    finally:
        process.stop()


@dataclass
class Person:
    """Somebody in front of a page of the service, with a wallet."""

    page: Any  # playwright.sync_api.Page
    wallet: BrowserWallet
    base: str
    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @classmethod
    def at(cls, browser: Any, wallet: BrowserWallet, base: str, **settings: Any) -> Person:
        """A browser profile of their own."""
        context = browser.new_context(
            **{"locale": "en-GB", "viewport": {"width": 360, "height": 740}, "timezone_id": "UTC"}
            | settings
        )
        context.set_default_timeout(60_000)
        page = context.new_page()
        person = cls(page, wallet, base)
        context.expose_binding("__medtoken_wallet", wallet.answer)
        context.add_init_script(_ANNOUNCE)

        def requested(request: Any) -> None:
            if not request.url.startswith((base, "data:")):
                person.outside.append(request.url)

        context.on("request", requested)
        page.on("pageerror", lambda error: person.errors.append(str(error)))
        page.on("console", person._heard)
        return person

    def _heard(self, message: Any) -> None:
        # A browser logs an answer of 4xx or 5xx by itself; what the page makes of it is tested.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.errors.append(message.text)

    def open(self, path: str = "/", connect: bool = True) -> None:
        self.page.goto(self.base + path)
        if connect:
            self.page.get_by_role("button", name="Test Wallet").click()
            self.page.locator("#app").wait_for(state="detached")

    def tab(self, section: str) -> None:
        self.page.locator(f"#tab-{section}").click()

    def shows(self, text: str, where: str = "body") -> None:
        """Wait until it is there to be read."""
        self.page.locator(where).get_by_text(text).first.wait_for()

    def axe(self) -> None:
        """Nothing on the page breaks WCAG 2.2 AA as far as a machine can tell."""
        self.page.evaluate(AXE.read_text())
        found = self.page.evaluate(
            "(tags) => axe.run(document, { runOnly: tags }).then((r) => r.violations.map("
            "(v) => `${v.id}: ${v.nodes.map((n) => n.target + ' ' + n.failureSummary).join('; ')}`))",
            TAGS,
        )
        assert found == []

    def fits(self) -> None:
        """Nothing is wider than the screen."""
        wide = self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wide <= 0, f"{wide} pixels too wide"

    def shot(self, name: str) -> None:
        """A picture for a person to look at."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(SHOTS / f"{name}.png"), full_page=True)

    def close(self) -> None:
        """Leave; nothing outside was asked, and nothing failed unseen."""
        self.page.context.close()
        assert self.outside == []
        assert self.errors == []


def chromium() -> str | None:
    """Where Chromium is, if it is installed."""
    import shutil

    named = os.environ.get("CHROMIUM")
    return named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


def wait_for(condition: Any) -> None:
    """Until it holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
