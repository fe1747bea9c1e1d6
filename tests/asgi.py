"""Asks an application over no network."""

import asyncio
from typing import Any

import pytest

httpx = pytest.importorskip("httpx", reason="needs httpx; pip install 'textsieve[dev]'")

BASE = "http://127.0.0.1:8000"


class Client:
    """Sends requests to an ASGI application, one after another; redirects are not followed."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def request(self, method: str, path: str, **options: Any) -> Any:
        async def ask() -> Any:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app=self.app), base_url=BASE) as client:
                return await client.request(method, path, **options)

        return asyncio.run(ask())

    def get(self, path: str, **options: Any) -> Any:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> Any:
        return self.request("POST", path, **options)
