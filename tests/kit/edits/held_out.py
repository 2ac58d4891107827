"""Forty more wordings of what is in `asked.py`, written down after the engine read those and before it saw these.

What they showed was mended afterwards for its kind, so that they are held out no longer: docs/performance.md has both
figures.
"""

from tests.kit.edits.asked import KINDS, Asked, Language

FIRST: dict[Language, dict[str, str]] = {
    "English": {
        "Turn this blue": "recolor",
        "I'd like it in dark green": "recolor, a shade",
        "Swap the red for blue": "one color into another",
        "Darken only the yellow balloon": "a part by its color",
        "Could you recolor her coat green?": "a garment",
        "Change the text color to yellow": "the letters",
        "Give the sky a pink color": "the sky",
        "Get rid of the background please": "remove the background",
        "Make the background out of focus": "blur the background",
        "The background should be darker": "darken the background",
        "Make it a night scene": "night",
        "Turn it into gold": "gold",
        "Desaturate everything but the red": "black and white but for a color",
        "Put a white border around it": "outline",
        "Remove this layer": "delete",
    },
    "Chinese": {
        "给它换成蓝色": "recolor",
        "外套换个绿色": "a garment",
        "字的颜色换成黄色": "the letters",
        "天空要粉色的": "the sky",
        "帮我把背景去掉": "remove the background",
        "把背景虚一点": "blur the background",
        "太暗了，亮一些": "brighter",
        "增强一下对比": "contrast",
        "做一个红到蓝的渐变": "gradient",
        "改为黑白照片": "black and white",
        "给它加一个投影": "drop shadow",
        "把它放大两倍": "size",
        "顺时针旋转90°": "turn by a quarter",
        "变成晚上的样子": "night",
        "只保留红色，其他变黑白": "black and white but for a color",
    },
    "sloppy": {
        "chnge red 2 blue": "one color into another",
        "yellow letters pls": "the letters",
        "jacket -> green": "a garment",
        "backgrnd blurry": "blur the background",
        "no background": "remove the background",
        "way too dark!!": "brighter",
        "warmer pls, not too much": "warmer",
        "colors r dull make them pop": "vibrant",
        "add dropshadow thx": "drop shadow",
        "half transparant": "transparency",
    },
}

SECOND: dict[Language, dict[str, str]] = {
    "English": {
        "Can you make this one blue?": "recolor",
        "A darker green would be nice": "recolor, a shade",
        "Turn all the red into blue": "one color into another",
        "The jacket should be green": "a garment",
        "I want the lettering in yellow": "the letters",
        "Recolor the sky to pink": "the sky",
        "Cut the background away": "remove the background",
        "Blur everything behind the cup": "blur the background",
        "It needs more contrast": "contrast",
        "Tone down the colors a bit": "less saturated",
        "Give it a golden look": "gold",
        "Fade it from red at the top to blue at the bottom": "gradient",
        "Make it semi-transparent": "transparency",
        "Turn it a quarter turn clockwise": "turn by a quarter",
    },
    "Chinese": {
        "我想把它变成蓝色的": "recolor",
        "红色换蓝色": "one color into another",
        "把她衣服的颜色改成绿色": "a garment",
        "把标题文字变黄": "the letters",
        "天空改成粉红色": "the sky",
        "请移除背景谢谢": "remove the background",
        "让背景模糊一些": "blur the background",
        "背景再暗一点": "darken the background",
        "整体提亮": "brighter",
        "颜色不要那么鲜艳": "less saturated",
        "加点暖色": "warmer",
        "外面加一圈白边": "outline",
        "晚上的效果": "night",
        "左右镜像一下": "flip",
    },
    "sloppy": {
        "blue pls": "recolor",
        "change jackt colour 2 green": "a garment",
        "txt yellow": "the letters",
        "remove bg": "remove the background",
        "blured background": "blur the background",
        "make it brigther & more contrast": "brighter",
        "b&w pls": "black and white",
        "white outline thick": "outline",
        "nite mode": "night",
        "shadow behind it": "drop shadow",
        "flip horiz": "flip",
        "bigger plz": "size",
    },
}


def held_out(sets: tuple[dict[Language, dict[str, str]], ...] = (FIRST, SECOND)) -> list[Asked]:
    """Return forty for each set."""
    kinds = {kind.name: kind for kind in KINDS}
    return [
        Asked(kind=kinds[kind], language=language, instruction=instruction)
        for wordings in sets
        for language, words in wordings.items()
        for instruction, kind in words.items()
    ]
