"""What the classical engine can do, in the user's words: the source of `docs/instructions.md`."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Topic:
    """One line of the reference: what it does, and examples; `chinese` has the same examples in Chinese."""

    label: str
    meaning: str
    examples: tuple[str, ...]
    chinese: tuple[str, ...]


TOPICS = (
    Topic(
        label="change colors",
        meaning="Recolors the layer and keeps its shading: every CSS color name, written together or apart, more "
        'everyday names, "light", "dark", "pale", … before a name, `#rrggbb`, `rgb()`, `hsl()`.',
        examples=(
            "Change the color to blue",
            "Change the house color to blue",
            "Make it light sea green",
            "Paint the car dark red",
            "Recolor it to #ff8800",
            "Change its colour to rgb(20, 160, 90)",
            "Make it white",
            "Make it black",
        ),
        chinese=(
            "把颜色改成蓝色",
            "把房子的颜色改成蓝色",
            "变成浅海绿色",
            "把车涂成深红色",
            "改成#ff8800",
            "把它的颜色改成rgb(20, 160, 90)",
            "改成白色",
            "改成黑色",
        ),
    ),
    Topic(
        label="change one color into another",
        meaning="Recolors only what has the first color.",
        examples=("Change the red parts to blue", "Make the red blue", "Replace white with yellow"),
        chinese=("把红色的部分改成蓝色", "把红色变成蓝色", "把白色换成黄色"),
    ),
    Topic(
        label="a part by its color",
        meaning="Letters, a garment, the sky, the grass or whatever has a color that is named, where it is clear; any "
        "change of colors, light or detail can be made there.",
        examples=(
            "Make the letters yellow",
            "Change her jacket to green",
            "Make the sky pink",
            "Make the red parts darker",
        ),
        chinese=("把文字改成黄色", "把她的外套改成绿色", "把天空变成粉色", "把红色的部分调暗"),
    ),
    Topic(
        label="gradient",
        meaning="Recolors from one color to another, downwards unless it says otherwise.",
        examples=("Add a gradient from red to blue", "Make it a horizontal gold to purple gradient", "Blue gradient"),
        chinese=("加上从红到蓝的渐变", "变成从金到紫的横向渐变", "蓝色渐变"),
    ),
    Topic(
        label="gold and other metals",
        meaning="Casts it in gold, silver, bronze, copper, brass or chrome.",
        examples=("Make it look like gold", "Silver effect"),
        chinese=("变成黄金质感", "白银效果"),
    ),
    Topic(
        label="black and white but for a color",
        meaning="Takes the color of everything that has another one.",
        examples=("Make everything black and white except the red", "Keep only the blue"),
        chinese=("除了红色都变成黑白", "只保留蓝色"),
    ),
    Topic(
        label="tint",
        meaning="Leans all colors towards one, or away from it.",
        examples=("Tint it purple", "Make it more blue", "Add a green tint", "Make it less red"),
        chinese=("加紫色调", "偏蓝色", "加绿色调", "少偏红色"),
    ),
    Topic(
        label="brightness",
        meaning="Moves lightness; black stays nearly black and white stays white when it brightens.",
        examples=("Make it brighter", "Make it darker", "Not so bright", "Make it twice as bright", "It is too dark"),
        chinese=("变亮", "变暗", "不那么亮", "亮两倍", "太暗了"),
    ),
    Topic(
        label="exposure",
        meaning="Multiplies the light, as a camera does; highlights roll off.",
        examples=("Increase the exposure", "Reduce the exposure by 1 stop"),
        chinese=("增加曝光", "降低曝光1档"),
    ),
    Topic(
        label="contrast",
        meaning="Spreads lightness around the layer's own middle, or draws it together.",
        examples=("Increase the contrast", "Reduce the contrast by 30%", "More contrast"),
        chinese=("提高对比度", "对比度降低30%", "更多对比度"),
    ),
    Topic(
        label="saturation",
        meaning="Multiplies the strength of all colors.",
        examples=("Make it more saturated", "Make it less saturated", "Saturation 50%", "Mute the colors"),
        chinese=("更饱和", "降低饱和度", "饱和度50%", "颜色暗淡"),
    ),
    Topic(
        label="vibrance",
        meaning="Strengthens pale colors more than strong ones.",
        examples=("Make it more vibrant", "Make the colors pop", "Less vibrant"),
        chinese=("更鲜艳", "让颜色更鲜艳", "不那么鲜艳"),
    ),
    Topic(
        label="warmth",
        meaning="Shifts the white balance towards amber or towards blue.",
        examples=("Make it warmer", "Cool it down", "A bit colder"),
        chinese=("变暖", "变冷", "冷一点"),
    ),
    Topic(
        label="hue",
        meaning="Turns every hue round the color wheel; 30° without a number.",
        examples=("Shift the hue by 90 degrees", "Rotate the hue by -45°", "Shift the hue"),
        chinese=("色相偏移90度", "色相旋转-45度", "改变色相"),
    ),
    Topic(
        label="glow",
        meaning="Bright parts bloom in light of the named color; a sunset adds rose shade and low golden light. "
        'With shape "new" the light also reaches past the edge.',
        examples=("Add a warm glow", "Add a sunset glow effect", "Add a soft blue glow", "Make it glow"),
        chinese=("加暖色光晕", "加夕阳效果", "加一点蓝色光晕", "加光晕"),
    ),
    Topic(
        label="night",
        meaning="Dark, blue and of little color, as by moonlight.",
        examples=("Make it look like night", "Turn day into night"),
        chinese=("变成夜晚", "变成夜景"),
    ),
    Topic(
        label="shadows",
        meaning='Deepens the dark tones and shades the lower right edge. With shape "new" it also casts a soft shadow.',
        examples=("Add shadows", "Deepen the shadows"),
        chinese=("加阴影", "加深阴影"),
    ),
    Topic(
        label='drop shadow (with shape "new")',
        meaning="Casts a soft shadow behind the layer and leaves its own colors.",
        examples=("Add a drop shadow", "Add a soft drop shadow"),
        chinese=("加投影", "加柔和的投影"),
    ),
    Topic(
        label='outline (with shape "new")',
        meaning="Puts a line around the layer, in a color or in one that shows against it.",
        examples=("Add a white outline", "Add a thick black border", "Outline it in red"),
        chinese=("加白色描边", "加粗的黑色描边", "加红色描边"),
    ),
    Topic(
        label="looks (vintage, sepia, black and white, inverted, vignette, film grain, posterized)",
        meaning="Ready-made looks. Vintage is faded and warm with a little grain, whose pattern is the seed's.",
        examples=(
            "Make it look vintage",
            "Apply a sepia filter",
            "Make it black and white",
            "Invert the colors",
            "Add a vignette",
            "Add film grain",
            "Posterize it to 4 levels",
        ),
        chinese=("做成复古风格", "乌贼墨滤镜", "变成黑白", "反相", "加暗角", "加胶片颗粒", "色调分离成4级"),
    ),
    Topic(
        label="blur and sharpen",
        meaning='Softens or crispens, without a dark rim at the edge. With shape "new" a blur softens the edge too.',
        examples=("Blur it a little", "Blur it by 8 pixels", "Sharpen it", "Less blurry"),
        chinese=("模糊一点", "模糊8像素", "锐化一下", "不那么朦胧"),
    ),
    Topic(
        label="simplify the details",
        meaning="Smooths texture and small things away and keeps the large edges.",
        examples=("Simplify the details", "Smooth it out", "Pixelate it"),
        chinese=("简化细节", "磨平", "像素化"),
    ),
    Topic(
        label="remove the background",
        meaning='Finds the subject. What lies around it becomes white with shape "keep", transparent with shape "new". '
        "A layer that is cut out already, or in which nothing stands out, stays as it is.",
        examples=("Remove the background", "Cut out the subject"),
        chinese=("去掉背景", "抠图"),
    ),
    Topic(
        label="change the background",
        meaning="Blurs, darkens, recolors, … what lies around the subject, if one stands out.",
        examples=("Blur the background", "Darken the background", "Make the background black and white"),
        chinese=("虚化背景", "把背景调暗", "背景变成黑白"),
    ),
    Topic(
        label="flip and turn by 180°",
        meaning='Turns the layer in its place. With shape "keep" the colors turn inside the outline as it is.',
        examples=("Flip it horizontally", "Flip it vertically", "Mirror it", "Rotate it by 180 degrees"),
        chinese=("水平翻转", "垂直翻转", "镜像", "旋转180度"),
    ),
    Topic(
        label='turn by any angle (with shape "new")',
        meaning="Turns the layer clockwise about its middle; it is moved or shrunk where it would pass the canvas.",
        examples=("Rotate it by 90 degrees", "Rotate it to the left", "Tilt it by -10 degrees"),
        chinese=("旋转90度", "逆时针旋转", "旋转-10度"),
    ),
    Topic(
        label='transparency (with shape "new")',
        meaning='Multiplies the alpha. It needs shape "new", since "keep" promises the alpha as it is.',
        examples=("Make it 50% transparent", "Opacity 30%", "Make it more transparent", "Fade it by 20%"),
        chinese=("透明度50%", "不透明度30%", "更透明", "淡化20%"),
    ),
)
