/**
 * What people ask of an engine that the page itself does. An instruction that the engine does not take is answered with
 * where the tool is.
 */

const TOOLS = /** @type {const} */ ([
  ["rotate", /\b(rotat\w*|turn (it |this |the \w+ )?(around|upside|left|right|by|\d)|tilt\w*|upside[- ]down)\b|旋转|转动|倾斜/i],
  ["flip", /\b(flip\w*|mirror\w*)\b|翻转|镜像/i],
  ["size", /\b(bigger|larger|smaller|tinier|enlarge\w*|shrink\w*|resiz\w*|scal(e|ed|ing)|(double|half) (the|its) size|twice as (big|large))\b|放大|缩小|变大|变小|大一点|小一点/i],
  ["move", /\b(move|shift|place|put|drag|position|nudge|center|centre)\b|移动|移到|居中|放到/i],
  ["delete", /\b(delet\w*|erase\w*|remove (it|this|the layer|the \w+)|get rid of|take (it|this) away)\b|删除|去掉|移除/i],
  ["hide", /\b(hide|show) (it|this|the layer)\b|隐藏/i],
]);

/** @param {string} instruction @returns {typeof TOOLS[number][0] | null} */
export const toolFor = (instruction) => TOOLS.find(([, words]) => words.test(instruction))?.[0] ?? null;
