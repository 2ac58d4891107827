"""The field's measure of layers against those that are known."""

import pytest
from PIL import Image

from llm_dit.errors import InputError
from llm_dit.evaluation import Likeness, compare, mean_of

SIZE = (40, 20)
GRAY, RED, BLUE, GREEN = (128, 128, 128, 255), (255, 0, 0, 255), (0, 0, 255, 255), (0, 255, 0, 255)


def patch(color: tuple[int, int, int, int], *boxes: tuple[int, int, int, int]) -> Image.Image:
    image = Image.new("RGBA", SIZE)
    for box in boxes or ((0, 0, *SIZE),):
        image.paste(color, box)
    return image


GROUND, LEFT, RIGHT, OVER = patch(GRAY), patch(RED, (0, 0, 10, 10)), patch(BLUE, (20, 0, 30, 10)), (5, 5, 15, 15)


def levels(result: list[Likeness]) -> list[tuple[int, float, float]]:
    return [(one.edits, round(one.rgb_l1, 5), round(one.alpha_iou, 5)) for one in result]


def test_the_same_layers_are_alike_whatever_is_kept_of_colors_that_nobody_sees() -> None:
    hidden = LEFT.copy()
    hidden.paste((9, 99, 199, 0), (20, 0, 40, 20))
    assert levels(compare([GROUND, hidden], [GROUND, LEFT])) == [(0, 0, 1)]


def test_colors_count_where_the_known_layer_shows_and_alphas_by_what_they_share() -> None:
    lighter = patch((128, 128, 230, 255))
    wider = patch(RED, (0, 0, 20, 10))
    # Of the pair of grounds a third of 102 levels, of the other one nothing; alphas: all, and a half.
    assert levels(compare([lighter, wider], [GROUND, LEFT])) == [(0, round(102 / 255 / 3 / 2, 5), 0.75)]
    half = patch((255, 0, 0, 127), (0, 0, 10, 10))
    assert levels(compare([GROUND, half], [GROUND, LEFT])) == [(0, 0, round((1 + 127 / 255) / 2, 5))]


def test_layers_that_do_not_overlap_are_one_in_whatever_order() -> None:
    assert levels(compare([GROUND, LEFT, RIGHT], [GROUND, RIGHT, LEFT])) == [(0, 0, 1)]


def test_what_is_divided_more_finely_is_merged_and_counted() -> None:
    over = patch(GREEN, OVER)
    both = Image.alpha_composite(LEFT, over)
    found, truth = [GROUND, LEFT, over], [GROUND, both]
    first, last = compare(found, truth)
    assert (first.edits, last) == (0, Likeness(edits=1, rgb_l1=0, alpha_iou=1))
    assert first.alpha_iou < 0.8
    # In the known stack as well.
    assert levels(compare(truth, found))[-1] == (1, 0, 1)
    # Not more often than is allowed.
    assert levels(compare(found, truth, max_edits=0)) == levels([first])


def test_the_figures_are_those_of_the_published_code() -> None:
    """`LayersEditDist` of https://github.com/CyberAgentAILab/LayerD gives these for these layers."""
    truth = [
        patch(GRAY),
        patch(RED, (2, 2, 20, 16)),
        patch((0, 0, 255, 180), (8, 6, 30, 18)),
        patch(GREEN, (12, 0, 16, 20)),
        patch((250, 250, 0, 255), (13, 8, 38, 12)),
    ]
    found = [
        patch((120, 130, 128, 255)),
        patch(GRAY, (20, 0, 40, 20)),
        patch((240, 10, 0, 255), (2, 2, 20, 16)),
        patch(RED, (4, 4, 9, 9)),
        patch((0, 100, 200, 255), (8, 6, 30, 18)),
        patch((230, 230, 30, 200), (13, 7, 38, 12)),
    ]
    assert levels(compare(found, truth)) == [
        (0, 0.19244, 0.59669),
        (1, 0.16019, 0.69703),
        (2, 0.09829, 0.67988),
        (3, 0.15589, 0.787),
        (4, 0.12078, 0.77767),
    ]


def test_layers_in_the_wrong_order_are_not_alike() -> None:
    over, under = patch(GREEN, OVER), patch(RED, (0, 0, 14, 14))
    (wrong, *_) = compare([GROUND, over, under], [GROUND, under, over])
    assert wrong.alpha_iou < 0.8


def test_the_mean_takes_pictures_that_need_fewer_merges_as_they_are() -> None:
    one = [Likeness(edits=0, rgb_l1=0.1, alpha_iou=0.5), Likeness(edits=1, rgb_l1=0, alpha_iou=0.9)]
    other = [Likeness(edits=0, rgb_l1=0.3, alpha_iou=0.7)]
    assert levels(mean_of([one, other])) == [(0, 0.2, 0.6), (1, 0.15, 0.8)]
    assert mean_of([]) == []


def test_stacks_of_nothing_and_of_two_sizes_are_refused() -> None:
    for found, truth in (([], [GROUND]), ([GROUND], [GROUND.resize((4, 4))])):
        with pytest.raises(InputError, match="of the same size"):
            compare(found, truth)
