"""The page below a path of its host, behind a proxy that takes the path off."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.studio import Studio
from tests.kit.proxy import proxied
from tests.kit.service import Service


def test_the_page_works_below_a_path(open_studio: Callable[..., Studio], service: Service, picture: Path) -> None:
    with proxied(service.url, "/tools/studio") as url:
        studio = open_studio(at=dataclasses.replace(service, url=url))
        studio.choose(picture)
        studio.decompose(layers=2)
        studio.wait_until_saved()
        assert "/tools/studio/p/" in studio.page.url
        studio.page.reload()
        expect(studio.rows).to_have_count(2)
        studio.wait_for_paint()
        studio.page.locator(".brand").click()
        expect(studio.page.get_by_text("Split a picture into layers")).to_be_visible()
