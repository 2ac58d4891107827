"""Which addresses other machines reach."""

import pytest

from server.settings import host_name
from web.door.hosts import is_any_address, is_exposed, is_loopback


@pytest.mark.parametrize(
    ("host", "loopback", "everything", "exposed"),
    [
        ("127.0.0.1", True, False, False),
        ("127.9.9.9", True, False, False),
        ("::1", True, False, False),
        ("::ffff:127.0.0.1", True, False, False),
        ("localhost", True, False, False),
        ("0.0.0.0", False, True, True),
        ("::", False, True, True),
        ("", False, True, True),
        ("192.168.1.20", False, False, True),
        ("fe80::1%1", False, False, True),
        ("::ffff:192.168.1.20", False, False, True),
    ],
)
def test_what_an_address_means(host: str, loopback: bool, everything: bool, exposed: bool) -> None:
    assert (is_loopback(host), is_any_address(host), is_exposed(host)) == (loopback, everything, exposed)


def test_names_as_they_stand_in_a_host_header() -> None:
    given = ["Studio.LAN", " 10.0.0.1 ", "::1", "[::1]", "FD00:0::7", "nas_2"]
    assert [host_name(name) for name in given] == ["studio.lan", "10.0.0.1", "[::1]", "[::1]", "[fd00::7]", "nas_2"]
