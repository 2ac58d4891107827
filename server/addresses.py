"""Addresses: which of them other machines reach, and how they stand in a URL and in a Host header."""

import ipaddress
import re
import socket

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,251}[a-z0-9])?")
PREFIX = re.compile(r"(?=.{1,200}\Z)(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")


def parse_ip(text: str) -> IPAddress | None:
    """Return an IP address, or None for a name; an IPv4 address in IPv6's clothes is taken as what it is."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def parse_network(text: object) -> Network:
    """Return an address, or a network such as 10.0.0.0/8, as a network; raises `ValueError`."""
    try:
        return ipaddress.ip_network(str(text).strip(), strict=False)
    except ValueError:
        raise ValueError("each must be an address or a network, such as 127.0.0.1 or 172.16.0.0/12") from None


def is_loopback(host: str) -> bool:
    """Say whether `host` is this machine's loopback address; of names only `localhost` is known."""
    address = parse_ip(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def is_any_address(host: str) -> bool:
    """Say whether listening on `host` means all addresses of this machine."""
    address = parse_ip(host)
    return host == "" if address is None else address.is_unspecified


def is_exposed(host: str) -> bool:
    """Say whether other machines reach what listens on `host`; a name counts by the addresses it stands for."""
    if is_any_address(host):
        return True
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False  # nothing can listen there
    return not all(is_loopback(str(address[4][0])) for address in found)


def host_name(text: str) -> str:
    """Return a name or an address as it stands in a Host header; raises `ValueError` when it is neither."""
    name = text.strip().lower()
    address = parse_ip(name.removeprefix("[").removesuffix("]"))
    if address is not None and not address.is_unspecified:
        return bracketed(str(address))
    if address is None and HOST_NAME.fullmatch(name):
        return name
    raise ValueError("each must be a name or an address without a port, such as studio.lan or 192.168.1.20, and no *")


def path_prefix(text: str) -> str:
    """Return a path that addresses begin with, without the slash at its end, "" for none; raises `ValueError`.

    It goes into pages, cookies and redirects: nothing that a browser could read as another host, a scheme or markup.
    """
    prefix = text.strip().removesuffix("/")
    if prefix and not PREFIX.fullmatch(prefix):
        raise ValueError("it must be a path such as /studio, of ASCII letters, digits, -, _, ~ and dots")
    return prefix


def bracketed(host: str) -> str:
    """Return a host as it stands in a URL: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host else host


def lan_address() -> str:
    """Return this machine's address on its network, or loopback when it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Connecting a datagram socket sends nothing; it only picks the interface that would be used.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def own_names() -> frozenset[str]:
    """Return the names by which a network may know this machine: its host name, alone and in mDNS."""
    name = socket.gethostname().lower()
    return frozenset({name, f"{name.partition('.')[0]}.local"})
