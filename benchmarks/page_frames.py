"""How quickly the page draws: frames while a stack of ten large layers is changed, first paint, size, memory.

`python -m benchmarks.page_frames http://127.0.0.1:8000 [--layers 10] [--side 2048] [--edits 200]`, with the service
running there. Frames are the times between calls of requestAnimationFrame in a headless Chromium without a GPU, while a
real pointer drags a layer or the picture, its opacity slider moves in each frame, or its eye is clicked in each frame;
then while it moves, sizes and turns all layers at once.
Long tasks are what Chromium reports as such (50 ms and more). Memory is what a heap snapshot shows of the page's own
values, and its elements; Chromium's compiled code and its record of requests grow with any page. Sizes are of
what the browser has loaded: the start page does without the editor. Exits 1 when a figure is missed.
"""

import argparse
import io
import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, expect, sync_playwright

from tests.browser.conftest import chromium_path
from tests.kit.report import write_report

OUT = Path(__file__).parent / "out" / "page_frames.json"
FRAMES = 180
LIMITS = {"median_ms": 20.0, "first_paint_ms": 1000.0, "bytes": 200_000, "heap_growth": 1.1}

LOADED = """
() => performance.getEntriesByType("resource").filter(({ name }) => /\\.(js|css)$/.test(name))
  .reduce((sum, { decodedBodySize }) => sum + decodedBodySize, 0)
"""
RECORD = """
() => {
  window.frames_ = []; window.long_ = [];
  window.watch_ = new PerformanceObserver((list) => long_.push(...list.getEntries().map((e) => e.duration)));
  watch_.observe({ type: "longtask" });
  const tick = (now) => { frames_.push(now); window.ticking_ = requestAnimationFrame(tick); };
  window.ticking_ = requestAnimationFrame(tick);
}
"""
STOP = """
() => {
  cancelAnimationFrame(ticking_); watch_.disconnect();
  return { frames: frames_.slice(1).map((now, i) => now - frames_[i]), long: long_ };
}
"""
EVERY_FRAME = """
([count, kind]) => new Promise((done) => {
  const slider = document.querySelector(".layer-more .slider"), eye = document.querySelector(".layer.selected .eye");
  let left = count;
  const tick = () => {
    if (left-- === 0) return done();
    if (kind === "eye") eye.click();
    else { slider.value = String(left % 100); slider.dispatchEvent(new Event("input", { bubbles: true })); }
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
})
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the page's frames, first paint, size and memory.")
    parser.add_argument("url")
    parser.add_argument("--layers", type=int, default=10)
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--edits", type=int, default=200)
    arguments = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_path() or playwright.chromium.executable_path, args=["--no-sandbox"]
        )
        figures = {
            "layers": arguments.layers,
            "side": arguments.side,
            "first_paint_ms": first_paint(browser, arguments.url),
            "bytes": page_bytes(browser, arguments.url),
            "frames": frames(browser, arguments.url, arguments.layers, arguments.side),
            "heap": heap(browser, arguments.url, arguments.edits),
        }
        browser.close()
    report(figures)


def page_bytes(browser: Browser, url: str) -> dict[str, int]:
    """Return the size of the scripts and style sheets, uncompressed: of the start page, and of a project."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(url, wait_until="networkidle")
    start = page.evaluate(LOADED)
    page.locator(".samples .sample").first.click()
    expect(page.locator(".source .primary")).to_be_enabled()
    figures = {"start": start, "project": page.evaluate(LOADED)}
    context.close()
    return figures


def first_paint(browser: Browser, url: str) -> float:
    """Return the median time of five first visits until there is something to see, in ms."""
    times: list[float] = []
    for _ in range(5):
        context = browser.new_context()
        page = context.new_page()
        page.goto(url)
        expect(page.locator(".welcome-drop")).to_be_visible()
        paint = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
        page.wait_for_function(paint)
        times.append(page.evaluate(paint))
        context.close()
    return round(statistics.median(times), 1)


def frames(browser: Browser, url: str, layers: int, side: int) -> dict[str, Any]:
    """Return the frames of a drag, of the opacity and of the eye, with a layer in the middle of the stack selected."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = open_stack(context, url, layers, side)
    page.locator(".layer").nth(layers // 2).locator(".layer-main").click()
    figures = {
        "drag": record(page, lambda: drag(page)),
        "opacity": record(page, lambda: page.evaluate(EVERY_FRAME, [FRAMES, "opacity"])),
        "eye": record(page, lambda: page.evaluate(EVERY_FRAME, [FRAMES, "eye"])),
        "pan": record(page, lambda: drag(page, hand=True)),
    }
    page.locator(".stage-view").focus()
    page.keyboard.press("Control+a")
    for name, place in {
        "move all": ".stage-outline",
        "size all": ".stage-handle.se",
        "turn all": ".stage-handle.turn",
    }.items():
        figures[name] = record(page, lambda place=place: drag(page, place))
    context.close()
    return figures


def record(page: Page, work: Callable[[], object]) -> dict[str, Any]:
    page.evaluate(RECORD)
    work()
    result = page.evaluate(STOP)
    times = sorted(result["frames"])
    return {
        "frames": len(times),
        "median_ms": round(statistics.median(times), 2),
        "p95_ms": round(times[int(len(times) * 0.95)], 2),
        "worst_ms": round(times[-1], 2),
        "long_tasks": len(result["long"]),
    }


def drag(page: Page, place: str = ".stage-outline", *, hand: bool = False) -> None:
    """Drag what is selected around by a real pointer, at the middle of a place; with `hand`, the whole picture."""
    outline, view = page.locator(place).bounding_box(), page.locator(".stage-view")
    assert outline is not None
    x, y = outline["x"] + outline["width"] / 2, outline["y"] + outline["height"] / 2
    if hand:
        view.focus()
        page.keyboard.down("Space")
    page.mouse.move(x, y)
    page.mouse.down()
    for turn in range(6):
        page.mouse.move(x + 120 * (-1) ** turn, y + 60 * (-1) ** (turn // 2), steps=FRAMES // 6)
    page.mouse.up()
    if hand:
        page.keyboard.up("Space")


def open_stack(context: BrowserContext, url: str, layers: int, side: int) -> Page:
    """Open the page with a stack of so many layers, as if decompose had answered with them."""
    addresses = [upload(url, picture(index, side)) for index in range(layers + 1)]
    answer = {
        "layers": [about(index, address, side) for index, address in enumerate(addresses)],
        "layer_count": layers,
        "seed": 1,
        "prompt": "",
        "resolution": 1024,
        "width": side,
        "height": side,
        "generation_time": 1.0,
        "engine": "classical",
    }
    page = context.new_page()
    answer_jobs(page, "decompose", lambda: answer)
    page.goto(url)
    file = {"name": "ground.png", "mimeType": "image/png", "buffer": picture(1, side)}
    page.locator(".welcome input[type=file]").first.set_input_files(file)  # pyright: ignore[reportArgumentType]
    expect(page.locator(".source .primary")).to_be_enabled(timeout=30_000)
    page.locator(".source .primary").click()
    expect(page.locator(".layer")).to_have_count(layers)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(2000)  # pictures are decoded and made smaller in the background
    return page


def answer_jobs(page: Page, route: str, result: Callable[[], dict[str, Any]]) -> None:
    """Make the page's jobs succeed at once."""
    job = {"id": "measured", "status": "queued", "phase": None, "step": 0, "total": 0, "eta_s": None, "position": 1}
    job["kind"] = "decompose" if route == "decompose" else "edit"

    def events() -> str:
        done = job | {"status": "succeeded", "result": result(), "error": None}
        return f"event: succeeded\nid: 1\ndata: {json.dumps(done)}\n\n"

    page.route(f"**/api/qwen-image/{route}", lambda call: call.fulfill(status=202, json=job))
    page.route(
        "**/api/jobs/measured/events", lambda call: call.fulfill(content_type="text/event-stream", body=events())
    )


def picture(index: int, side: int) -> bytes:
    """Return a ground (0 and 1) or a layer with a soft-edged disc in a place of its own, as PNG."""
    if index < 2:
        ramp = np.linspace(0, 255, side, dtype=np.uint8)
        image = Image.fromarray(np.stack([np.broadcast_to(ramp, (side, side))] * 3, axis=-1), "RGB").convert("RGBA")
    else:
        image = Image.new("RGBA", (side, side))
        x, y = (index * 37 % 60) / 100 * side, (index * 53 % 60) / 100 * side
        color = (index * 67 % 255, index * 101 % 255, index * 29 % 255, 230)
        ImageDraw.Draw(image).ellipse((x, y, x + side * 0.4, y + side * 0.4), fill=color)
    content = io.BytesIO()
    image.save(content, "PNG", compress_level=1)
    return content.getvalue()


def upload(url: str, content: bytes) -> str:
    answer = httpx.post(f"{url}/api/images", content=content, headers={"Content-Type": "image/png"}, timeout=60)
    return answer.raise_for_status().json()["image"]


def about(index: int, address: str, side: int) -> dict[str, Any]:
    coverage = 1.0 if index < 2 else 0.12
    name = f"Layer {index}"
    return {"index": index, "name": name, "image": address, "width": side, "height": side, "coverage": coverage}


def heap(browser: Browser, url: str, edits: int) -> dict[str, Any]:
    """Edit and accept again and again; return the page's values in MB, and its elements, after some, half and all.

    Growth is that of the second half: by then code is compiled and the past is as long as it gets.
    """
    context = browser.new_context()
    results = [upload(url, picture(index, 256)) for index in range(2, 12)]
    page = open_stack(context, url, 4, 256)
    count = iter(range(edits))
    answer_jobs(
        page,
        "edit-layer",
        lambda: {"image": results[next(count) % 10], "seed": 1, "generation_time": 1.0, "engine": "classical"},
    )
    session = context.new_cdp_session(page)
    sizes: list[float] = []
    elements: list[int] = []
    for number in range(edits):
        page.locator(".layer .edit").first.click()
        page.locator("dialog.edit-dialog textarea").fill(f"make it blue {number}")
        page.keyboard.press("Control+Enter")
        page.get_by_role("button", name="Replace layer").click()
        if number + 1 in (edits // 10, edits // 2, edits):
            sizes.append(values_mb(session))
            elements.append(page.locator("*").count())
    context.close()
    growth = max(sizes[-1] / sizes[1], elements[-1] / elements[1])
    return {"edits": edits, "mb": sizes, "elements": elements, "growth": round(growth, 3)}


VALUES = {"object", "closure", "array", "string", "concatenated string", "sliced string", "number", "regexp", "bigint"}


def values_mb(session: CDPSession) -> float:
    """Return the size of what the page's scripts hold, in MB."""
    chunks: list[str] = []
    session.on("HeapProfiler.addHeapSnapshotChunk", lambda event: chunks.append(event["chunk"]))
    session.send("HeapProfiler.collectGarbage")
    session.send("HeapProfiler.takeHeapSnapshot", {"reportProgress": False})
    heap = json.loads("".join(chunks))
    meta, nodes = heap["snapshot"]["meta"], np.array(heap["nodes"])
    fields, kinds = meta["node_fields"], meta["node_types"][0]
    table = nodes.reshape(-1, len(fields))
    counted = np.isin(table[:, fields.index("type")], [kinds.index(kind) for kind in VALUES])
    return round(float(table[counted, fields.index("self_size")].sum()) / 1e6, 3)


def report(figures: dict[str, Any]) -> None:
    print(f"\n{figures['layers']} layers of {figures['side']}², ms between frames")
    for name, times in figures["frames"].items():
        print(
            f"{name:<10}median {times['median_ms']:>7}   p95 {times['p95_ms']:>7}   worst {times['worst_ms']:>7}   "
            f"long tasks {times['long_tasks']:>3}   frames {times['frames']}"
        )
    size = figures["bytes"]
    print(f"first paint {figures['first_paint_ms']} ms")
    print(f"scripts and styles: start {size['start'] / 1000:.1f} kB, project {size['project'] / 1000:.1f} kB")
    held = figures["heap"]
    print(f"values after edits: {held['mb']} MB, elements {held['elements']} (× {held['growth']})")
    write_report(OUT, figures)
    timed = [name for name in figures["frames"] if name != "pan"]
    slow = [name for name in timed if figures["frames"][name]["median_ms"] > LIMITS["median_ms"]]
    missed = [f"frames of {name}" for name in slow]
    missed += ["first paint"] if figures["first_paint_ms"] > LIMITS["first_paint_ms"] else []
    missed += ["size"] if size["project"] > LIMITS["bytes"] else []
    missed += ["heap"] if figures["heap"]["growth"] > LIMITS["heap_growth"] else []
    if missed:
        sys.exit(f"missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
