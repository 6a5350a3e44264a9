"""The pages as they are built: their words, their weight, and that they sign what Python describes."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.service import Live

from medtoken import vocabulary
from medtoken.masking import profile_names
from medtoken.messages import (
    Consent,
    Domain,
    LicenceApproval,
    Message,
    PasskeyCancellation,
    PasskeyChange,
    Revocation,
    Withdrawal,
)
from medtoken.service import wire

ROOT = Path(__file__).resolve().parents[3]
STATIC = ROOT / "medtoken" / "service" / "static"
CATALOGUES = ROOT / "page" / "src" / "catalogues"
LANGUAGES = ("en", "zh-Hant", "zh-Hans")
MOST = 250_000
KINDS: dict[str, type[Message]] = {
    kind.__name__: kind
    for kind in (
        *(Consent, Revocation, Withdrawal),
        *(PasskeyChange, PasskeyCancellation, LicenceApproval),
    )
}


@pytest.fixture(scope="session")
def built() -> Path:
    script = ROOT / "scripts" / "build_page.py"
    subprocess.run([sys.executable, str(script), "--no-types"], check=True, capture_output=True)
    return STATIC


def catalogue(language: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((CATALOGUES / f"{language}.json").read_text("utf-8"))
    return found


def test_every_sentence_is_there_in_every_language() -> None:
    english = catalogue("en")
    blanks = re.compile(r"\{(\w+)\}")
    for language in LANGUAGES:
        words = catalogue(language)
        assert list(words) == list(english)
        assert all(text.strip() for text in words.values())
        for key, text in words.items():
            assert set(blanks.findall(text)) == set(blanks.findall(english[key])), (language, key)
    # Chinese is Chinese, and the two are not one.
    hant, hans = catalogue("zh-Hant"), catalogue("zh-Hans")
    for words in (hant, hans):
        same = [k for k, v in words.items() if v == english[k]]
        assert set(same) <= {"earnings.amount"}
    assert hant["records.title"] != hans["records.title"]


def test_every_sentence_is_said_somewhere_and_none_is_missing() -> None:
    source = "\n".join(path.read_text("utf-8") for path in (ROOT / "page" / "src").glob("*.ts"))
    english = catalogue("en")
    said = set(re.findall(r'"([a-z]+\.[a-z0-9-]+)"', source)) & set(english)
    said |= set(re.findall(r'Trouble\("([a-z.-]+)"', source))
    put_together = {
        f"{prefix}.{rest}" if not prefix.endswith("-") else prefix + rest
        for prefix, rest in re.findall(r"`([a-z]+)\.\$\{(.)", source)
    }
    tables = {key.split(".")[0] for key in put_together} | set(
        re.findall(r'(?:code\(|boxes\([^)]*?, )"([a-z]+)"', source)
    )
    forms = {key for key in english if re.match(r"(uses|find)\.form-\d$", key)}
    unsaid = {k for k in english if k not in said and k.split(".")[0] not in tables} - forms
    assert unsaid == set()
    assert said <= set(english)


def test_english_words_for_codes_are_the_vocabularys() -> None:
    english = catalogue("en")
    duo = vocabulary.DUO_PERMISSIONS | vocabulary.DUO_MODIFIERS
    expected = {f"duo.{name}": text for name, (_, text) in duo.items()}
    expected |= {f"group.{name}": text for name, (_, text) in vocabulary.GROUPS.items()}
    expected |= {f"region.{name}": text for name, (_, text) in vocabulary.REGIONS.items()}
    expected |= {f"covers.{int(tier)}": text for tier, text in vocabulary.TIER_WORDS.items()}
    expected |= {
        f"profile.{name}": vocabulary.profile_words(vocabulary.profile_hash(name))
        for name in profile_names()
    }
    assert {key: english[key] for key in expected} == expected


def test_a_page_weighs_less_than_it_may(built: Path) -> None:
    """Everything that the three pages load together, as a server would compress it."""
    sizes = {f.name: len(gzip.compress(f.read_bytes(), 9)) for f in built.iterdir()}
    assert any(name.startswith("patient") and name.endswith(".js") for name in sizes)
    assert sum(sizes.values()) < MOST


def test_pages_are_served_with_what_they_name(built: Path, live: Live) -> None:
    for path in ("/", "/licensee", "/hospital"):
        page = live.raw("GET", path)
        assert page.status == 200
        assert page.headers["content-type"].startswith("text/html")
        html = page.body.decode()
        assert "<style" not in html
        assert not re.search(r"<script(?![^>]*src=)|\son\w+=|style=", html)
        named = re.findall(r'(?:src|href)="([^"]+)"', html)
        assert len(named) == 3
        for one in named:
            found = live.raw("GET", one)
            assert found.status == 200, one
            assert "immutable" in found.headers["cache-control"]
            assert found.headers["x-content-type-options"] == "nosniff"


# ------------------------------------------------------------------ the same bytes, the same words


def in_typescript(asked: list[tuple[Message, Domain]], folder: Path) -> Any:
    bundle = folder / "vectors.mjs"
    tool = ROOT / "node_modules" / ".bin" / "esbuild"
    subprocess.run(
        [
            str(tool),
            str(ROOT / "page" / "test" / "vectors.ts"),
            *("--bundle", "--platform=node", "--format=esm", "--log-level=error"),
            f"--alias:#built={ROOT / '.build' / 'page'}",
            f"--outfile={bundle}",
        ],
        check=True,
    )
    body = json.dumps(
        [
            {
                "kind": type(message).__name__,
                "message": wire.plain(message),
                "chainId": domain.chain_id,
                "market": domain.market,
            }
            for message, domain in asked
        ]
    )
    done = subprocess.run(
        ["node", str(bundle)], input=body, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_messages_have_the_same_hashes_and_words_in_typescript(built: Path, tmp_path: Path) -> None:
    golden = [
        vector | {"market": vector.get("market") or vector["passkeys"]}
        for name in ("eip712.json", "eip712_passkeys.json")
        for vector in json.loads((ROOT / "tests" / "vectors" / name).read_text())["vectors"]
        if vector["type"] in KINDS
    ]
    known = [v for v in golden if v["type"] in KINDS]
    asked: list[tuple[Message, Domain]] = []
    for vector in known:
        kind = KINDS[vector["type"]]
        fields = {
            name: bytes.fromhex(value[2:])
            if solidity == "bytes32"
            else (int(value) if solidity == "uint256" else value)
            for (name, solidity), value in zip(kind.types, vector["message"].values(), strict=True)
        }
        asked.append((kind(**fields), Domain(vector["chain_id"], vector["market"])))
    told = in_typescript(asked + _more(), tmp_path)
    for vector, said in zip(known, told[: len(known)], strict=True):
        assert (said["hash"], said["digest"]) == (vector["struct_hash"], vector["digest"]), vector[
            "name"
        ]
    for (message, _), said in zip(asked + _more(), told, strict=True):
        if isinstance(message, Consent) and message.patientShare > 10_000:
            continue  # no market takes it; Python writes it as a power of ten
        assert said["text"] == message.render()


def _more() -> list[tuple[Message, Domain]]:
    """Consents whose words differ: every code, list, region, share, amount."""
    domain = Domain(31337, "0x7D3a6E5D5B7a2B0C4F1D9e8c6a5b4c3d2E1f0A9B")
    base: dict[str, Any] = {
        "patient": "0x4fE63778E7162489E1fbE170E9E7A3e9E27e887c",
        "records": b"\1" * 32,
        "purposes": vocabulary.duo_mask(["HMB"]),
        "diseases": bytes(32),
        "licensees": 1,
        "fields": vocabulary.profile_hash("all"),
        "region": 1,
        "tier": 2,
        "patientShare": 7_500,
        "floorPrice": 50 * 10**18,
        "expiry": 1_900_000_000,
        "nonce": 7,
        "deadline": 1_800_000_000,
    }
    changes: list[dict[str, Any]] = [
        {"purposes": 2**64 - 1, "licensees": 2**40 - 1},
        {"purposes": vocabulary.duo_mask(["NCU"]), "licensees": 1 << 255},
        {"licensees": 1 << 255 | 6, "diseases": b"\2" * 32},
        {"region": 999, "tier": 9, "fields": b"\3" * 32},
        {"patientShare": 7_777, "floorPrice": 10**9},
        {"patientShare": 6_000, "licensees": 1 << 255 | 2, "nonce": (9 << 160) + 0xAB << 8},
        {"patientShare": 6_000, "licensees": 1 << 255 | 2, "nonce": 0xAB << 8, "tier": 3},
        {"patientShare": 7_050, "floorPrice": 0, "tier": 3},
        {"floorPrice": 12_345_678_900_000_000_000, "expiry": 2**39},
        *({"region": code} for code, _ in vocabulary.REGIONS.values()),
        *({"fields": vocabulary.profile_hash(name)} for name in profile_names()),
    ]
    return [(Consent(**{**base, **change}), domain) for change in changes]
