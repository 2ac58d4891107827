"""Who a client is, for the list of its jobs and for its turn in the queue."""

from fastapi import Request


def client_of(request: Request) -> str:
    """Return who sends a request."""
    return f"address:{request.client.host if request.client else ''}"
