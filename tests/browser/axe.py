"""axe-core over the page as it is, from node_modules, which `make node` fills."""

from typing import Any

from playwright.sync_api import Page

from tests.kit.forks import ROOT

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OF_COLORS = ["color-contrast"]
RUN = """
async ([runOnly, scope]) => {
  // What still moves is looked at where it ends.
  for (const one of document.getAnimations()) if (one.effect.getTiming().iterations === 1) one.finish();
  // Only what is wrong is told, and no style sheet is fetched once more.
  const { violations } = await axe.run(scope, { runOnly, resultTypes: ["violations"], preload: false });
  const places = (nodes) => nodes.map(({ html }) => html.slice(0, 200));
  return violations.map(({ id, impact, nodes }) => ({ id, impact, where: places(nodes) }));
}
"""


def violations(page: Page, scope: str, rules: list[str]) -> list[dict[str, Any]]:
    """Return what axe finds serious or critical in the elements `scope`, by `RULES` or by those `OF_COLORS` alone.

    The page's context must bypass the content security policy.
    """
    if not page.evaluate("() => 'axe' in window"):
        page.add_script_tag(path=AXE)
    found = page.evaluate(RUN, [rules, scope])
    return [one for one in found if one["impact"] in ("serious", "critical")]
