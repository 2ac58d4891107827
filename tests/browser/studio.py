"""The page as somebody uses it."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Error, Locator, Page, Request, expect

from tests.kit.waiting import wait_until

CANVAS_PIXELS = """
(canvas, box) => {
  const [left, top, right, bottom] = box, { width, height } = canvas;
  const paper = document.querySelector(".stage-paper").getBoundingClientRect();
  const view = canvas.getBoundingClientRect(), scale = width / view.width;
  if (width === 0 || view.width === 0 || paper.width === 0) return [0, 0, 0, 0];
  const x = (paper.left - view.left + left * paper.width) * scale;
  const y = (paper.top - view.top + top * paper.height) * scale;
  const w = Math.max(1, (right - left) * paper.width * scale), h = Math.max(1, (bottom - top) * paper.height * scale);
  const copy = new OffscreenCanvas(w, h).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, -x, -y);
  const data = copy.getImageData(0, 0, w, h).data;
  const sum = [0, 0, 0, 0];
  for (let i = 0; i < data.length; i += 4) {
    for (let c = 0; c < 3; c += 1) sum[c] += data[i + c] * data[i + 3] / 255;
    sum[3] += data[i + 3];
  }
  return sum.map((value) => value / (data.length / 4));
}
"""

DRAWN = """
() => new Promise((done) => {
  requestAnimationFrame(() => requestIdleCallback(done));
  // Headless Chromium was seen to give a page that rested no frame or no idle moment for ten minutes.
  setTimeout(done, 3000);
})
"""

RESTS = f"""
async (element) => {{
  const seen = [];
  for (let looks = 0; looks < 20; looks += 1) {{
    await ({DRAWN})();
    const {{ x, y, width, height }} = element.getBoundingClientRect();
    seen.push([x, y, width, height]);
    if (width + height > 0 && String(seen.at(-1)) === String(seen.at(-2))) return seen.at(-1);
  }}
  return null;
}}
"""

BUTTONS = """
({
  queryAll(root, asked) {
    const { name, exact } = JSON.parse(asked);
    const plain = (text) => (exact ? text : text.toLowerCase()).trim().replace(/\\s+/g, " ");
    const wanted = plain(name);
    const text = (button) => {
      const copy = button.cloneNode(true);
      for (const part of copy.querySelectorAll("[aria-hidden], [hidden]")) part.remove();
      return copy.textContent;
    };
    const fits = (button) => {
      const name = plain(button.getAttribute("aria-label") || text(button));
      return exact ? name === wanted : name.includes(wanted);
    };
    const seen = (button) => button.checkVisibility({ visibilityProperty: true }) && !button.closest("[aria-hidden]");
    const buttons = [...root.querySelectorAll("button:not([role]), [role=button]")];
    return buttons.filter((button) => fits(button) && seen(button));
  },
})
"""
"""Finds visible buttons by name. Playwright's search by role looks at the styles of all buttons and of what is in them,
and is repeated until the button is there: it took a third of what the browser does in a test of edits."""

PRETENCE = """
if (location.protocol === "http:" && "pretended" in sessionStorage) {
  const [said, fetched] = [JSON.parse(sessionStorage.pretended), window.fetch];
  window.fetch = async (address, init) => {
    const [answer, more] = [await fetched(address, init), said[String(address).split("/").at(-1)]];
    if (more === undefined) return answer;
    const { defaults, ...others } = await answer.json();
    return Response.json({ ...others, ...more, ...(defaults && { defaults: { ...defaults, ...more.defaults } }) });
  };
}
"""
"""Has the server's status and config say what `pretend` tells the tab. Playwright's routes would do as well, but while
there is one the browser keeps no file."""

TELL = """
([about, said]) => {
  sessionStorage.pretended = JSON.stringify({ ...JSON.parse(sessionStorage.pretended ?? "{}"), [about]: said });
}
"""

MODEL = {
    "decompose": ["prompt", "steps", "cfg_scale", "speed", "seed", "loras"],
    "edit": ["steps", "cfg_scale", "speed", "seed", "loras"],
    "speeds": ["exact", "fast", "turbo"],
    "any_instruction": True,
    "any_size": False,
    "references": 3,
    "photographs": "things",
}
"""What a model makes use of."""

ALL = (0.0, 0.0, 1.0, 1.0)


class Box(NamedTuple):
    """A part of the screen, in CSS pixels."""

    x: float
    y: float
    width: float
    height: float

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return the point at these shares of the box."""
        return self.x + x * self.width, self.y + y * self.height


class Studio:
    """One browser profile with the page open in it, and what went wrong there."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.context = context
        self.url = url
        self.complaints: list[str] = []
        self.page: Page = context.new_page()
        self.page.add_init_script(PRETENCE)
        self.page.on("console", self._listen)
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        # Every other host is out of reach. To be told of all requests would cost as much as a tenth of each page.
        context.on("requestfailed", self._watch)

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    def _watch(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob") and address.netloc != self.host:
            self.complaints.append(f"asked another host: {request.url}")

    def _listen(self, message: ConsoleMessage) -> None:
        # An answer of 4xx is reported by the browser itself, whatever the page makes of it.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.complaints.append(f"console {message.type}: {message.text}")

    def look(self) -> str:
        """Return what the page says and what it complained of, for those who read of a failure."""
        try:
            shown = self.page.locator("body").aria_snapshot(timeout=5_000)
        except Error as error:
            shown = f"The page does not answer: {error.message}"
        return "\n".join([shown, *self.complaints])

    def assert_clean(self) -> None:
        if self.complaints:
            pytest.fail("\n".join(self.complaints))

    def leave(self) -> None:
        """Fail if the page complained of anything, and leave a profile as it was when it was new."""
        # A request that a test answers itself may be under way.
        self.page.unroute_all(behavior="ignoreErrors")
        self.assert_clean()
        for other in self.context.pages:
            if other is not self.page:
                other.close()
        self.context.set_offline(False)
        self.context.clear_permissions()
        self.context.clear_cookies()
        self._rest()
        session = self.context.new_cdp_session(self.page)
        session.send("Storage.clearDataForOrigin", {"origin": self.url, "storageTypes": "all"})
        session.detach()

    def _rest(self) -> None:
        """Go to a page with nothing in it. It is the same host's, so that the next page goes on in this process.

        Not one that a test would answer: for the first such answer the browser drops every script that it has read, and
        the next page would have to load all of them.
        """
        try:
            self.page.goto(f"{self.url}/livez")
        except Error:
            return  # the service has ended with its test, and no other one has its address
        # What is emptied behind a page's back may still be there for the next page of its process.
        self.page.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")

    def open(self, path: str = "/", *, engine: str = "ready") -> None:
        self.page.goto(self.url + path)
        expect(self.page.locator(f".engine[data-state={engine}]")).to_be_visible()

    def pretend(self, **status: Any) -> None:
        """Make the server's status say something else, and look at it."""
        self.page.evaluate(TELL, ["status", status])
        self.page.reload()

    def pretend_model(self, **said: Any) -> None:
        """Make the server say that a model runs, and look at it; `limits` and `loras` are said beside its defaults."""
        self.say_model(**said)
        self.page.reload()

    def say_model(self, **said: Any) -> None:
        """Have the next page be told that a model runs."""
        if not self.page.url.startswith(self.url):
            self._rest()
        own = {name: said.pop(name) for name in ("limits", "loras") if name in said}
        self.page.evaluate(TELL, ["config", {"engine": "qwen", "capabilities": MODEL, "defaults": said, **own}])
        self.page.evaluate(TELL, ["status", {"engine": "qwen", "engine_label": "Qwen-Image · H200"}])

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the screen."""
        return self.page.evaluate("() => document.documentElement.scrollWidth - innerWidth")

    def button(self, name: str, *, exact: bool = False) -> Locator:
        return self.page.locator(f"named={json.dumps({'name': name, 'exact': exact}, ensure_ascii=False)}")

    @property
    def rows(self) -> Locator:
        return self.page.locator(".layer")

    @property
    def dialog(self) -> Locator:
        return self.page.locator("dialog.edit-dialog")

    @property
    def instruction(self) -> Locator:
        return self.dialog.get_by_label("Instruction")

    def edit_button(self, name: str) -> Locator:
        return self.rows.locator(self.button(f"Edit {name}"))

    def version(self, name: str) -> Locator:
        """Return the entry of the modal's strip whose label begins so."""
        return self.dialog.get_by_role("radio", name=re.compile(f"^{re.escape(name)}"))

    @property
    def decompose_button(self) -> Locator:
        return self.page.locator(".source").locator(self.button("Decompose"))

    @property
    def layer_names(self) -> Locator:
        """The names of the layers, top first."""
        return self.page.locator(".layer .layer-name")

    def names(self) -> list[str]:
        """Return the names of the layers as they are just now, top first."""
        return self.layer_names.all_inner_texts()

    def choose(self, path: Path) -> None:
        self.page.locator(".welcome input[type=file]").first.set_input_files(path)
        expect(self.decompose_button).to_be_enabled()

    def sample(self, name: str) -> None:
        self.button(name, exact=True).click()
        expect(self.decompose_button).to_be_enabled()

    def decompose(self, *, layers: int = 4) -> None:
        self.page.locator(".source").get_by_label("Layers").fill(str(layers))
        self.decompose_button.click()
        expect(self.rows).to_have_count(layers)
        self.wait_for_paint()

    def menu(self, button: str, item: str) -> None:
        """Open a button's menu and take an item of it."""
        self.button(button).click()
        self.page.get_by_role("menuitem", name=item).click()

    def wait_until_saved(self) -> None:
        expect(self.page.locator(".saved")).to_have_attribute("data-state", "saved")

    def wait_for_paint(self) -> None:
        expect(self.page.locator(".stage-canvas")).to_have_attribute("aria-busy", "false")
        self.draw()
        self.wait_for(lambda: self.pixels()[3] > 250)

    def edit(self, name: str, instruction: str) -> None:
        """Open a layer's modal and apply an instruction; the result is left waiting."""
        self.edit_button(name).click()
        self.instruction.fill(instruction)
        self.button("Apply").click()

    def pixels(self, box: tuple[float, float, float, float] = ALL) -> list[float]:
        """Return the mean red, green, blue (times alpha) and alpha of a part of the stage's picture, 0–255.

        `box` is left, top, right, bottom as shares of the picture.
        """
        return self.page.locator(".stage-canvas").evaluate(CANVAS_PIXELS, list(box))

    def draw(self) -> None:
        """Wait until the page has drawn what it owes the screen and has nothing else to do.

        Who waits for something looks for it as well: a browser promises neither frames nor idle moments.
        """
        self.page.evaluate(DRAWN)

    def box(self, element: Locator) -> Box:
        """Return where an element lies on the screen once it rests there."""
        seen: list[list[float]] = []

        def rests() -> bool:
            # In one go: each question to the page costs about as much as what it draws.
            if found := element.evaluate(RESTS):
                seen.append(found)
            return bool(seen)

        self.wait_for(rests, "an element at rest")
        return Box(*seen[0])

    def wait_for(self, condition: Callable[[], object], what: str = "the page") -> None:
        # To look at pixels is work for the page, too.
        wait_until(condition, what, every_s=0.05)
