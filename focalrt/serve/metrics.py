"""What Prometheus may ask of the service. Everything is in a registry of its own."""

from __future__ import annotations

from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .pool import Pool
from .sessions import Sessions

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """Counts requests; reads pool and sessions when it is asked."""

    def __init__(self, pool: Pool, sessions: Sessions) -> None:
        """What is read from."""
        self.registry = CollectorRegistry()
        labels = ["method", "route", "status"]
        self.requests = Counter("focalrt_requests", "Requests answered.", labels, registry=self.registry)
        told = "Seconds until the last byte of the answer."
        self.seconds = Histogram(
            "focalrt_request_seconds", told, ["route"], buckets=SECONDS, registry=self.registry
        )
        for name, told, value in (
            ("focalrt_jobs", "Jobs that run or wait.", lambda: pool.jobs),
            ("focalrt_most_jobs", "Jobs that may run or wait; beyond, requests are refused.", lambda: pool.most),
            ("focalrt_sessions", "Sessions held.", lambda: len(sessions)),
            ("focalrt_session_bytes", "Memory that they hold.", lambda: sessions.nbytes),
            ("focalrt_most_session_bytes", "Memory that they may hold.", lambda: sessions.most_bytes),
        ):
            Gauge(name, told, registry=self.registry).set_function(value)
        ProcessCollector(registry=self.registry)

    def text(self) -> bytes:
        """The state of things in Prometheus' text format."""
        return generate_latest(self.registry)


class Measured:
    """ASGI middleware that counts requests and takes their time, those that are refused included."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        """Where the counts go."""
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes everything on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = perf_counter(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            route = getattr(scope.get("route"), "path", "none")  # as declared: what clients make up is no label
            method = scope["method"] if scope["method"] in METHODS else "other"
            self._metrics.requests.labels(method, route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(perf_counter() - began)
