"""The page in a real Chromium: one browser for all of it, and for every test a profile with nothing in it."""

import os
import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, BrowserContext, ViewportSize, expect, sync_playwright

from tests.browser.seeds import Seeds
from tests.browser.studio import BUTTONS, Studio
from tests.kit.forks import Process
from tests.kit.service import OWN_PIPELINE, Service, serve

OTHER_NAME = "studio.test"
"""Not localhost: over plain HTTP the browser keeps from such a page what it keeps from one on a LAN."""
FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # The last such list counts: Playwright's own, and two pages that every window loads for its address bar.
    "--disable-features=HttpsUpgrades,HttpsFirstBalancedModeAutoEnable,LensOverlay,MediaRouter,OptimizationHints,"
    "NetworkTimeServiceQuerying,PaintHolding,PreconnectToSearch,ThirdPartyStoragePartitioning,WebUIOmniboxAimPopup,"
    "WebUIOmniboxPopup",
    # Whatever else a page asks for fails, and is told for that.
    f"--host-resolver-rules=MAP {OTHER_NAME} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
PATIENCE_MS = 120_000
"""How long an element may take to come: a model may have to load first, on a machine that others use as well."""
SLOWER = float(os.environ.get("SLOWER", "1"))
"""How many times slower the browser runs its pages, by its own throttle: it shows races that a quick machine hides."""
ELSEWHERE = os.environ.get("TEST_SERVICE", "")
"""The address of a service that somebody else has started, such as one in a container: for the tests that need only
the page."""
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium_path() -> str | None:
    """Return the browser that `CHROMIUM` names or the system has; None leaves it to Playwright's own."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run the browser, which finds buttons as `Studio` asks for them."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        path = chromium_path() or playwright.chromium.executable_path
        if not Path(path).exists():
            pytest.fail(
                "The browser tests need Chromium: install it (`apt-get install chromium` or "
                "`playwright install chromium`) or name one with CHROMIUM=/path/to/chromium."
            )
        playwright.selectors.register("named", BUTTONS, content_script=True)
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


# Not for the whole session: while Playwright is at work, no other test could run an event loop of its own.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


OPEN: list[Studio] = []
"""The pages of the test that runs."""


class Profiles:
    """Browser profiles by what they were made with, but for the size of their page. One whose test is over is emptied
    and waits for the next test: a new one costs a processor as long as the rest of a short test."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._idle: dict[frozenset[tuple[str, Any]], Studio] = {}

    @contextmanager
    def one(self, url: str, size: ViewportSize, **options: Any) -> Iterator[Studio]:
        key = frozenset((name, str(value)) for name, value in options.items())
        studio = self._idle.pop(key, None) or Studio(self._new(options | {"viewport": size}), url)
        studio.url = url
        if studio.page.viewport_size != size:
            studio.page.set_viewport_size(size)
        OPEN.append(studio)
        try:
            yield studio
        finally:
            OPEN.remove(studio)
        studio.leave()  # where this fails the profile is not used again
        if key in self._idle:
            studio.context.close()
        else:
            self._idle[key] = studio

    def _new(self, options: dict[str, Any]) -> BrowserContext:
        context = self._browser.new_context(**options)
        context.set_default_timeout(PATIENCE_MS)
        return context


@pytest.fixture(scope="package")
def profiles(browser: Browser) -> Profiles:
    return Profiles(browser)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell what was on the screen when a test failed."""
    report = yield
    if report.failed and report.when == "call":
        for studio in OPEN:
            report.sections.append((f"page at {studio.page.url}", studio.look()))
    return report


@pytest.fixture
def open_studio(profiles: Profiles, service: Service) -> Iterator[Callable[..., Studio]]:
    """Open the page: `open_studio(width=390, height=844, touch=True, scheme="dark", at=…)`.

    With `model` the server says that a model runs.

    When the test is over, every page must have been silent on its console and have asked no other host for anything.
    """
    with ExitStack() as stack:

        def open_page(
            *,
            width: int = 1280,
            height: int = 800,
            touch: bool = False,
            scheme: str = "light",
            at: Service = service,
            engine: str = "ready",
            model: bool = False,
            language: str = "en-US",
            path: str = "/",
            bypass_csp: bool = False,
            moving: bool = False,
        ) -> Studio:
            studio = stack.enter_context(
                profiles.one(
                    at.url,
                    {"width": width, "height": height},
                    has_touch=touch,
                    is_mobile=touch,
                    color_scheme="dark" if scheme == "dark" else "light",
                    accept_downloads=True,
                    locale=language,
                    bypass_csp=bypass_csp,
                    # Nothing slides or glows unless it is asked for: what moves costs processors, and no test looks
                    # at it.
                    reduced_motion="no-preference" if moving else "reduce",
                )
            )
            if SLOWER > 1:
                throttle = studio.context.new_cdp_session(studio.page)
                throttle.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
            if model:
                studio.say_model()
            studio.open(path, engine=engine)
            return studio

        yield open_page


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service as users start it, shared by all tests of the page; it answers to a second name, too."""
    if ELSEWHERE:
        yield Service(url=ELSEWHERE, process=cast(Process, None), folder=tmp_path_factory.mktemp("service"))
        return
    environment = OWN_PIPELINE | {"LLM_DIT_SERVER__ALLOWED_HOSTS": OTHER_NAME}
    with serve(tmp_path_factory.mktemp("service"), app="tests.kit.app:kept", environment=environment) as running:
        yield running


@pytest.fixture(scope="package")
def stepping_for_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    # What hangs is given up at once.
    environment = {"LLM_DIT_SERVER__CANCEL_GRACE_S": "0.2", "LLM_DIT_SERVER__DRAIN_S": "0.2"}
    with serve(tmp_path_factory.mktemp("stepping"), app="tests.kit.app:kept", environment=environment) as running:
        yield running


@pytest.fixture
def stepping(stepping_for_all: Service) -> Iterator[Service]:
    """A service whose jobs do as their instruction says; a file `go` lets those go on that wait."""
    yield stepping_for_all
    (stepping_for_all.folder / "go").unlink(missing_ok=True)


@pytest.fixture(scope="package")
def seeds() -> Seeds:
    return Seeds()


@pytest.fixture
def open_stack(
    open_studio: Callable[..., Studio], seeds: Seeds, service: Service, picture: Path
) -> Callable[..., Studio]:
    """Open a project of its own in which the picture was taken apart: `open_stack(4, width=390)`."""

    def open_copy(layers: int, *, at: Service = service, **how: Any) -> Studio:
        studio = open_studio(at=at, path=seeds.plant(at.url, picture, layers), **how)
        expect(studio.rows).to_have_count(layers)
        studio.wait_for_paint()
        return studio

    return open_copy


@pytest.fixture
def studio(open_studio: Callable[..., Studio]) -> Studio:
    return open_studio()


@pytest.fixture(scope="package")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small picture that is taken apart quickly: four shapes, an orange disc among them, on white."""
    image = Image.new("RGB", (240, 180), "white")
    pen = ImageDraw.Draw(image)
    pen.ellipse((20, 30, 110, 120), fill=(240, 130, 30))
    pen.rectangle((140, 70, 220, 150), fill=(30, 140, 60))
    pen.polygon([(60, 135), (120, 170), (20, 170)], fill=(40, 80, 200))
    pen.ellipse((120, 10, 150, 40), fill=(120, 30, 120))
    path = tmp_path_factory.mktemp("pictures") / "shapes.png"
    image.save(path)
    return path
