"""The stage and the stack: what a pointer, a finger and the keys do to layers."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Locator, expect

from tests.browser.studio import Studio
from tests.browser.test_sources import hand_over

ORANGE = (0.27, 0.42)
GREEN = (0.75, 0.6)
WHITE = (0.92, 0.1)
DISC = [20.0, 30.0, 0.0, 91.0, 91.0, 100.0]
"""Where the orange disc lies: left, top, angle, width, height and scale."""


@pytest.fixture
def stacked(open_stack: Callable[..., Studio]) -> Studio:
    return open_stack(5)


def at(studio: Studio, share: tuple[float, float]) -> tuple[float, float]:
    """Return where a point of the picture lies on the screen."""
    return studio.box(studio.page.locator(".stage-paper")).at(*share)


def drag(studio: Studio, start: tuple[float, float], end: tuple[float, float]) -> None:
    mouse = studio.page.mouse
    mouse.move(*start)
    mouse.down()
    mouse.move(*end, steps=5)
    mouse.up()


def selected(studio: Studio) -> Locator:
    """Return the name of the selected layer."""
    return studio.page.locator(".layer.selected .layer-name")


def place(studio: Studio) -> list[float]:
    """Return left, top, angle, width, height and scale of what is selected, as the fields say."""
    fold = studio.page.locator(".layer-more details")
    if not fold.evaluate("(e) => e.open"):
        fold.locator("summary").click()
    expect(fold.locator("input")).to_have_count(6)
    return [float(field.input_value()) for field in fold.locator("input").all()]


def is_orange(pixel: list[float]) -> bool:
    return pixel[0] > 200 and 90 < pixel[1] < 170 and pixel[2] < 90


def near(point: tuple[float, float]) -> tuple[float, float, float, float]:
    return point[0] - 0.02, point[1] - 0.02, point[0] + 0.02, point[1] + 0.02


def test_a_click_selects_what_is_seen_and_a_drag_moves_it(stacked: Studio) -> None:
    page = stacked.page
    page.mouse.click(*at(stacked, WHITE))
    expect(selected(stacked)).to_have_text("Background")
    page.mouse.click(*at(stacked, ORANGE))
    expect(selected(stacked)).to_contain_text("range")
    expect(page.locator(".stage-outline")).to_be_visible()
    free = (ORANGE[0] + 0.45, ORANGE[1] - 0.2)
    drag(stacked, at(stacked, ORANGE), at(stacked, free))
    stacked.wait_for(lambda: is_orange(stacked.pixels(near(free))), "the disc where it was put")
    stacked.wait_for(
        lambda: place(stacked)[:2] == [pytest.approx(128, abs=4), pytest.approx(-6, abs=4)],
        "the layer where it was put",
    )
    # One drag is one step.
    page.keyboard.press("Control+z")
    stacked.wait_for(lambda: place(stacked) == DISC, "the layer where it was put")
    expect(stacked.button("Undo: Decompose")).to_be_enabled()


def test_the_ground_moves_only_once_it_is_selected(stacked: Studio) -> None:
    # A drag from it draws a box around what is to be selected, the ground not among it.
    drag(stacked, at(stacked, (0.02, 0.98)), at(stacked, (0.53, 0.1)))
    expect(stacked.page.locator(".layer.selected")).to_have_count(2)
    stacked.page.mouse.click(*at(stacked, WHITE))
    expect(stacked.button("Undo: Decompose")).to_be_enabled()
    drag(stacked, at(stacked, WHITE), at(stacked, (WHITE[0] - 0.2, WHITE[1])))
    stacked.wait_for(lambda: place(stacked)[0] < -40, "the layer where it was put")
    # Space always pans.
    stacked.page.locator(".stage-view").focus()
    before = at(stacked, WHITE)
    stacked.page.keyboard.down("Space")
    drag(stacked, before, (before[0] - 60, before[1]))
    stacked.page.keyboard.up("Space")
    stacked.wait_for(lambda: abs(at(stacked, WHITE)[0] - before[0] + 60) < 2, "the picture where it was panned to")
    assert -60 < place(stacked)[0] < -40


def test_handles_size_and_turn_and_lines_draw(stacked: Studio) -> None:
    page = stacked.page
    page.mouse.click(*at(stacked, ORANGE))
    outline = stacked.box(page.locator(".stage-outline"))
    corner = stacked.box(page.locator(".stage-handle.se")).at(0.5, 0.5)
    # A corner keeps the ratio, and the one across stays; a side stretches.
    drag(stacked, corner, (corner[0] + outline.width / 2, corner[1] + outline.height / 2))
    stacked.wait_for(lambda: place(stacked)[5] == pytest.approx(150, abs=6), "a larger layer")
    assert stacked.box(page.locator(".stage-outline")).x == pytest.approx(outline.x, abs=4)
    stacked.button("Put back").click()
    side = stacked.box(page.locator(".stage-handle.e")).at(0.5, 0.5)
    drag(stacked, side, (side[0] + outline.width / 3, side[1] + 30))
    stacked.wait_for(lambda: place(stacked)[3] == pytest.approx(121, abs=3), "a wider layer")
    assert place(stacked)[4] == DISC[4]
    stacked.button("Put back").click()
    turner = stacked.box(page.locator(".stage-handle.turn")).at(0.5, 0.5)
    page.keyboard.down("Shift")
    drag(stacked, turner, (turner[0] + outline.width, turner[1] + outline.height / 3))
    page.keyboard.up("Shift")
    stacked.wait_for(lambda: place(stacked)[2] in (60, 75, 90), "a layer that was turned")
    stacked.button("Put back").click()

    # Several go together, and lie along the canvas where they come near to it; Ctrl holds that off.
    page.keyboard.down("Control")
    page.mouse.click(*at(stacked, GREEN))
    page.keyboard.up("Control")
    expect(page.locator(".layer.selected")).to_have_count(2)
    start = at(stacked, GREEN)
    left = place(stacked)[0]
    scale = stacked.box(page.locator(".stage-paper")).width / 240
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(start[0] - (left - 1.5) * scale, start[1], steps=4)
    expect(page.locator(".stage-guide.x")).to_be_visible()
    page.mouse.up()
    expect(page.locator(".stage-guide.x")).to_be_hidden()
    stacked.wait_for(lambda: place(stacked)[0] == 0, "both along the edge")
    stacked.button("Undo: Move").click()
    stacked.button("Align top edges").click()
    stacked.wait_for(lambda: stacked.pixels(near((0.75, 0.25)))[1] > 110, "the green one further up")
    # A menu where they lie is about both; pointing at a row lights its layer.
    page.mouse.click(*at(stacked, ORANGE), button="right")
    page.get_by_role("menuitem", name="Duplicate").click()
    expect(stacked.rows).to_have_count(7)
    stacked.button("Undo: Duplicate").click()
    # On an empty place it is about the canvas.
    paper = stacked.box(page.locator(".stage-paper"))
    page.mouse.click(paper.x - 20, paper.y - 20, button="right")
    page.get_by_role("menuitem", name="Canvas size").click()
    page.get_by_role("dialog").get_by_label("Width").fill("300")
    page.keyboard.press("Enter")
    expect(page.locator(".job-bar")).to_contain_text("300 × 180")
    page.mouse.click(*at(stacked, (0.3, 0.42)), button="right")
    page.get_by_role("menuitem", name="Crop the canvas").click()
    expect(page.locator(".job-bar")).not_to_contain_text("300 ×")
    # The picture has moved along: nothing differs from it.
    page.keyboard.press("d")
    expect(page.locator(".mode-hint")).to_contain_text("equal")
    page.keyboard.press("d")
    for _ in range(2):
        page.keyboard.press("Control+z")
    expect(page.locator(".job-bar")).to_contain_text("240 × 180")
    stacked.rows.last.hover()
    expect(page.locator(".stage-light.pointed")).to_be_visible()
    page.mouse.click(*at(stacked, ORANGE))
    page.keyboard.down("Control")
    page.mouse.click(*at(stacked, (0.75, 0.4)))
    page.keyboard.up("Control")
    # With Alt a copy moves, as one step.
    page.keyboard.down("Alt")
    drag(stacked, at(stacked, ORANGE), at(stacked, (ORANGE[0], ORANGE[1] + 0.3)))
    page.keyboard.up("Alt")
    expect(stacked.rows).to_have_count(7)
    page.keyboard.press("Control+z")
    expect(stacked.rows).to_have_count(5)


def test_keys_and_fields_place_layers(stacked: Studio) -> None:
    page = stacked.page
    page.mouse.click(*at(stacked, ORANGE))
    page.locator(".stage-view").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Shift+R")
    page.keyboard.press("Alt+Shift+ArrowRight")
    stacked.wait_for(lambda: place(stacked)[2] == -14, "a layer that was turned")
    page.keyboard.press("Alt+Shift+ArrowUp")
    stacked.wait_for(lambda: place(stacked)[5] == 102, "a larger layer")
    stacked.button("Put back").click()
    page.get_by_label("Width").fill("45.5")
    stacked.wait_for(lambda: place(stacked)[5] == pytest.approx(50, abs=0.5), "half the size")
    stacked.wait_for(lambda: not is_orange(stacked.pixels(near((0.4, 0.6)))), "a smaller disc")
    page.get_by_label("X (px)").fill("0")
    page.get_by_label("Angle").fill("90")
    stacked.button("Flip left and right").click()
    expect(stacked.button("Flip left and right")).to_have_attribute("aria-pressed", "true")
    stacked.wait_for(lambda: is_orange(stacked.pixels(near((0.1, 0.3)))), "the disc at the edge")
    # Shift and an arrow take another layer along, and what is done is done to both.
    page.locator(".layer.selected .layer-main").focus()
    page.keyboard.press("Shift+ArrowUp")
    expect(page.locator(".layer.selected")).to_have_count(2)
    page.keyboard.press("v")
    expect(page.locator(".layer.off")).to_have_count(2)
    page.keyboard.press("Shift+F10")
    page.get_by_role("menuitem", name="Show").press("Enter")
    expect(page.locator(".layer.off")).to_have_count(0)
    page.keyboard.press("Delete")
    expect(stacked.rows).to_have_count(3)
    page.keyboard.press("Control+z")
    expect(stacked.rows).to_have_count(5)


def test_a_zip_knows_how_layers_blend_and_where_they_lie(stacked: Studio) -> None:
    page = stacked.page
    page.mouse.click(*at(stacked, ORANGE))
    page.get_by_label("Blend mode of").select_option("difference")
    # The orange (240, 130, 30) on white.
    stacked.wait_for(lambda: stacked.pixels(near(ORANGE))[2] > 200 and stacked.pixels(near(ORANGE))[0] < 40, "a blend")
    page.locator(".stage-view").focus()
    page.keyboard.press("Shift+ArrowRight")
    with page.expect_request("**/export") as sent, page.expect_download() as download:
        stacked.menu("Export", "Layers (ZIP)")
    blends = [layer.get("blend") for layer in (sent.value.post_data_json or {})["layers"]]
    assert blends.count("difference") == 1
    manifest = json.loads(zipfile.ZipFile(download.value.path()).read("manifest.json"))
    assert [layer["x"] for layer in manifest["layers"]].count(10) == 1


def test_one_layer_alone_twice_and_gone(stacked: Studio) -> None:
    names = stacked.names()
    stacked.button(f"Hide {names[1]}").click(modifiers=["Alt"])
    for name in (names[0], *names[2:]):
        expect(stacked.button(f"Show {name}")).to_be_visible()
    stacked.wait_for(lambda: stacked.pixels()[3] < 120, "most of the picture gone")
    stacked.page.locator(".layer-main").nth(1).click()
    stacked.page.keyboard.press("Shift+V")
    stacked.wait_for_paint()

    # A copy is deleted, and comes back.
    stacked.page.locator(".layer-main").first.click()
    stacked.page.keyboard.press("Control+d")
    expect(stacked.layer_names).to_have_text([f"{names[0]} 2", *names])
    expect(selected(stacked)).to_have_text(f"{names[0]} 2")
    stacked.menu(f"More for {names[0]} 2", "Delete")
    expect(stacked.layer_names).to_have_text(names)
    stacked.page.locator(".notice").get_by_role("button", name="Undo").click()
    expect(stacked.layer_names).to_have_text([f"{names[0]} 2", *names])


def test_the_history_is_walked_and_its_states_are_compared(stacked: Studio) -> None:
    page, keyboard = stacked.page, stacked.page.keyboard
    top = stacked.names()[0]
    before = stacked.pixels()
    stacked.button(f"Hide {top}").click()
    stacked.wait_for(lambda: stacked.pixels() != before, "a picture without the layer")
    after = stacked.pixels()
    keyboard.press("y")
    states = page.locator(".state")
    expect(states.locator(".layer-name")).to_have_text(["Open picture", "Decompose", f"Hide {top}"])
    expect(states.locator("canvas")).to_have_count(3)
    keyboard.press("ArrowUp")
    expect(states.nth(1).locator("[aria-current]")).to_be_focused()
    stacked.wait_for(lambda: stacked.pixels() == before, "the picture of before")
    keyboard.press("End")
    keyboard.press("c")
    keyboard.press("ArrowUp")
    # The marked state against the one that was walked to: the older one is the one before.
    expect(page.get_by_role("radio", name="Slider")).to_be_checked()
    expect(page.locator(".mode-hint")).to_contain_text("of the picture changed")
    for mode, pixels in (("After", after), ("Before", before)):
        page.get_by_role("radio", name=mode).check()
        stacked.wait_for(lambda shown=pixels: stacked.pixels() == shown, mode)
    stacked.button("Close the history").click()
    expect(page.get_by_role("radio", name="Layers")).to_be_checked()
    expect(stacked.button("Project history")).to_be_focused()
    expect(stacked.button(f"Redo: Hide {top}")).to_be_enabled()


def test_split_again_makes_a_group(stacked: Studio) -> None:
    page = stacked.page
    top, *others = stacked.names()
    # Two things on one layer come apart again.
    stacked.menu(f"More for {top}", "Merge down")
    expect(stacked.rows).to_have_count(4)
    merged = stacked.names()[0]
    stacked.menu(f"More for {merged}", "Split again")
    group = page.locator(".group")
    expect(group).to_contain_text(merged)
    expect(group).to_contain_text("layers")
    count = stacked.rows.count()
    inside = page.locator(".layer.grouped")
    assert inside.count() == count - 3
    fold = group.locator(".group-fold")
    fold.click()
    expect(fold).to_have_attribute("aria-expanded", "false")
    expect(inside.first).to_be_hidden()
    fold.click()
    # The group is hidden, not each of its layers.
    group.locator(".eye").click()
    expect(page.locator(".layer.off")).to_have_count(inside.count())
    expect(inside.first.locator(".eye")).to_have_attribute("aria-pressed", "false")
    group.locator(".group-main").click()
    group.get_by_label("More for").click()
    page.get_by_role("menuitem", name="Delete").click()
    expect(stacked.rows).to_have_count(3)
    expect(stacked.layer_names).to_have_text(others[1:])
    page.keyboard.press("Control+z")
    expect(stacked.rows).to_have_count(count)


def told(studio: Studio) -> Any:
    """Return the stack as an export is told of it."""
    with studio.page.expect_request("**/export") as sent, studio.page.expect_download():
        studio.menu("Export", "Layers (ZIP)")
    return sent.value.post_data_json


def test_a_tree_of_groups_by_keys_and_by_dragging(stacked: Studio) -> None:
    page, keyboard = stacked.page, stacked.page.keyboard
    names = stacked.names()

    def tree() -> list[str]:
        """Return the lines of the list, top first, with a dot for each group that they are in."""
        lines = page.locator(".layer-list > li:visible").all()
        return [
            "." * (int(line.get_attribute("aria-level") or 0) - 1) + line.locator(".layer-name").inner_text()
            for line in lines
        ]

    def hold(row: Locator, past: Locator, across: float) -> None:
        """Drag a row by its grip below the middle of another one, and so far to the right."""
        grip, over = stacked.box(row.locator(".grip")), stacked.box(past)
        drag(stacked, (grip.x + 8, grip.y + 20), (grip.x + 8 + across, over.y + over.height / 2 + 8))

    # The top two go into a group, the second into one within it.
    page.locator(".layer-main").first.click()
    keyboard.press("Control+g")
    keyboard.press("F2")
    keyboard.type("Figure")
    keyboard.press("Enter")
    stacked.wait_for(lambda: tree() == ["Figure", f".{names[0]}", *names[1:]], "a group")
    keyboard.press("ArrowDown")
    keyboard.press("ArrowDown")
    keyboard.press("Alt+ArrowUp")
    keyboard.press("Control+g")
    stacked.wait_for(lambda: tree()[:4] == ["Figure", f".{names[0]}", ".Group", f"..{names[1]}"], "a group in it")

    # A group fades as a whole, and folds by keys.
    page.get_by_role("slider", name="Opacity of Group").fill("40")
    expect(page.locator(".group").nth(1)).to_contain_text("40%")
    page.locator(".group-main").last.focus()
    keyboard.press("ArrowLeft")
    stacked.wait_for(lambda: f"..{names[1]}" not in tree(), "a folded group")
    keyboard.press("ArrowRight")

    # The ground goes to the end of the inner group, or with a way to the left no further than the outer one.
    last, inner = stacked.rows.last, stacked.rows.nth(1)
    hold(last, inner, 40)
    stacked.wait_for(lambda: tree()[3:5] == [f"..{names[1]}", f"..{names[4]}"], "the ground in the inner group")
    keyboard.press("Control+z")
    hold(last, inner, 16)
    stacked.wait_for(lambda: tree()[3:5] == [f"..{names[1]}", f".{names[4]}"], "the ground in the outer group")
    # The inner group leaves with what is in it, and takes its opacity along.
    hold(page.locator(".group").nth(1), stacked.rows.last, 0)
    stacked.wait_for(lambda: tree()[-2:] == ["Group", f".{names[1]}"], "the inner group at the bottom")
    expect(page.locator(".group").nth(1)).to_contain_text("40%")
    assert told(stacked)["groups"] == {"Group": {"opacity": 0.4, "visible": True, "blend": "pass-through"}}
    page.locator(".group-main").last.click()
    keyboard.press("Control+Shift+g")
    stacked.wait_for(lambda: tree()[-1] == names[1], "no inner group")
    # What is selected together is dragged together.
    page.locator(".layer-main").last.click()
    page.locator(".layer-main").nth(2).click(modifiers=["Control"])
    hold(stacked.rows.nth(2), stacked.rows.first, 16)
    stacked.wait_for(
        lambda: tree()[:4] == ["Figure", f".{names[0]}", f".{names[2]}", f".{names[1]}"], "both in the group"
    )


def test_a_group_moves_turns_and_merges_as_one(stacked: Studio) -> None:
    page, keyboard = stacked.page, stacked.page.keyboard
    # All that is selected goes into the group.
    page.locator(".layer-main").first.click()
    page.locator(".layer-main").nth(2).click(modifiers=["Shift"])
    keyboard.press("Control+g")
    expect(page.locator(".layer.grouped")).to_have_count(3)
    fold = page.locator(".group details")
    fold.locator("summary").click()
    x, angle = page.get_by_label("X (px)"), page.get_by_label("Angle")
    left = float(x.input_value())
    page.locator(".stage-view").focus()
    keyboard.press("Shift+ArrowRight")
    expect(x).to_have_value(f"{left + 10:g}")
    moved = [one["x"] for one in told(stacked)["layers"]]
    assert moved.count(10) == 3
    angle.fill("90")
    stacked.wait_for(lambda: [one["rotation"] for one in told(stacked)["layers"]].count(90) == 3, "three turned layers")
    keyboard.press("Escape")
    page.get_by_role("slider", name="Opacity of Group").fill("50")
    stacked.draw()
    # A stage that has no room for the moment draws nothing, and does not fail.
    for shown in ("none", ""):
        page.locator(".stage-view").evaluate("(view, shown) => { view.style.display = shown; }", shown)
        stacked.draw()
    stacked.wait_for_paint()
    # One layer in its place looks the same, and shows as the group did.
    before = stacked.pixels()
    page.locator(".group .layer-more .icon-button").nth(2).click()
    page.get_by_role("menuitem", name="Merge the group").click()
    expect(stacked.rows).to_have_count(3)
    expect(stacked.rows.first).to_contain_text("50%")
    stacked.wait_for(lambda: stacked.pixels() == pytest.approx(before, abs=1.5), "the same picture")
    for _ in range(4):
        keyboard.press("Control+z")
    expect(stacked.button("Undo: Group")).to_be_enabled()


def test_pictures_come_in_as_layers(stacked: Studio, picture: Path, tmp_path: Path) -> None:
    stacked.page.locator(".export-bar input[type=file]").set_input_files(picture)
    expect(stacked.rows).to_have_count(6)
    expect(selected(stacked)).to_have_text("shapes")
    hand_over(stacked, "paste", picture)
    expect(stacked.rows).to_have_count(7)
    expect(selected(stacked)).to_have_text("shapes 2")
    stacked.page.keyboard.press("Control+z")
    expect(stacked.rows).to_have_count(6)
    # It covers what it covers of this picture.
    stacked.rows.first.get_by_text("Position and size").click()
    facts = stacked.rows.first.locator(".layer-facts span:not(.version)")
    expect(facts).to_have_text("100%")
    stacked.rows.first.get_by_label("Scale").fill("50")
    expect(facts).to_have_text("25%")
    stacked.rows.first.get_by_label("X (px)").fill("180")
    expect(facts).to_have_text("12.5%")
    stacked.rows.first.get_by_label("X (px)").fill("500")
    expect(facts).to_have_text("0%")

    # Several come in at once, a bad one keeps no other out, and one with next to nothing on it is flagged.
    bad, empty = tmp_path / "bad.png", tmp_path / "nothing.png"
    bad.write_text("no picture")
    Image.new("RGBA", (16, 64)).save(empty)
    stacked.page.locator(".export-bar input[type=file]").set_input_files([picture, bad, empty])
    expect(stacked.rows).to_have_count(8)
    expect(stacked.page.locator(".notice")).to_contain_text("This is not a readable picture")
    expect(stacked.rows.filter(has_text="nearly empty")).to_have_count(1)
    # A tall picture is shown whole in its square, not by its upper end.
    heights = stacked.page.locator(".thumb").evaluate_all(
        "squares => squares.map((square) => [square.firstElementChild.clientHeight, square.clientHeight])"
    )
    assert all(picture <= square for picture, square in heights), heights


@pytest.mark.parametrize("touch", [False, True])
def test_copying_where_the_browser_allows_it_and_where_it_does_not(
    open_stack: Callable[..., Studio], touch: bool
) -> None:
    studio = open_stack(2, width=390 if touch else 1280, touch=touch)
    studio.context.grant_permissions(["clipboard-read", "clipboard-write"])
    studio.menu("Export", "Copy picture")
    expect(studio.page.locator(".notice")).to_contain_text("Copied")
    kinds = studio.page.evaluate("async () => (await navigator.clipboard.read())[0].types")
    assert kinds == ["image/png"]
    studio.page.evaluate("() => Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    studio.menu("Export", "Copy picture")
    expect(studio.page.locator(".notice")).to_contain_text("only from https:// or localhost")
    with studio.page.expect_download():
        studio.button("Save PNG").click()


def test_a_finger_scrolls_until_a_layer_was_tapped_and_two_pinch(
    open_stack: Callable[..., Studio],
) -> None:
    studio = open_stack(5, width=390, height=844, touch=True)
    session = studio.context.new_cdp_session(studio.page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})

    def swipe(start: tuple[float, float], across: float, down: float) -> None:
        touch("touchStart", start)
        for step in range(1, 9):
            touch("touchMove", (start[0] + across * step / 8, start[1] + down * step / 8))
        touch("touchEnd")

    # Over whatever part of the picture, and whatever layer is selected: the page scrolls, the picture stays in sight.
    for share in (ORANGE, WHITE):
        studio.page.evaluate("scrollTo(0, 0)")
        swipe(at(studio, share), 0, -160)
        studio.wait_for(lambda: studio.page.evaluate("scrollY") > 50, "a page that was scrolled")
        swipe(at(studio, share), 90, 0)
        expect(studio.page.locator(".stage-canvas")).to_be_in_viewport(ratio=0.9)
    expect(studio.button("Undo: Decompose")).to_be_enabled()

    studio.page.touchscreen.tap(*at(studio, ORANGE))
    expect(studio.page.locator(".stage-outline.in-hand")).to_be_visible()
    swipe(at(studio, ORANGE), 60, 0)
    studio.wait_for(lambda: place(studio)[0] > 20, "a layer that was moved")
    expect(selected(studio)).to_contain_text("range")
    # A finger that rests asks for a menu, and takes nothing of it when it is lifted.
    touch("touchStart", at(studio, GREEN))
    expect(studio.page.get_by_role("menuitem", name="Duplicate")).to_be_visible()
    touch("touchEnd")
    studio.page.get_by_role("menuitem", name="Select with the others").tap()
    expect(studio.page.locator(".layer.selected")).to_have_count(2)
    touch("touchStart", at(studio, GREEN))
    expect(studio.page.get_by_role("menuitem", name="Duplicate")).to_be_visible()
    touch("touchEnd")
    studio.page.get_by_role("menuitem", name="Duplicate").tap()
    expect(studio.rows).to_have_count(7)
    studio.button("Undo: Duplicate").click()
    before = studio.page.locator(".stage .zoom-scale").inner_text()
    middle = at(studio, (0.5, 0.5))
    touch("touchStart", (middle[0] - 30, middle[1]), (middle[0] + 30, middle[1]))
    for step in range(1, 6):
        touch("touchMove", (middle[0] - 30 - 8 * step, middle[1]), (middle[0] + 30 + 8 * step, middle[1]))
    touch("touchEnd")
    studio.wait_for(lambda: studio.page.locator(".stage .zoom-scale").inner_text() != before, "another zoom")
    expect(studio.button("Undo: Move")).to_be_enabled()
