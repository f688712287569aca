"""A container's output, read straight from the engine."""

import selectors

from engine_proxy import PATIENCE

from orchestrator.engines.docker.engine import DockerEngine
from orchestrator.ids import ContainerId


def wait_output(engine: DockerEngine, container: ContainerId, text: bytes) -> None:
    """Until a container has written `text`, in one piece."""
    data = b""
    stream = engine.follow_logs(container)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            while text not in data:
                chunk = stream.recv()
                if chunk is None:
                    assert selector.select(PATIENCE), f"{text!r} did not come after {data[-200:]!r}"
                else:
                    assert chunk, f"the container ended without {text!r}: {data[-200:]!r}"
                    data = data[-len(text) - 200 :] + chunk
    finally:
        stream.close()
