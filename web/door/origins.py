"""What a browser sends on behalf of other sites; programs such as curl send none of these headers.

Rules as in Fetch Metadata's resource isolation policy (https://web.dev/articles/fetch-metadata), for which a sister
site, another port of the same machine say, is as foreign as any.
"""

from starlette.datastructures import Headers
from starlette.types import Scope

READING = {"GET", "HEAD", "OPTIONS"}
OWN = {"same-origin", "none"}


def is_foreign(scope: Scope) -> bool:
    """Say whether another site's page wants this, unless somebody only follows a link to here."""
    headers = Headers(scope=scope)
    foreign = not OWN.issuperset(headers.getlist("sec-fetch-site"))
    if scope["method"] in READING:
        return foreign and not _is_visit(headers)
    host = headers.get("host", "").lower()
    own = {f"http://{host}", f"https://{host}"}  # behind a proxy the scheme may not be known
    origins = headers.getlist("origin")
    return foreign or len(origins) > 1 or any(origin.lower() not in own for origin in origins)


def _is_visit(headers: Headers) -> bool:
    return headers.getlist("sec-fetch-mode") == ["navigate"] and headers.getlist("sec-fetch-dest") == ["document"]
