"""OpenAI's client behind connections that break: each request is run once, and none is lost."""

import base64
import contextlib
import io
import random
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from openai import OpenAI
from PIL import Image

from tests.kit.pictures import png, square
from tests.kit.service import Service
from tests.kit.waiting import PATIENCE_S

REQUESTS = 40
PIECE = 512
CUT_SHARE = 0.6
MOST_BYTES = 4000
"""A request and its answer have about 3,000."""


@contextlib.contextmanager
def cutting(url: str, seed: int) -> Iterator[str]:
    """Yield the address of a proxy that cuts most connections in the middle, in either direction."""
    service = urlsplit(url)
    drawn, lock = random.Random(seed), threading.Lock()

    def carry(client: socket.socket) -> None:
        with lock:
            left = drawn.randrange(MOST_BYTES) if drawn.random() < CUT_SHARE else None
        count = 0

        def pump(source: socket.socket, target: socket.socket) -> None:
            nonlocal count
            with contextlib.suppress(OSError):
                while piece := source.recv(PIECE):
                    count += len(piece)
                    if left is not None and count > left:
                        break
                    target.sendall(piece)
            for end in (source, target):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

        with client, socket.create_connection((str(service.hostname), service.port or 80)) as upstream:
            back = threading.Thread(target=pump, args=(upstream, client), daemon=True)
            back.start()
            pump(client, upstream)
            back.join()

    def accept(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=carry, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def taken(service: Service) -> float:
    lines = service.get("/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("llm_dit_jobs_taken_total{"))


def test_each_request_is_run_once(stepping_service: Service) -> None:
    before = taken(stepping_service)
    with (
        cutting(stepping_service.url, seed=7000) as address,
        OpenAI(base_url=f"{address}/v1", api_key="none", timeout=PATIENCE_S, max_retries=50) as client,
    ):

        def edit(number: int) -> Image.Image:
            more = {"num_inference_steps": 10, "negative_prompt": f"{number}"}
            answer = client.images.edit(image=png(square()), prompt="slow", extra_body=more)
            assert answer.data is not None
            return Image.open(io.BytesIO(base64.b64decode(str(answer.data[0].b64_json))))

        with ThreadPoolExecutor(8) as pool:
            edited = list(pool.map(edit, range(REQUESTS)))
    assert len({picture.getpixel((0, 0)) for picture in edited}) == REQUESTS  # each has a seed of its own
    assert {picture.size for picture in edited} == {square().size}
    assert taken(stepping_service) - before == REQUESTS
