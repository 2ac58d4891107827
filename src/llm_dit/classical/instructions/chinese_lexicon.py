"""The Chinese words for what `vocabulary.py` and `lexicon.py` have in English: no grammar."""

from typing import Literal

_COLOR_NAMES = """
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
    for name, _, words in (entry.strip().rpartition(" ") for entry in _COLOR_NAMES.replace("\n", "").split("|"))
    for word in reversed(words.split(","))
}
"""The English name for each Chinese one; where English has two for one color, either."""

_SHADES = {
    "浅": "light", "淡": "pale", "深": "dark", "暗": "dark", "亮": "bright", "鲜": "vivid", "粉彩": "pastel",
    "柔": "muted", "灰调": "dull", "浓": "deep",
}  # fmt: skip


Kind = Literal[
    "drop", "to", "make", "up", "down", "add", "remove", "verb", "adjective", "noun", "color", "shade", "name",
    "strength", "more", "less", "too", "enough", "not", "of", "part", "but", "keep", "others", "from", "till", "turn",
    "tool", "way", "width", "metal", "and", "shift", "every", "lean", "number", "unknown",
]  # fmt: skip
"""What a word does in a clause."""

# By what a word does and its English, the Chinese for it.
_WORDS: dict[tuple[Kind, str], str] = {
    ("drop", ""): (
        "把 将 给 让 使 令 对 请 请你 请帮 请帮我 帮 帮我 帮忙 麻烦 麻烦你 谢谢 谢谢你 谢了 谢啦 感谢 可以 "
        "可不可以 可否 能不能 能否 你 你能 我 我想 我想要 我要 想 想要 希望 要 了 吧 呢 啊 呀 哦 嘛 吗 哈 啦 哟 "
        "嗯 那么 一下 一下子 个 一个 一层 一道 一圈 一条 一种 一抹 种 这 那 看 看上去 看起来 显得 起来 感觉 样子 "
        "的样子 一样 似的 像 好像 地 得 就 就行 好吗 行吗 拜托 亲 效果 风格 滤镜 处理 模式 整体 现在 先 首先 最后 可 "
        "来 来点 去 进行 做个 有 有点 是 成分 上面 上 下面 里 里面 全都 都 全 周围 四周 旁边 外面 外 面 些许的 "
        "这里 那里 直接 简单地 用 请把 程度 棵 辆 只 朵 件 顶 座 艘 位 片"
    ),
    ("to", "to"): (
        "改成 改为 变成 变为 换成 换为 涂成 染成 刷成 调成 调为 设为 设成 弄成 做成 转成 转为 转换成 转换为 "
        "替换成 替换为 搞成 漆成 处理成 制成 涂 成 填充为 填成 换作 变作 改作 改到 设置为 设定为 替换 换 变到 P成 "
        "p成 转变为 转变成 刷 染 涂上 化成"
    ),
    ("make", "make"): "变 变得 变的 调 调得 弄 弄得 搞 搞得 做 做得 调整得 调整 改 修改 改变 更改",
    ("up", "increase"): "提高 增加 加强 增强 提升 加大 调高 增大 强化 拉高 加重",
    ("down", "decrease"): "降低 减少 减弱 减小 调低 削弱 压低 拉低 减轻 下调 调小",
    ("add", "add"): "加 添加 加上 加个 加一个 加入 添上 来个 来一个 增添 应用 套用 打上 打 添 加一层 加一圈 加一道",
    ("remove", "remove"): (
        "去掉 去除 移除 除去 抹掉 清除 消除 擦除 擦掉 拿掉 删除 删掉 删了 删 去 抠掉 移走 扔掉 清掉"
    ),
    ("of", ""): "的",
    ("part", "parts"): "部分 地方 区域 那部分 那块 那些 东西 那个 的那个 一块",
    ("every", ""): "所有 全部 一切 整个 整张 整幅",
    ("more", "more"): "更 更加 再 更多 多 多一点 多一些 越",
    ("less", "less"): "不那么 没那么 少 少一点 少一些 别那么 不要那么",
    ("too", "too"): "太 过于 过 太过",
    ("enough", ""): "不够 不太够",
    ("not", "not"): "不要 别 不许 不用 不能 不 没有 无 勿 禁止",
    ("but", "except"): "除了 除 除去了 除开",
    ("keep", "keep only"): "只保留 仅保留 保留 只留 只留下 留下 只有 单独保留",
    ("others", ""): "以外 之外 外的 其他 其它 其余 别的 以外的 之外的 其他的 其余的 别的都",
    ("from", "from"): "从 由",
    ("till", "to"): "到 至 过渡到 渐变到 变化到",
    ("and", "and"): "和 与 跟 及 也",
    ("strength", "a little"): (
        "一点 一点点 一点儿 一些 些 点 稍微 略微 稍 略 轻微 轻轻 微微 少许 轻度 微 有些 柔和的 淡淡的"
    ),
    ("strength", "very slightly"): "极轻微 极少",
    ("strength", "quite"): "比较 相当 明显 明显地 较",
    ("strength", "much"): "很 非常 特别 大幅 大幅度 大大 强烈 许多 很多 十分 得多 显著 强 重度 多多",
    ("strength", "extremely"): "极 极其 极度 超 超级 最大程度",
    ("strength", "completely"): "完全 彻底 全然",
    ("strength", "by half"): "一半",
    ("strength", "twice"): "两倍 一倍 加倍",
    # Names of things. "It" is the layer itself.
    ("name", "it"): (
        "它 这个图层 图层 图片 图像 照片 画面 整张图 整个画面 整张图片 整个图层 这张图 这张图片 这张照片 这个 "
        "全图 图 此图层 本图层 该图层"
    ),
    ("name", "the background"): "背景 背景色 背景颜色 后景 底图",
    ("name", "the subject"): "主体 前景 人物 物体 对象 主角 人像 主题",
    ("name", "the man"): "男人 男士 男子",
    ("name", "the woman"): "女人 女士 女子",
    ("name", "the person"): "人 他 她 小人",
    ("name", "the boy"): "男孩 小男孩",
    ("name", "the girl"): "女孩 小女孩",
    ("name", "the child"): "孩子 小孩 儿童 宝宝",
    ("name", "the letters"): "文字 字 字母 字体 文本 标题 标语 字样 大字 题字 文案",
    ("name", "the jacket"): "外套 夹克 大衣 上衣 衬衫 衬衣 毛衣 T恤 t恤 卫衣 马甲 西装外套 开衫",
    ("name", "the trousers"): "裤子 长裤 牛仔裤 短裤 短裙 半身裙 半裙",
    ("name", "the dress"): "裙子 连衣裙 衣服 衣裳 服装 礼服 长裙 制服 长袍 和服 西装 套装",
    ("name", "the hat"): "帽子 帽 头盔 便帽",
    ("name", "the shoes"): "鞋子 鞋 靴子 袜子 运动鞋",
    ("name", "the sky"): "天空 天 蓝天",
    ("name", "the grass"): "草地 草 草坪 叶子 树叶 草丛 绿叶 绿植",
    ("name", "the water"): "水 海 大海 海水 湖 湖水 河 河水 水面 海面",
    ("name", "the sun"): "太阳",
    ("name", "the fire"): "火 火焰 火苗",
    ("name", "the snow"): "雪 积雪",
    ("name", "the lips"): "嘴唇 唇 口红",
    ("name", "the roof"): "屋顶 房顶 车顶",
    ("name", "the door"): "门 大门 车门",
    ("name", "the window"): "窗户 窗 窗子",
    ("name", "the wall"): "墙 墙壁 墙面",
    ("name", "the floor"): "地板 地面",
    ("name", "the wheel"): "轮子 车轮 轮胎",
    ("name", "the eye"): "眼睛 眼 双眼",
    ("name", "the nose"): "鼻子",
    ("name", "the mouth"): "嘴 嘴巴",
    ("name", "the ear"): "耳朵",
    ("name", "the face"): "脸 面部 脸部 皮肤 肤色",
    ("name", "the hair"): "头发 发色 毛发 胡子",
    ("name", "the hand"): "手 手臂 胳膊 手指",
    ("name", "the leg"): "腿 脚",
    ("name", "the head"): "头 头部",
    ("name", "the body"): "身体 身子",
    ("name", "the tail"): "尾巴",
    ("name", "the wing"): "翅膀",
    ("name", "the glasses"): "眼镜",
    ("name", "the scarf"): "围巾 领带 手套 腰带",
    ("name", "the cloud"): "云 云朵 白云",
    ("name", "the moon"): "月亮 星星 星",
    ("name", "the road"): "路 道路 马路 小路",
    ("name", "the house"): "房子 房屋 屋子 小屋",
    ("name", "the building"): "建筑 大楼 楼 高楼 楼房 城堡 塔",
    ("name", "the car"): "车 汽车 轿车 小车 车子 卡车 公交车 自行车",
    ("name", "the boat"): "船 小船 飞机 火车 轮船",
    ("name", "the tree"): "树 大树 树木 树林 森林",
    ("name", "the flower"): "花 花朵 玫瑰花 鲜花",
    ("name", "the mountain"): "山 大山 山坡 沙滩 海滩 田野",
    ("name", "the cat"): "猫 小猫 猫咪",
    ("name", "the dog"): "狗 小狗 狗狗",
    ("name", "the bird"): "鸟 小鸟 鱼 马 兔子 熊 动物",
    ("name", "the balloon"): "气球 球",
    ("name", "the cup"): "杯子 杯 瓶子 碗 盘子 花瓶",
    ("name", "the box"): "盒子 箱子 包 袋子",
    ("name", "the chair"): "椅子 桌子 床 沙发 灯",
    ("name", "the sign"): "牌子 招牌 标志 图标 徽章 旗子 卡片 海报",
    ("name", "the heart"): "心 爱心 圆 圆形 方块 三角形 箭头 形状",
    ("name", "the apple"): "苹果 橙子 蛋糕 面包 水果 南瓜",
    # Verbs, adjectives and nouns of effects.
    ("verb", "brighten"): "提亮 加亮 增亮 点亮 调亮 打亮 照亮",
    ("verb", "darken"): "调暗 压暗 弄暗",
    ("adjective", "brighter"): "亮 变亮 明亮 光亮 变得明亮",
    ("adjective", "darker"): "暗 变暗 昏暗 深色",
    ("noun", "brightness"): "亮度 明度 明亮度 光线",
    ("noun", "exposure"): "曝光 曝光度 曝光量",
    ("noun", "contrast"): "对比度 对比 反差",
    ("noun", "saturation"): "饱和度 色彩饱和度 彩度",
    ("adjective", "saturated"): "饱和",
    ("adjective", "muted"): "黯淡 暗淡 素雅 低调",
    ("verb", "desaturate"): "去饱和 褪色",
    ("adjective", "vibrant"): "鲜艳 鲜明 生动 活泼 艳丽 鲜亮 亮丽",
    ("noun", "vibrance"): "鲜艳度 自然饱和度",
    ("adjective", "warmer"): "暖 温暖 暖色 暖和 变暖 暖色调 温馨",
    ("noun", "warmth"): "色温 暖度",
    ("adjective", "cooler"): "冷 冷色 凉 变冷 冷色调 清冷 寒冷 冰冷",
    ("adjective", "transparent"): "透明",
    ("adjective", "half transparent"): "半透明",
    ("verb", "fade"): "淡出 淡化",
    ("noun", "transparency"): "透明度",
    ("noun", "opacity"): "不透明度",
    ("adjective", "opaque"): "不透明",
    ("verb", "blur"): "模糊 虚化 柔化 糊化 虚 糊",
    ("adjective", "blurry"): "朦胧 变模糊 模糊一些的",
    ("noun", "blur"): "模糊度 模糊效果 高斯模糊",
    ("verb", "sharpen"): "锐化",
    ("adjective", "sharper"): "锐利 清晰 清楚 变清晰",
    ("noun", "sharpness"): "锐度 清晰度",
    ("verb", "simplify"): "简化 简化细节",
    ("verb", "smooth"): "平滑 磨平 抹平 磨皮",
    ("adjective", "simpler"): "简单 简洁",
    ("noun", "details"): "细节",
    ("adjective", "black-and-white"): "黑白 灰度 单色 黑白色 黑白照片 黑白照 黑白化 灰阶",
    ("verb", "remove the colors of"): "去色 去掉颜色 去除颜色",
    ("verb", "invert"): "反相 反色 反转颜色 颜色反转 反转色彩 负片",
    ("adjective", "sepia"): "棕褐色调 怀旧色 乌贼墨 棕褐色滤镜 深褐色调",
    ("adjective", "vintage"): "复古 怀旧 老照片 旧 做旧 老旧 年代感 旧照片",
    ("noun", "sunset glow"): "夕阳 日落 黄昏 夕阳光 落日 晚霞 黄金时刻 夕阳光晕",
    ("noun", "shadows"): "阴影 暗影 暗部",
    ("verb", "deepen the shadows of"): "加深阴影 压暗阴影",
    ("noun", "drop shadow"): "投影 落影 影子 投射阴影 外阴影",
    ("adjective", "like night"): "夜晚 夜景 晚上 黑夜 夜间 夜 夜色 月夜 深夜 夜里",
    ("noun", "vignette"): "暗角 晕影",
    ("noun", "film grain"): "颗粒 胶片颗粒 噪点 颗粒感 胶片感",
    ("verb", "posterize"): "色调分离 海报化 色彩分离",
    ("verb", "pixelate"): "像素化 马赛克 打马赛克 打码 像素风 像素画",
    ("verb", "cut out"): "抠图 抠出 抠出来 抠像 抠",
    ("verb", "remove the background of"): "去背景 去底 去除背景 去掉背景 删除背景 移除背景 删掉背景 清除背景",
    ("verb", "horizontal flip"): "水平翻转 左右翻转 镜像 水平镜像 左右镜像 左右颠倒 左右对调 翻转",
    ("verb", "vertical flip"): "垂直翻转 上下翻转 竖直翻转 垂直镜像",
    ("verb", "half a turn"): "倒过来 颠倒 上下颠倒 倒置 颠倒过来",
    ("turn", "rotate"): "旋转 转 转动 旋 倾斜",
    ("way", "clockwise"): "顺时针 向右转 往右转",
    ("way", "counterclockwise"): "逆时针 向左转 往左转",
    ("way", "horizontal"): "横向 水平 从左到右 左右",
    ("way", "vertical"): "纵向 竖向 垂直 从上到下 上下",
    ("way", "diagonal"): "对角 对角线 斜向",
    ("noun", "hue"): "色相",
    ("shift", "shift"): "偏移 移动色相 转换",
    ("noun", "tint"): "色调 调子 色彩倾向 色偏",
    ("lean", "tint"): "偏 带点 泛 略带 染上",
    ("noun", "glow"): "光晕 发光 辉光 外发光 光芒 光 柔光 光效 光环",
    ("adjective", "warm light"): "暖光 暖阳",
    ("adjective", "cool light"): "冷光",
    ("noun", "outline"): "描边 轮廓线 轮廓 边框 勾边 边线 外框 外描边 边",
    ("width", "thin"): "细 窄",
    ("width", "thick"): "粗 厚 宽",
    ("noun", "gradient"): "渐变 渐变色 渐变效果 过渡色",
    ("metal", "gold"): "黄金 金子 镀金 烫金 鎏金 金箔 纯金 黄金质感 金属金",
    ("metal", "silver"): "白银 镀银 银子 烫银",
    ("metal", "bronze"): "青铜 古铜",
    ("metal", "copper"): "铜 黄铜",
    ("metal", ""): "金属质感 金属感 金属 质感 材质",
    ("noun", "color"): "颜色 色彩 配色",
    # What the page does itself.
    ("tool", "make {it} bigger"): "放大 变大 大一点 大一些 大点 大 扩大 更大 拉大 加宽 加高 改变大小 调整大小 调大小",
    ("tool", "make {it} smaller"): "缩小 变小 小一点 小一些 小点 小 更小",
    ("tool", "move {it} left"): (
        "左移 往左移 向左移 移到左边 往左 向左 左边 左 往左移动 向左移动 靠左 移到左侧 挪到左边 往左挪"
    ),
    ("tool", "move {it} right"): (
        "右移 往右移 向右移 移到右边 往右 向右 右边 右 往右移动 向右移动 靠右 移到右侧 挪到右边 往右挪"
    ),
    ("tool", "move {it} up"): "上移 往上移 向上移 移到上面 往上 向上 往上移动 向上移动 移到顶部 往上挪 移到上方",
    ("tool", "move {it} down"): "下移 往下移 向下移 移到下面 往下 向下 往下移动 向下移动 移到底部 往下挪 移到下方",
    ("tool", "center {it}"): "居中 移到中间 放中间 放到中间 移到中央",
    ("tool", "move {it}"): "移动 挪 挪动 移 移到 挪到 放到 右上角 左上角 右下角 左下角 角落 顶部 底部 中间 上方 下方",
    ("tool", "hide {it}"): "隐藏 藏起来 显示",
    ("tool", "duplicate {it}"): "复制 复制一份 拷贝 再来一个",
    ("tool", "undo {it}"): "撤销 还原 恢复 取消修改 恢复原样",
}  # fmt: skip


def _all() -> dict[str, tuple[Kind, str]]:
    words: dict[str, tuple[Kind, str]] = {}
    for name, english in _SHADES.items():
        words[name] = ("shade", english)
    for name, english in CHINESE_COLORS.items():
        words[f"{name}色"] = ("color", english)
        words[name] = ("color", english)
    for meaning, chinese in _WORDS.items():
        for word in chinese.split():
            words.setdefault(word, meaning)
    return words


LEXICON = _all()
"""What each Chinese word does, and its English."""
LONGEST = max(map(len, LEXICON))
