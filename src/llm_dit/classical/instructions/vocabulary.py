"""The words that the classical engine understands: one row for an effect and a direction.

The patterns are for lower-case text with single spaces; `rules.py` holds the English around them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Row:
    """The words for one effect in one direction; each of `verbs`, `adjectives`, `nouns` is a pattern, "" for none.

    "Verb it", "make it (more) adjective", "add/increase/more noun", and `phrases` as they stand with {it}.
    `step` > 0 marks a scale: the plain word multiplies by 1 + step, or divides when `down`. With `step` 0 the
    strength itself is the amount, and "less" means the effect named in `reverse`, if there is one.
    """

    effect: str
    verbs: str = ""
    adjectives: str = ""
    nouns: str = ""
    phrases: str = ""
    step: float = 0.0
    down: bool = False
    reverse: str = ""


ROWS = (
    Row(
        effect="cutout",
        verbs="cut out|isolate|extract",
        phrases="(?:remove|erase|delete|clear|drop|get rid of|take (?:away|off|out)|cut (?:out|away|off)|strip) "
        "(?:the |its |any |this )?(?:whole )?(?:back ?ground|backdrop)(?: (?:from|of|behind) {it})?"
        "|(?:make|turn) (?:the |its )?background (?:transparent|invisible)|transparent background"
        "|(?:give {it} |add )a transparent background|keep only the (?:subject|foreground)"
        "|(?:cut|take|clear|get) (?:the |its )?background (?:away|out|off)|no background"
        "|without (?:a |the |its )?background",
    ),
    Row(
        effect="brightness",
        verbs="brighten(?: up)?|lighten(?: up)?|light up|illuminate",
        adjectives="bright(?:er)?|light(?:er)?|luminous",
        nouns="brightness|luminosity|luminance|lightness|light",
        step=0.3,
    ),
    Row(
        effect="brightness",
        verbs="darken|dim",
        adjectives="dark(?:er)?|dim(?:mer)?",
        nouns="darkness",
        step=0.3,
        down=True,
    ),
    Row(effect="exposure", verbs="expose", adjectives="exposed", nouns="exposure", step=0.4),
    Row(effect="contrast", adjectives="contrast(?:y|ing|ed)", nouns="contrast", step=0.35),
    Row(
        effect="saturation",
        verbs="saturate",
        adjectives="saturated|colou?rful",
        nouns="(?:colou?r )?saturation|colou?r intensity|chroma",
        step=0.4,
    ),
    Row(effect="saturation", adjectives="dull(?:er)?|muted|subdued", verbs="mute|tone down", step=0.4, down=True),
    Row(effect="saturation", verbs="desaturate", adjectives="desaturated", step=1.5, down=True),
    Row(
        effect="vibrance",
        verbs="(?:enhance|boost|intensify) (?:the )?colou?rs(?: of| in)?",
        adjectives="vibrant|vivid|lively|livelier|punchy|punchier|intense|pop",
        nouns="vibrance|vibrancy|vividness|punch",
        step=0.5,
    ),
    Row(
        effect="warmth",
        verbs="warm(?: up)?",
        adjectives="warm(?:er)?|cosy|cosier|cozy|cozier|sunny|sunnier",
        nouns="warmth|(?:colou?r )?temperature",
        step=1.0,
    ),
    Row(
        effect="warmth",
        verbs="cool(?: down| off)?",
        adjectives="cool(?:er)?|cold(?:er)?|icy|icier|frosty",
        nouns="coolness|coldness",
        step=1.0,
        down=True,
    ),
    Row(
        effect="opacity",
        verbs="fade(?: out)?",
        adjectives="(?:semi-?)?transparent|translucent|see-through|sheer",
        nouns="transparency|translucency",
        step=1.0,
        down=True,
    ),
    Row(effect="opacity", adjectives="opaque|solid", nouns="opacity", step=1.0),
    Row(
        effect="blur",
        verbs="blur|soften|defocus",
        adjectives="blurr(?:y|ier|ed)|soft(?:er)?|out of focus|defocused",
        nouns="(?:gaussian |lens )?blur|blurriness|softness",
        reverse="sharpen",
    ),
    Row(
        effect="sharpen",
        verbs="sharpen(?: up)?|(?:enhance|bring out|emphasi[sz]e) the (?:fine )?details?(?: of| in)?",
        adjectives="sharp(?:er)?|crisp(?:er)?",
        nouns="sharpness|sharpening|crispness|clarity",
        reverse="blur",
    ),
    Row(
        effect="simplify",
        verbs="simplify|smooth(?:en)?(?: out)?|declutter"
        "|(?:reduce|remove|lower|lessen) (?:the )?(?:amount of )?(?:fine |small )?(?:visual )?"
        "(?:details?|texture|complexity)(?: of| in)?",
        adjectives="simple|simpler|simplified|less detailed|smooth(?:er)?|cleaner",
        nouns="simplification|smoothing",
        phrases="(?:use |with )?(?:less|fewer) details?(?: in {it})?",
    ),
    Row(
        effect="greyscale",
        adjectives="gr[ae]y-?scale|black-and-white|monochrom(?:e|atic)|colou?rless",
        nouns="gr[ae]y-?scale|black-and-white|monochrome",
        phrases="(?:remove|take out|drop|strip) (?:all )?(?:the |its )?colou?rs?(?: (?:from|of) {it})?"
        "|(?:change|turn|convert|set) (?:all )?(?:the |its )?colou?rs? (?:in)?to (?:black-and-white|gr[ae]y-?scale)",
    ),
    Row(
        effect="invert",
        verbs="invert|negate",
        adjectives="inverted|a? ?negative",
        nouns="(?:colou?r )?inversion",
        phrases="(?:invert|reverse) (?:all )?(?:the |its )?colou?rs(?: of {it})?",
    ),
    Row(effect="sepia", adjectives="sepia(?:[ -]toned)?", nouns="sepia(?:[ -]ton(?:e|ing))?"),
    Row(
        effect="vintage",
        adjectives="vintage|retro|old|older|old-fashioned|nostalgic|aged|antique"
        "|like (?:an? |it is )?(?:old|vintage|retro)(?: photo(?:graph)?| picture| film)?",
        nouns="vintage|retro|old[ -]photo|old[ -]film",
    ),
    Row(
        effect="sunset",
        adjectives="like (?:a |the |at )?(?:sunset|golden hour|dusk)",
        nouns="(?:soft |warm )?(?:sunset|golden[ -]hour)(?: (?:glow|light|lighting|colou?rs))?",
    ),
    Row(
        effect="shadow",
        verbs="shade|deepen the shadows(?: of| in)?|darken the shadows(?: of| in)?|(?:enhance|strengthen) the shadows",
        adjectives="shaded|shadowy",
        phrases="make the shadows (?:darker|deeper|stronger)",
        nouns="(?:deep |deeper |dark |darker )?shadows|shading",
    ),
    Row(effect="cast", nouns="drop[ -]?shadows?|(?:cast |falling |long )?shadow"),
    Row(
        effect="night",
        adjectives="(?:like )?(?:at |in the )?(?:night(?:[ -]?time)?|moonlight)|nocturnal|moonlit",
        nouns="night(?:[ -]?time)?|moonlight",
        phrases="(?:turn|change|convert|transform)(?: {it})? (?:from day )?(?:in)?to (?:the )?night(?:[ -]?time)?"
        "|(?:(?:turn|change|make) )?day (?:in)?to night",
    ),
    Row(effect="vignette", verbs="vignette", nouns="(?:dark )?vignette|vignetting"),
    Row(effect="grain", adjectives="grainy|grainier", nouns="(?:film )?grain"),
    Row(effect="posterize", verbs="posteri[sz]e", adjectives="posteri[sz]ed", nouns="posteri[sz]ation"),
    Row(
        effect="pixelate",
        verbs="pixelate|pixeli[sz]e",
        adjectives="pixelated|like pixel art",
        nouns="pixelation|pixel art",
    ),
    Row(
        effect="mirror",
        verbs="mirror|flip|flop",
        phrases="(?:flip|mirror|reflect|reverse)(?: {it})? (?P<word>horiz(?:ontal(?:ly)?)?|sideways|left to right)"
        "|(?:flip|mirror)(?: {it})? (?:along|on|around|about) the (?:vertical|y)[ -]axis",
    ),
    Row(
        effect="flip",
        phrases="(?:flip|mirror|reflect|reverse)(?: {it})? (?P<word>vert(?:ical(?:ly)?)?|top to bottom|up-down)"
        "|(?:flip|mirror)(?: {it})? (?:along|on|around|about) the (?:horizontal|x)[ -]axis",
    ),
    Row(
        effect="turn",
        phrases="(?:rotate|turn|spin|flip)(?: {it})? (?:by )?(?:180(?: ?°| degrees?)?|half a turn|a half turn)"
        "|(?:rotate|turn|spin|flip)(?: {it})? upside[ -]down"
        "|(?:put|make) {it} upside[ -]down|upside[ -]down",
    ),
    # What the page does itself.
    Row(
        effect="resize",
        verbs="enlarge|shrink|resize|re-?scale|scale(?: up| down)?|magnify",
        adjectives="big(?:ger)?|small(?:er)?|large(?:r)?|tiny|tinier|huge|taller|wider|narrower"
        "|double (?:the|its) size|half (?:the|its) size",
        phrases="(?:double|halve|change|increase|decrease|reduce) (?:the |its )?size(?: of {it})?"
        "|twice as (?:big|large)"
        "|half as (?:big|large)|(?:make )?(?:{it} )?(?:bigger|smaller|larger)",
        reverse="resize",
    ),
    Row(
        effect="move",
        verbs="move|cent(?:er|re)|nudge|reposition",
        phrases="(?:(?:move|shift|put|place|drag|nudge|push|slide|position|bring)(?: {it})?)?"
        "(?: ?(?:over|further|more|just|to|on|at|in|into|by|towards?|from|a))*(?: ?the)?"
        " ?(?:left|right|upwards?|downwards?|up|down|(?:top|bottom|upper|lower)(?:[ -](?:left|right))?"
        "|cent(?:er|re)|middle|corner)"
        "(?: (?:left|right|top|bottom))?(?: (?:side|corner|half|edge))?(?: (?:by )?[0-9]{1,4} ?(?:px|pixels?))?",
    ),
    Row(effect="hide", verbs="hide|show|unhide"),
    Row(effect="duplicate", verbs="duplicate|copy|clone"),
    Row(effect="undo", verbs="undo|revert"),
    Row(effect="delete", verbs="delete|erase|remove|trash|get rid of|take away|take out"),
)

TOOLS = frozenset({"resize", "move", "hide", "duplicate", "undo", "delete"})
"""What the page does with a layer, and no effect does."""

SCALES = frozenset(row.effect for row in ROWS if row.step)
