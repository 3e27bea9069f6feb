"""Python's OpenTelemetry SDK before and behind the shop's gateway: one trace across both languages.

The client and the user service here are Python's; the gateway, orders and payments are the shop's. All
send their spans to one sink, which decodes them with the protocol's own messages.

    sdk.py SHOP
"""

import json
import sys
import urllib.request

from opentelemetry import baggage, context, propagate, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from shop import Handler, Sink, attribute, open_shop, serve

TRACESTATE = "congo=t61rcWkgMzE,fw529a3039@dt=FfAAAA"
BAGGAGE = {"tenant": "Ægir & Sons", "plan": "pro"}


class Users(Handler):
    """A user service in Python, which says what came with the request."""

    received = []

    def do_GET(self):
        parent = propagate.extract(dict(self.headers))
        with tracer.start_as_current_span("GET /users/{id}", context=parent, kind=SpanKind.SERVER) as span:
            self.received.append(
                {
                    "baggage": dict(baggage.get_all(parent)),
                    "tracestate": span.get_span_context().trace_state.to_header(),
                    "request_id": self.headers.get("x-request-id"),
                }
            )
            self.answer(json.dumps({"id": 1, "name": "Ada"}).encode(), "application/json")


def order(gateway, entries, sampled, trace_id="0af7651916cd43dd8448eb211c80319c"):
    """One order, from a span of this process. Returns the span's context and the answer's headers."""
    remote = trace.SpanContext(
        trace_id=int(trace_id, 16),
        span_id=int("b7ad6b7169203331", 16),
        is_remote=True,
        trace_flags=TraceFlags(sampled),
        trace_state=trace.TraceState.from_header([TRACESTATE]),
    )
    parent = trace.set_span_in_context(trace.NonRecordingSpan(remote))
    for key, value in entries.items():
        parent = baggage.set_baggage(key, value, parent)
    with tracer.start_as_current_span("order", context=parent, kind=SpanKind.CLIENT) as span:
        token = context.attach(trace.set_span_in_context(span, parent))
        headers = {"content-type": "application/json"}
        propagate.inject(headers)
        context.detach(token)
        body = json.dumps({"user": 1, "method": "card", "amount": 4200}).encode()
        request = urllib.request.Request(f"{gateway}/orders", data=body, headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()
            return span.get_span_context(), dict(answer.headers)


def check_trace(spans, client):
    """One tree, whose root is the client's span, through both languages."""
    by_id = {span.span_id: (service, span) for service, span in spans}
    root = client.span_id.to_bytes(8, "big")
    names = {(service, span.name) for service, span in spans}
    for wanted in [
        ("python", "order"),
        ("gateway", "POST /orders"),
        ("gateway", "gateway::order"),
        ("gateway", "GET"),
        ("python", "GET /users/{id}"),
        ("orders", "POST /orders"),
        ("payments", "POST /payments"),
        ("payments", "database::save_payment"),
    ]:
        assert wanted in names, (wanted, names)
    for service, span in spans:
        if span.span_id != root:
            assert span.parent_span_id in by_id, f"{service}: {span.name} has no parent"
            assert span.trace_state == TRACESTATE, (service, span.name, span.trace_state)
    [python_server] = [span for service, span in spans if span.name == "GET /users/{id}" and service == "python"]
    caller_service, caller = by_id[python_server.parent_span_id]
    assert (caller_service, caller.kind) == ("gateway", Span.SPAN_KIND_CLIENT), (caller_service, caller)
    [server] = [span for service, span in spans if (service, span.name) == ("gateway", "POST /orders")]
    assert server.parent_span_id == root and server.kind == Span.SPAN_KIND_SERVER
    assert attribute(server, "http.response.status_code") == 200
    return len(spans)


sink = serve(Sink)
provider = TracerProvider(resource=Resource.create({"service.name": "python"}))
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=f"{sink}/v1/traces")))
tracer = provider.get_tracer("peer")
propagate.set_global_textmap(CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()]))
users = serve(Users)

shop, urls = open_shop(
    sys.argv[1], "--processes", "--no-load", "--port", "0", "--otlp", sink, "--users", users
)
try:
    client, headers = order(urls["gateway"], BAGGAGE, sampled=True)
    # The trace and the span that took it in, and an id to ask for.
    version, trace_id, _, flags = headers["traceresponse"].split("-")
    assert (version, int(trace_id, 16), flags) == ("00", client.trace_id, "01"), headers
    assert Users.received[0]["baggage"] == BAGGAGE, Users.received
    assert Users.received[0]["tracestate"] == TRACESTATE, Users.received
    assert Users.received[0]["request_id"] == headers["x-request-id"], (Users.received, headers)
    unsampled, headers_of_unsampled = order(urls["gateway"], {}, sampled=False, trace_id="1" * 32)
    assert headers_of_unsampled["traceresponse"].endswith("-00"), headers_of_unsampled
finally:
    shop.terminate()
    lines = [json.loads(line) for line in shop.stdout]
    assert shop.wait(timeout=30) == 0
in_trace = {True: [], False: []}
for service, span in Sink.spans:
    in_trace[span.trace_id == client.trace_id.to_bytes(16, "big")].append((service, span))
count = check_trace(in_trace[True], client)
assert not in_trace[False], "nobody sampled the other trace"
# What the runtime says of itself is of no request.
lines = [line for line in lines if line["target"] not in ("obs_runtime::health", "obs_runtime::lifecycle")]
by_trace = {line["trace_id"]: line["request_id"] for line in lines}
assert by_trace == {
    trace_id: headers["x-request-id"],
    f"{unsampled.trace_id:032x}": headers_of_unsampled["x-request-id"],
}, by_trace
print(f"one trace of {count} spans in two languages, {len(lines)} log lines with their ids")
