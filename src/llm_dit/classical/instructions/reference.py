"""What the classical engine can do, in the user's words: the source of its error message and `docs/instructions.md`."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Topic:
    """One line of the reference: what it is called in the list of what can be done, what it does, and examples."""

    label: str
    meaning: str
    examples: tuple[str, ...]


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
    ),
    Topic(
        label="change one color into another",
        meaning="Recolors only what has the first color.",
        examples=("Change the red parts to blue", "Make the red blue", "Replace white with yellow"),
    ),
    Topic(
        label="tint",
        meaning="Leans all colors towards one, or away from it.",
        examples=("Tint it purple", "Make it more blue", "Add a green tint", "Make it less red"),
    ),
    Topic(
        label="brightness",
        meaning="Moves lightness; black stays nearly black and white stays white when it brightens.",
        examples=("Make it brighter", "Make it darker", "Not so bright", "Make it twice as bright", "It is too dark"),
    ),
    Topic(
        label="exposure",
        meaning="Multiplies the light, as a camera does; highlights roll off.",
        examples=("Increase the exposure", "Reduce the exposure by 1 stop"),
    ),
    Topic(
        label="contrast",
        meaning="Spreads lightness around the layer's own middle, or draws it together.",
        examples=("Increase the contrast", "Reduce the contrast by 30%", "More contrast"),
    ),
    Topic(
        label="saturation",
        meaning="Multiplies the strength of all colors.",
        examples=("Make it more saturated", "Make it less saturated", "Saturation 50%", "Mute the colors"),
    ),
    Topic(
        label="vibrance",
        meaning="Strengthens pale colors more than strong ones.",
        examples=("Make it more vibrant", "Make the colors pop", "Less vibrant"),
    ),
    Topic(
        label="warmth",
        meaning="Shifts the white balance towards amber or towards blue.",
        examples=("Make it warmer", "Cool it down", "A bit colder"),
    ),
    Topic(
        label="hue",
        meaning="Turns every hue round the color wheel; 30° without a number.",
        examples=("Shift the hue by 90 degrees", "Rotate the hue by -45°", "Shift the hue"),
    ),
    Topic(
        label="glow",
        meaning="Bright parts bloom in light of the named color; a sunset adds rose shade and low golden light. "
        'With shape "new" the light also reaches past the edge.',
        examples=("Add a warm glow", "Add a sunset glow effect", "Add a soft blue glow", "Make it glow"),
    ),
    Topic(
        label="shadows",
        meaning='Deepens the dark tones and shades the lower right edge. With shape "new" it casts a soft shadow.',
        examples=("Add shadows", "Add a soft drop shadow", "Deepen the shadows"),
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
    ),
    Topic(
        label="blur and sharpen",
        meaning='Softens or crispens, without a dark rim at the edge. With shape "new" a blur softens the edge too.',
        examples=("Blur it a little", "Blur it by 8 pixels", "Sharpen it", "Less blurry"),
    ),
    Topic(
        label="simplify the details",
        meaning="Smooths texture and small things away and keeps the large edges.",
        examples=("Simplify the details", "Smooth it out", "Pixelate it"),
    ),
    Topic(
        label="remove the background",
        meaning='Finds the subject. What lies around it becomes white with shape "keep", transparent with shape "new". '
        "A layer that is cut out already, or in which nothing stands out, stays as it is.",
        examples=("Remove the background", "Cut out the subject"),
    ),
    Topic(
        label="flip and turn by 180°",
        meaning='Turns the layer in its place. With shape "keep" the colors turn inside the outline as it is.',
        examples=("Flip it horizontally", "Flip it vertically", "Mirror it", "Rotate it by 180 degrees"),
    ),
    Topic(
        label='transparency (with shape "new")',
        meaning='Multiplies the alpha. It needs shape "new", since "keep" promises the alpha as it is.',
        examples=("Make it 50% transparent", "Opacity 30%", "Make it more transparent", "Fade it by 20%"),
    ),
)
