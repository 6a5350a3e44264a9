#!/usr/bin/env python3
"""Build the pages into medtoken/service/static: vocabulary and ABI from the package, then esbuild.

The vocabulary that the pages know is the package's own, written out as JSON, so that nobody keeps two
lists. Scripts and styles carry the hash of their content in their names. Nothing is fetched: esbuild,
TypeScript and viem come from node_modules. Does nothing where nothing has changed since the last build.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from medtoken import vocabulary
from medtoken.chain.abi import abi
from medtoken.masking import profile_names

PAGE = ROOT / "page"
BUILT = ROOT / ".build" / "page"
STATIC = ROOT / "medtoken" / "service" / "static"
TOOLS = ROOT / "node_modules" / ".bin"
PAGES = ("patient", "licensee", "hospital")
FUNCTIONS = {
    "DataMarket": (
        "grant_consent",
        "revoke_consent",
        "withdraw",
        "earnings_word",
        "consent_word",
        "rates_word",
        "buy_licence",
    ),
    "Passkeys": (
        "change_passkey",
        "cancel_change",
        "approve",
        "request",
        "passkey_of",
        "state_word",
        "approved_until",
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no-types", action="store_true", help="Leave the check of types out.")
    options = parser.parse_args()
    BUILT.mkdir(parents=True, exist_ok=True)
    with (BUILT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests that run side by side all want it built
        build(check_types=not options.no_types)
    return 0


def build(*, check_types: bool) -> None:
    """Check and bundle what has changed since the last time."""
    write_generated()
    key, typed, bundled = digest(), BUILT / "typed", BUILT / "bundled"
    if check_types and _text(typed) != key:
        run("tsc", "--project", str(PAGE / "tsconfig.json"))
        typed.write_text(key)
    if _text(bundled) == key and (STATIC / "patient.html").exists():
        print("the pages are up to date")
        return
    bundle()
    bundled.write_text(key)
    files = sorted(STATIC.iterdir())
    print(f"built {len(files)} files, {sum(f.stat().st_size for f in files):,} bytes")


def _text(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


def write_generated() -> None:
    """What the pages take from the package: words for codes, and the functions that they call."""
    words = {
        "permissions": vocabulary.DUO_PERMISSIONS,
        "modifiers": vocabulary.DUO_MODIFIERS,
        "groups": vocabulary.GROUPS,
        "regions": vocabulary.REGIONS,
        "tiers": {str(int(tier)): text for tier, text in vocabulary.TIER_WORDS.items()},
        "profiles": {
            name: {
                "digest": "0x" + vocabulary.profile_hash(name).hex(),
                "line": vocabulary.profile_words(vocabulary.profile_hash(name)),
            }
            for name in profile_names()
        },
    }
    functions = {
        name: [abi(name).function(f) for f in wanted] for name, wanted in FUNCTIONS.items()
    }
    for name, content in (("vocabulary", words), ("abi", functions)):
        (BUILT / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def digest() -> str:
    """What the pages are made from."""
    found = hashlib.sha256()
    sources = sorted(p for p in PAGE.rglob("*") if p.is_file() and "test" not in p.parts)
    generated = (BUILT / "vocabulary.json", BUILT / "abi.json")
    for path in (*sources, *generated, ROOT / "package-lock.json", Path(__file__)):
        found.update(path.relative_to(ROOT).as_posix().encode() + b"\0")
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def bundle() -> None:
    """Scripts and styles by esbuild, and the HTML that names them."""
    shutil.rmtree(STATIC, ignore_errors=True)
    STATIC.mkdir()
    meta = BUILT / "meta.json"
    run(
        "esbuild",
        *(str(PAGE / "src" / f"{name}.ts") for name in PAGES),
        str(PAGE / "src" / "page.css"),
        "--bundle",
        "--splitting",
        "--format=esm",
        "--minify",
        "--legal-comments=eof",
        "--target=es2022",
        f"--alias:#built={BUILT}",
        "--entry-names=[name]-[hash]",
        "--chunk-names=shared-[hash]",
        f"--outdir={STATIC}",
        f"--metafile={meta}",
        "--log-level=warning",
    )
    outputs = json.loads(meta.read_text())["outputs"]
    made = {
        Path(o["entryPoint"]).name: Path(path).name
        for path, o in outputs.items()
        if "entryPoint" in o
    }
    shell = (PAGE / "page.html").read_text(encoding="utf-8")
    for name in PAGES:
        html = shell.replace("{page}", name).replace("{script}", made[f"{name}.ts"])
        (STATIC / f"{name}.html").write_text(
            html.replace("{style}", made["page.css"]), encoding="utf-8"
        )
    shutil.copy(PAGE / "icon.svg", STATIC / "icon.svg")


def run(tool: str, *arguments: str) -> None:
    """Run a tool of node_modules; what it says is shown when it fails."""
    done = subprocess.run([str(TOOLS / tool), *arguments], cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(f"error: {tool} failed")


if __name__ == "__main__":
    sys.exit(main())
