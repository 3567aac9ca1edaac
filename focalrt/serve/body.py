"""Bodies of requests, counted as they come: one is no larger than its limit, all together than theirs."""

from __future__ import annotations

import asyncio

from starlette.types import Message, Receive, Send

from .refusal import Refusal

PATIENCE = 30.0  # seconds without a byte of a body that has not ended


class Account:
    """Bytes of bodies that have come and whose requests have not ended."""

    def __init__(self, limit: int) -> None:
        """``limit``: bytes of all bodies together."""
        self.limit = limit
        self.bytes = 0


class Body:
    """The body of one request. Goes between server and application: ``receive`` to the one, ``send`` to the other."""

    def __init__(self, receive: Receive, send: Send, limit: int, account: Account) -> None:
        """``limit``: bytes that this body may have."""
        self._receive, self._send, self._limit, self._account = receive, send, limit, account
        self._ended = False
        self._bytes = 0
        self._answered = False
        self.refusal: Refusal | None = None

    async def receive(self) -> Message:
        """The next message of the client. Raises Refusal for a byte too many, or too long a wait."""
        if self._ended:
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), PATIENCE)
        except asyncio.TimeoutError:
            self.refusal = Refusal(408, f"the body: nothing came for {PATIENCE:g} s before it ended")
            raise self.refusal from None
        self._ended = not message.get("more_body", False)
        self._count(len(message.get("body", b"")))
        if self.refusal:
            raise self.refusal
        return message

    def _count(self, size: int) -> None:
        self._bytes += size
        self._account.bytes += size
        if self._bytes > self._limit:
            self.refusal = too_large(self._limit)
        elif self._account.bytes > self._account.limit:
            self.refusal = Refusal(503, "too many uploads at a time; try again", {"Retry-After": "1"})

    async def send(self, message: Message) -> None:
        """Passes the response on; but what an application makes of a body that was refused is kept back."""
        if self._answered or not self.refusal:
            self._answered = True
            await self._send(message)

    @property
    def unanswered(self) -> Refusal | None:
        """The refusal that is still to be told, once the application is done."""
        return None if self._answered else self.refusal

    def close(self) -> None:
        """The request has ended, and its body is no longer held."""
        self._account.bytes -= self._bytes
        self._bytes = 0


def too_large(limit: int) -> Refusal:
    """For a body of too many bytes."""
    return Refusal(413, f"the body: expected at most {limit} bytes")
