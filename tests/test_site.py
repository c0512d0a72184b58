"""The site: every page is in it, every link leads somewhere, and reading it needs no network."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OUTSIDE = re.compile(r"""(?:src|href)=["']?(https?:)?//[^"'>\s]+\.(?:js|css|woff2?|png|svg)\b""")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Built with `strict`: mkdocs fails for a link that leads nowhere, and for a page left out."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def test_nothing_is_loaded_from_elsewhere(site):
    pages = list(site.glob("*.html"))
    assert len(pages) > 15
    for page in pages:
        assert not OUTSIDE.search(page.read_text("utf-8")), page.name


def test_the_first_page_is_the_readme(site):
    page = (site / "index.html").read_text("utf-8")
    assert "unrote clean corpus/" in page
    assert 'href="gate.html' in page
    assert "github.com/unrote/unrote/tree/main/docs/adr" in page
