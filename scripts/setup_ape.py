#!/usr/bin/env python3
"""Let Ape find the compilers and Anvil that this repository already has.

Left alone, Ape downloads solc into the home folder and looks for ``vyper`` and ``anvil`` on PATH.
Here everything it finds is in ``.venv``: links to the tools, and one start-up line for the
environment's Python that points to them, so that ``.venv/bin/ape`` works without activation,
without a download, and without touching what other projects keep in the home folder.
"""

from __future__ import annotations

import json
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STARTUP = """\
import os, sys, warnings; \
bin = os.path.join(sys.prefix, "bin"); \
path = os.environ.get("PATH", ""); \
os.environ["PATH"] = path if bin in path.split(os.pathsep) else bin + os.pathsep + path; \
os.environ.setdefault("SOLCX_BINARY_PATH", os.path.join(sys.prefix, "solcx")); \
os.environ.setdefault("VVM_BINARY_PATH", os.path.join(sys.prefix, "vvm")); \
warnings.filterwarnings("ignore", message="Field 'import_remapping' has an incomplete")
"""


def link(target: Path, name: Path) -> None:
    name.parent.mkdir(parents=True, exist_ok=True)
    name.unlink(missing_ok=True)
    name.symlink_to(target)


def main() -> int:
    solc = json.loads((ROOT / "node_modules" / "solc" / "package.json").read_text())["version"]
    link(ROOT / "scripts" / "solc", VENV / "solcx" / f"solc-v{solc}")
    link(VENV / "bin" / "vyper", VENV / "vvm" / f"vyper-{version('vyper')}")
    site_packages = Path(sysconfig.get_paths()["purelib"])
    (site_packages / "_medtoken_tools.pth").write_text(STARTUP)
    return 0


if __name__ == "__main__":
    sys.exit(main())
