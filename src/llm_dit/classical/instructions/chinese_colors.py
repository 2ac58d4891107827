"""What the colors of `colors.py` are called in Chinese, those of CSS by their usual translation, with 色 left out."""

_ONE_EACH = """
aliceblue 爱丽丝蓝|antiquewhite 古董白|aqua 水绿|aquamarine 碧绿,海蓝宝石|azure 天青,蔚蓝|beige 米,米黄|
bisque 陶坯黄|black 黑|blanchedalmond 杏仁白|blue 蓝|blueviolet 蓝紫|brown 棕,褐,咖啡,咖|burlywood 硬木|
cadetblue 军服蓝|chartreuse 查特酒绿|chocolate 巧克力|coral 珊瑚,珊瑚红|cornflowerblue 矢车菊蓝|cornsilk 玉米丝|
crimson 绯红,深红玫瑰|cyan 青|darkblue 深蓝,暗蓝|darkcyan 深青,暗青|darkgoldenrod 暗金菊|darkgray 深灰,暗灰|
darkgrey 深灰,暗灰|darkgreen 深绿,暗绿,墨绿|darkkhaki 暗卡其|darkmagenta 深品红,暗洋红|
darkolivegreen 深橄榄绿,暗橄榄绿|darkorange 深橙,暗橙|darkorchid 深兰紫,暗兰紫|darkred 深红,暗红|
darksalmon 深鲑红,暗鲑红|darkseagreen 深海绿,暗海绿|darkslateblue 深岩蓝,暗岩蓝|darkslategray 深岩灰,暗岩灰|
darkslategrey 深岩灰,暗岩灰|darkturquoise 深绿松石,暗绿松石|darkviolet 深紫罗兰,暗紫罗兰|deeppink 深粉,深粉红|
deepskyblue 深天蓝|dimgray 昏灰|dimgrey 昏灰|dodgerblue 道奇蓝|firebrick 砖红,耐火砖|floralwhite 花卉白|
forestgreen 森林绿|fuchsia 紫红|gainsboro 庚斯博罗灰|ghostwhite 幽灵白|gold 金,金黄|goldenrod 金菊|gray 灰|
grey 灰|green 绿|greenyellow 绿黄,黄绿荧光|honeydew 蜜瓜绿|hotpink 暖粉,热粉,亮粉红|indianred 印度红|
indigo 靛,靛蓝,靛青|ivory 象牙,象牙白|khaki 卡其|lavender 薰衣草|lavenderblush 薰衣草紫红|lawngreen 草坪绿,草绿|
lemonchiffon 柠檬绸|lightblue 浅蓝,淡蓝|lightcoral 浅珊瑚,淡珊瑚|lightcyan 浅青,淡青|
lightgoldenrodyellow 浅金菊黄|lightgray 浅灰,淡灰|lightgrey 浅灰,淡灰|lightgreen 浅绿,淡绿|
lightpink 浅粉,浅粉红,淡粉|lightsalmon 浅鲑红,淡鲑红|lightseagreen 浅海绿,淡海绿|lightskyblue 浅天蓝,淡天蓝|
lightslategray 浅岩灰,淡岩灰|lightslategrey 浅岩灰,淡岩灰|lightsteelblue 浅钢蓝,淡钢蓝|lightyellow 浅黄,淡黄|
lime 亮绿,莱姆绿|limegreen 酸橙绿,青柠|linen 亚麻|magenta 品红,洋红|maroon 栗|mediumaquamarine 中碧绿|
mediumblue 中蓝|mediumorchid 中兰紫|mediumpurple 中紫|mediumseagreen 中海绿|mediumslateblue 中岩蓝|
mediumspringgreen 中春绿|mediumturquoise 中绿松石|mediumvioletred 中紫红|midnightblue 午夜蓝|mintcream 薄荷奶油|
mistyrose 雾玫瑰|moccasin 鹿皮鞋|navajowhite 那瓦霍白|navy 海军蓝,藏青|oldlace 旧蕾丝|olive 橄榄|
olivedrab 橄榄军绿,军绿|orange 橙,橘,橘黄,橙黄|orangered 橙红,橘红|orchid 兰花紫,兰紫|palegoldenrod 苍金菊|
palegreen 苍绿|paleturquoise 苍绿松石|palevioletred 苍紫罗兰红|papayawhip 木瓜|peachpuff 粉扑桃|peru 秘鲁|
pink 粉,粉红|plum 李子,梅|powderblue 粉蓝,婴儿蓝|purple 紫|rebeccapurple 丽贝卡紫|red 红,大红|rosybrown 玫瑰褐|
royalblue 皇家蓝,宝蓝|saddlebrown 马鞍棕|salmon 鲑红,三文鱼|sandybrown 沙褐,沙棕|seagreen 海绿|seashell 海贝|
sienna 赭黄|silver 银,银白|skyblue 天蓝|slateblue 岩蓝|slategray 岩灰|slategrey 岩灰|springgreen 春绿|
steelblue 钢蓝|tan 棕褐,日晒|teal 蓝绿,水鸭,凫蓝|thistle 蓟|tomato 番茄,番茄红|turquoise 绿松石,青绿|
violet 紫罗兰|wheat 小麦|white 白,纯白,雪白,雪白|whitesmoke 烟白|yellow 黄|yellowgreen 黄绿|amber 琥珀|
apricot 杏,杏黄|burgundy 酒红,勃艮第红|charcoal 炭灰,炭黑|copper 紫铜|cream 奶油,奶白|emerald 祖母绿,翡翠绿|
golden 金灿灿|jade 玉,翠绿|lilac 丁香,丁香紫|mauve 木槿紫|mint 薄荷,薄荷绿|mustard 芥末,芥末黄|
navy blue 深海军蓝|ochre 赭石,土黄|peach 桃,蜜桃|rose 玫瑰,玫红|ruby 宝石红|rust 铁锈,锈红|sapphire 蓝宝石|
scarlet 猩红,朱红|terracotta 陶土,赤陶
"""

CHINESE_COLORS: dict[str, str] = {
    word: name
    for name, _, words in (entry.strip().rpartition(" ") for entry in _ONE_EACH.replace("\n", "").split("|"))
    for word in reversed(words.split(","))
}
"""The English name for each Chinese one; where English has two for one color, either."""

CHINESE_MODIFIERS = {
    "浅": "light", "淡": "pale", "深": "dark", "暗": "dark", "亮": "bright", "鲜": "vivid", "粉彩": "pastel",
    "柔": "muted", "灰调": "dull", "浓": "deep",
}  # fmt: skip
