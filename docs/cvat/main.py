"""focalrt as a Nuclio function; CVAT's requests and replies are in focalrt.adapters.cvat."""

import focalrt
from focalrt.adapters.cvat import Interactor


def init_context(context):
    # A container sees every core of its host, so the two that function.yaml grants are told.
    context.user_data.interactor = Interactor(focalrt.load(threads=2))


def handler(context, event):
    try:
        answer = context.user_data.interactor.answer(event.body)
    except focalrt.FocalrtError as error:
        return context.Response(body=str(error), content_type="text/plain", status_code=400)
    return context.Response(body=answer, content_type="application/json", status_code=200)
