"""Makes an environment for each peer, from PyPI, as pinned in requirements/.

    python benchmarks/peers/setup.py --work ~/.cache/unrote-bench [PEER ...]

The pins are complete and nothing is resolved: text-dedup, for one, would otherwise bring Spark,
which its MinHash never imports.
"""

import argparse
import shutil
import subprocess
import sys
import venv
from pathlib import Path

REQUIREMENTS = Path(__file__).parent / "requirements"
DEFAULT_WORK = Path.home() / ".cache" / "unrote-bench"


def install(name: str, work: Path) -> None:
    """Makes the environment, or leaves it alone if it was made from the same pins."""
    pins = REQUIREMENTS / f"{name}.txt"
    folder = work / "venvs" / name
    stamp = folder / "requirements.txt"
    if stamp.exists() and stamp.read_text() == pins.read_text():
        print(f"{name}: there already")
        return
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    subprocess.run(
        [folder / "bin" / "pip", "install", "--quiet", "--no-deps", "-r", pins], check=True
    )
    shutil.copy(pins, stamp)  # written last: an interrupted installation is made anew
    print(f"{name}: {folder}")


def main() -> None:
    known = sorted(path.stem for path in REQUIREMENTS.glob("*.txt"))
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("peers", nargs="*", metavar="PEER", help=", ".join(known))
    parser.add_argument("--work", type=Path, default=DEFAULT_WORK, help="work folder")
    arguments = parser.parse_args()
    if unknown := set(arguments.peers) - set(known):
        sys.exit(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    for name in arguments.peers or known:
        install(name, arguments.work)


if __name__ == "__main__":
    main()
