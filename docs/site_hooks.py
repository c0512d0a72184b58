"""Hooks of mkdocs: README.md as the first page, and links out of docs/ as links to the repository.

The pages are written for readers of the repository; here what is no page becomes an address.
"""

import re
from pathlib import Path
from posixpath import normpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]

LINK = re.compile(r"(\]\()(?!\w+:|#|/)([^)\s#]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    text = (ROOT / "README.md").read_text("utf-8")
    files.append(File.generated(config, "index.md", content=_relinked(text, "", config)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: object) -> str:
    if page.file.src_uri == "index.md":
        return markdown
    folder = Path("docs", page.file.src_uri).parent.as_posix()
    return _relinked(markdown, folder, config)


def _relinked(text: str, folder: str, config: MkDocsConfig) -> str:
    """Links of a text in a folder of the repository, for the site."""

    def link(match: re.Match[str]) -> str:
        path = normpath(f"{folder}/{match[2]}".lstrip("/"))
        if path == "README.md":
            here = "" if folder == "docs" else "../"
            return f"{match[1]}{here}index.md"
        if path.startswith("docs/") and not path.endswith(".py") and path != "docs/adr":
            return match[1] + (match[2] if folder else path.removeprefix("docs/"))
        kind = "tree" if (ROOT / path).is_dir() else "blob"
        return f"{match[1]}{config.repo_url.rstrip('/')}/{kind}/main/{path}"

    return LINK.sub(link, text)
