"""A broken credential helper on this machine is told as what it is."""

import os
from pathlib import Path
from typing import Any

import pytest

from orchestrator.engines.docker.address import Address
from orchestrator.errors import ImageError
from orchestrator.images.calls import ImageApi

pytestmark = pytest.mark.engine


def test_credentials_that_cannot_be_read_fail_the_pull_with_their_place(
    workshop: Any, engine_address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = tmp_path / "docker-credential-broken"
    helper.write_text("#!/bin/sh\necho the key chain is locked; exit 1\n")
    helper.chmod(0o755)
    (tmp_path / "config.json").write_text('{"credsStore": "broken"}')
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    images = workshop.images(api=ImageApi(lambda: engine_address))
    try:
        with pytest.raises(ImageError, match="key chain is locked") as caught:
            images.ensure("nowhere.invalid/x:1")
        name = workshop.write("tiny", "FROM scratch\nCOPY a /a\n", a="1")
        with pytest.raises(ImageError, match="key chain is locked"):
            images.ensure(images.pin([name])[name])
    finally:
        images.close()
    assert caught.value.code == "image_pull_failed"
    assert "config.json" in caught.value.fix
