"""The OpenAPI description against the service, by schemathesis: whatever it makes of the one, the other keeps to it."""

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from stub import stub_model

pytest.importorskip("schemathesis", reason="reads the description and makes requests of it")
pytest.importorskip("httpx", reason="the client of the tests, of the test extra")
pytest.importorskip("fastapi", reason="the service needs the serve extra")
pytest.importorskip("PIL", reason="the service needs the serve extra")

import httpx
import schemathesis
from schemathesis.core.parameters import ParameterLocation
from serving import BEARER, served

from focalrt.serve.app import create_app

TOKEN = BEARER["Authorization"].split()[1]
APP = create_app(stub_model(), TOKEN)
# What a description cannot say makes 422 a fair answer to what it allows: that a string of bytes is an image, and that
# a place lies on it.
CONFIG = schemathesis.Config.from_dict(
    {
        "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "404", "413", "422"]}},
        "generation": {"database": "none"},
        "request-timeout": 60,
    }
)
schema = schemathesis.openapi.from_dict(APP.openapi(), config=CONFIG)
PHOTO = cv2.imencode(".png", np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8))[1].tobytes()
MASK = cv2.imencode(".png", np.eye(60, 80, dtype=np.uint8))[1].tobytes()


class Live:
    """The service, with a session that is there when it is asked for."""

    def __init__(self, url):
        self.url, self.client = url, httpx.Client(base_url=url, headers=BEARER, timeout=60)

    @property
    def session(self):
        answer = self.client.post("/sessions", files={"image": PHOTO})
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]


@pytest.fixture(scope="module")
def live():
    with served(APP) as url:
        yield Live(url)


def is_meant_well(case, part):
    """Whether a part of a request keeps to the description, and is not one that the service is to refuse."""
    generated = case.meta.components.get(part)
    return generated is None or generated.mode is schemathesis.GenerationMode.POSITIVE


@schema.parametrize()
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_service_keeps_to_its_description(case, live):
    chance = sum(repr(case).encode())
    if "session" in case.path_parameters and is_meant_well(case, ParameterLocation.PATH) and chance % 4:
        case.path_parameters["session"] = live.session
    excluded = []
    if isinstance(case.body, dict) and is_meant_well(case, ParameterLocation.BODY) and chance % 3:
        case.body |= {name: content for name, content in (("image", PHOTO), ("mask", MASK)) if case.body.get(name)}
        excluded.append(schemathesis.checks.negative_data_rejection)  # which does not take bytes for a string of bytes
    headers = BEARER if is_meant_well(case, ParameterLocation.HEADER) else None  # the token may be what is wrong
    case.call_and_validate(base_url=live.url, headers=headers, excluded_checks=excluded)
