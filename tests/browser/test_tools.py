"""The tools of the stage: what is pointed at becomes a layer, and a brush paints on one."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from llm_dit import export
from tests.browser.studio import Studio
from tests.browser.test_stage import ORANGE, at, drag, is_orange, near, selected
from tests.test_classical_harmonizing import scene


def alike(one: list[float], other: list[float]) -> bool:
    return all(abs(a - b) < 3 for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("touch", [False, True], ids=["mouse", "finger"])
def test_what_is_pointed_at_becomes_a_layer_in_one_step(open_stack: Callable[..., Studio], touch: bool) -> None:
    studio = open_stack(1, **({"width": 360, "height": 740, "touch": True} if touch else {}))
    page = studio.page
    before = studio.pixels()
    studio.button("Select object").click()
    expect(page.get_by_role("group", name="Select object")).to_be_visible()
    make = studio.button("Make a layer")
    expect(make).to_be_disabled()
    point = at(studio, ORANGE)
    page.touchscreen.tap(*point) if touch else page.mouse.click(*point)
    expect(make).to_be_enabled()
    make.click()
    expect(studio.layer_names).to_have_text(["Object", "Background"])
    expect(selected(studio)).to_have_text("Object")
    studio.wait_for_paint()
    assert alike(studio.pixels(), before), "the picture is what it was"
    if touch:
        return
    page.locator(".layer .eye").first.click()
    studio.wait_for(lambda: not is_orange(studio.pixels(near(ORANGE))), "the ground without the thing")
    page.locator(".layer .eye").first.click()
    studio.button("Undo: Show Object").click()
    studio.button("Undo: Hide Object").click()
    studio.button("Undo: Cut out Object").click()
    expect(studio.layer_names).to_have_text(["Background"])
    studio.wait_until_saved()


def test_a_selection_is_drawn_taken_back_and_left(open_stack: Callable[..., Studio]) -> None:
    studio = open_stack(1)
    page = studio.page
    page.keyboard.press("w")
    make = studio.button("Make a layer")
    left, top = at(studio, (ORANGE[0] - 0.2, ORANGE[1] - 0.3))
    right, low = at(studio, (ORANGE[0] + 0.2, ORANGE[1] + 0.3))
    page.mouse.move(left, top)
    page.mouse.down()
    page.mouse.move(right, low, steps=4)
    page.mouse.up()
    expect(make).to_be_enabled()
    page.keyboard.press("Control+z")
    expect(make).to_be_disabled()
    expect(studio.layer_names).to_have_text(["Background"])
    page.mouse.click(*at(studio, ORANGE))
    expect(make).to_be_enabled()
    page.keyboard.press("Enter")
    expect(studio.layer_names).to_have_text(["Object", "Background"])
    page.keyboard.press("w")
    expect(make).to_be_visible()
    page.keyboard.press("Escape")
    expect(make).to_be_hidden()
    expect(studio.page.get_by_role("radiogroup", name="What the stage shows")).to_be_visible()


def test_a_thing_in_a_box_is_a_layer_under_its_name(studio: Studio, picture: Path) -> None:
    page = studio.page
    studio.choose(picture)
    page.locator(".source").get_by_label("Layers").fill("3")
    studio.button("Name things").click()
    drag(studio, at(studio, (0.04, 0.1)), at(studio, (0.5, 0.75)))
    expect(page.get_by_label("Name of box 1")).to_be_focused()
    page.keyboard.type("Moon")
    # A second one without a pointer.
    studio.button("Add a box").click()
    expect(page.get_by_label("Name of box 2")).to_be_focused()
    expect(studio.button("Add a box")).to_be_disabled()
    page.keyboard.type("Leaf")
    page.keyboard.press("Shift+Tab")
    for key, times in (("ArrowRight", 24), ("ArrowUp", 2), ("Shift+ArrowDown", 17), ("Shift+ArrowRight", 5)):
        for _ in range(times):
            page.keyboard.press(key)
    expect(studio.button("Box 2: left 132, top 59, 90 × 94")).to_be_focused()
    studio.wait_until_saved()
    page.reload()
    expect(page.get_by_label("Name of box 1")).to_have_value("Moon")
    studio.decompose_button.click()
    expect(studio.layer_names).to_contain_text(["Moon", "Leaf"])
    studio.pretend_model()
    expect(page.get_by_text("This model divides the picture by itself")).to_be_visible()
    expect(page.get_by_label("Name of box 1")).to_be_hidden()


def test_a_box_is_moved_and_sized_by_a_finger(open_studio: Callable[..., Studio], picture: Path) -> None:
    studio = open_studio(width=390, height=844, touch=True)
    page = studio.page
    studio.choose(picture)
    studio.button("Add a box").click()
    number = page.locator(".thing-list button").first
    session = studio.context.new_cdp_session(page)

    def swipe(*ends: tuple[float, float]) -> None:
        points = [at(studio, end) for end in ends]
        for kind, point in (("touchStart", points[0]), ("touchMove", points[1]), ("touchEnd", None)):
            touches = [] if point is None else [{"x": point[0], "y": point[1]}]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    expect(number).to_have_attribute("aria-label", "Box 1: left 80, top 60, 80 × 60")
    swipe((0.5, 0.5), (0.6, 0.4))
    expect(number).to_have_attribute("aria-label", "Box 1: left 104, top 42, 80 × 60")
    swipe((184 / 240, 102 / 180), (208 / 240, 120 / 180))
    expect(number).to_have_attribute("aria-label", "Box 1: left 104, top 42, 104 × 78")


def test_a_brush_erases_and_restores_stroke_by_stroke(open_stack: Callable[..., Studio]) -> None:
    studio = open_stack(5)
    page = studio.page
    page.mouse.click(*at(studio, ORANGE))
    expect(selected(studio)).to_contain_text("range")
    name = selected(studio).inner_text()
    page.keyboard.press("b")
    expect(page.get_by_text(f"Paint on “{name}”")).to_be_visible()
    page.mouse.click(*at(studio, ORANGE))
    studio.wait_for(lambda: not is_orange(studio.pixels(near(ORANGE))), "the hole")
    expect(studio.button(f"Undo: Erase in {name}")).to_be_enabled()
    page.keyboard.press("x")
    page.mouse.click(*at(studio, ORANGE))
    studio.wait_for(lambda: is_orange(studio.pixels(near(ORANGE))), "what was there")
    expect(studio.button(f"Undo: Restore in {name}")).to_be_enabled()
    page.keyboard.press("Control+z")
    studio.wait_for(lambda: not is_orange(studio.pixels(near(ORANGE))), "the hole again")
    studio.button("Done").click()
    studio.wait_until_saved()
    page.reload()
    studio.wait_for_paint()
    assert not is_orange(studio.pixels(near(ORANGE)))
    expect(page.locator(".layer.selected .version")).to_have_text("by hand")


def test_a_layer_is_harmonized_and_gets_a_shadow_and_undo_takes_both_back(
    open_studio: Callable[..., Studio], tmp_path: Path
) -> None:
    stack, _ = scene(401, (0.6, 0.65, 0.75))
    file = tmp_path / "stack.zip"
    file.write_bytes(export(stack, "zip", width=320, height=240))
    studio = open_studio()
    studio.page.locator(".welcome input[type=file]").first.set_input_files(file)
    rows = studio.page.locator(".layer .layer-name")
    expect(rows).to_have_text(["Part", "Ground"])
    studio.page.get_by_text("Part", exact=True).click()
    studio.menu("More for Part", "Harmonize, with a shadow")
    expect(rows).to_have_text(["Part", "Shadow of Part", "Ground"])
    expect(studio.page.locator(".layer.selected")).to_contain_text("by hand")
    studio.page.keyboard.press("Control+z")
    expect(rows).to_have_text(["Part", "Ground"])
    expect(studio.page.get_by_text("by hand")).to_have_count(0)
