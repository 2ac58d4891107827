"""Build the documentation's site into build/site: `make docs`, or `python -m scripts.build_site`.

Gathers docs/, the pages beside it and the generated reference in build/docs, and has Zensical build them as mkdocs.yml
says. Then it checks the result: every link and picture leads somewhere, also to a place on a page, and nothing is
loaded from another host.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from scripts import reference

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "build" / "docs"
SITE = ROOT / "build" / "site"
BESIDE = ("CONTRIBUTING.md", "CHANGELOG.md", "clients/comfyui/README.md")
"""Pages of the repository that are not in docs/."""
ELSEWHERE = {"README.md": "index.md", "config.toml": "reference/settings.md", "docs/adr": "adr/index.md"}
"""Where on the site something of the repository is. Other files of it are copied there under their own names."""
LINK = re.compile(r"\[([^\[\]]*)\]\(([^)\s]+)\)")
SHIM = re.compile(r'<script src="https://unpkg\.com/iframe-worker/shim"[^>]*></script>')
"""What Zensical loads from another host, for the search of a site that is opened from the disk."""


def main() -> None:
    shutil.rmtree(PAGES, ignore_errors=True)
    gather()
    subprocess.run([sys.executable, "-m", "zensical", "build", "--clean", "--strict"], cwd=ROOT, check=True)
    for page in SITE.rglob("*.html"):
        worker = "../" * (len(page.relative_to(SITE).parts) - 1) + "search-worker.js"
        text = page.read_text(encoding="utf-8")
        page.write_text(SHIM.sub(f'<script src="{worker}"></script>', text), encoding="utf-8")
    if wrong := list(complaints()):
        sys.exit("\n".join(wrong))
    print(f"{SITE}/index.html is ready")


def gather() -> None:
    """Write the pages of the site into build/docs, with their links as they are there."""
    shutil.copytree(ROOT / "docs", PAGES)
    shutil.copytree(ROOT / "scripts" / "site", PAGES, dirs_exist_ok=True)
    shutil.copyfile(ROOT / "static" / "icons" / "logo.svg", PAGES / "images" / "logo.svg")
    for name, text in reference.pages().items():
        (PAGES / "reference").mkdir(exist_ok=True)
        (PAGES / "reference" / name).write_text(text, encoding="utf-8")
    decisions = sorted((ROOT / "docs" / "adr").glob("*.md"))
    titles = [(file.name, file.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")) for file in decisions]
    entries = "".join(f"- [{title}]({name})\n" for name, title in titles)
    (PAGES / "adr" / "index.md").write_text(f"# Decisions\n\n{entries}", encoding="utf-8")
    for source in [ROOT / "README.md", *(ROOT / name for name in BESIDE), *(ROOT / "docs").rglob("*.md")]:
        target = PAGES / place_of(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(relinked(source, target), encoding="utf-8")


def place_of(file: Path) -> str:
    """Return where a file or folder of the repository is on the site, relative to it."""
    name = str(file.relative_to(ROOT))
    return ELSEWHERE.get(name) or name.removeprefix("docs/")


def relinked(source: Path, target: Path) -> str:
    """Return a page whose links to the repository lead to their places on the site."""

    def link(match: re.Match[str]) -> str:
        words, address = match.groups()
        path, _, part = address.partition("#")
        if urlsplit(address).scheme or not path:
            return match[0]
        found = (source.parent / path).resolve()
        if not found.exists():
            sys.exit(f"{source.relative_to(ROOT)} links to {address}, which does not exist")
        place = PAGES / place_of(found)
        if found.is_dir() and place.suffix != ".md":
            return words  # the site has no page of a folder of code
        if found.suffix != ".md" and found.is_file() and not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(found, place)
        steps = len(target.relative_to(PAGES).parts) - 1
        return f"[{words}]({'../' * steps}{place.relative_to(PAGES)}{'#' * bool(part)}{part})"

    return LINK.sub(link, source.read_text(encoding="utf-8"))


class Page(HTMLParser):
    """What a page links to, what it loads, and the ids on it."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.ids: set[str] = set()
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids.update(filter(None, (given.get("id"), given.get("name"))))
        address = given.get("href") if tag in {"a", "link"} else given.get("src")
        if address:
            (self.links if tag == "a" else self.loads).append(address)


def complaints() -> Iterator[str]:
    """Yield what is wrong with the built site, one sentence each."""
    pages = {file: Page(file) for file in SITE.rglob("*.html") if file.name != "404.html"}
    for file, page in pages.items():
        name = file.relative_to(SITE)
        for address in page.loads:
            if urlsplit(address).netloc:
                yield f"{name} loads {address}"
        for address in [*page.links, *page.loads]:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            found = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            if not found.is_file():
                yield f"{name} links to {address}, which does not exist"
            elif found in pages and parts.fragment and unquote(parts.fragment) not in pages[found].ids:
                yield f"{name} links to {address}: there is no such place on that page"


if __name__ == "__main__":
    main()
