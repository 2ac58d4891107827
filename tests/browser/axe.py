"""axe-core over the page as it is, from node_modules, which `make node` fills."""

from typing import Any

from playwright.sync_api import Page

from tests.conftest import ROOT

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN = """
async ([tags, scope]) => {
  await Promise.all(document.getAnimations().filter((one) => one.effect.getTiming().iterations === 1)
    .map((one) => one.finished.catch(() => 0)));
  const { violations } = await axe.run(scope, { runOnly: tags });
  const places = (nodes) => nodes.map(({ html }) => html.slice(0, 200));
  return violations.map(({ id, impact, nodes }) => ({ id, impact, where: places(nodes) }));
}
"""


def violations(page: Page, scope: str = "html") -> list[dict[str, Any]]:
    """Return what axe finds serious or critical in the element `scope`.

    The page's context must bypass the content security policy.
    """
    if not page.evaluate("() => 'axe' in window"):
        page.add_script_tag(path=AXE)
    return [found for found in page.evaluate(RUN, [RULES, scope]) if found["impact"] in ("serious", "critical")]
