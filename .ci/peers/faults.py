"""A gRPC collector at its worst, and limits on what is sent: what was emitted is what was taken, what was
refused, and what the limits cut off.

    faults.py EMITTER
"""

import json
import os
import sys
from concurrent import futures

# Those who are refused are no news.
os.environ["GRPC_VERBOSITY"] = "NONE"

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from shop import emit, values

BUSY, FULL, WRONG = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.INVALID_ARGUMENT,
)
# Full, and for how long.
LATER = "later"


def retry_info():
    """The details that make `RESOURCE_EXHAUSTED` worth another try."""
    detail = any_pb2.Any()
    detail.Pack(error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(nanos=300_000_000)))
    status = status_pb2.Status(code=FULL.value[0], message="full", details=[detail])
    return (("grpc-status-details-bin", status.SerializeToString()),)


class Collector:
    """Does to each signal what its script says, and then takes everything."""

    def __init__(self, **scripts):
        self.scripts, self.taken, self.asked = scripts, {}, {}
        self.server = grpc.server(futures.ThreadPoolExecutor(4))
        for signal, add, response in [
            ("traces", trace_service_pb2_grpc.add_TraceServiceServicer_to_server, ExportTraceServiceResponse),
            ("logs", logs_service_pb2_grpc.add_LogsServiceServicer_to_server, ExportLogsServiceResponse),
            ("metrics", metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server, ExportMetricsServiceResponse),
        ]:
            self.taken[signal], self.asked[signal] = [], 0
            add(self.servicer(signal, response), self.server)
        self.endpoint = f"http://127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()

    def servicer(self, signal, response):
        def export(_, request, context):
            self.asked[signal] += 1
            script = self.scripts.get(signal, [])
            does = script.pop(0) if script else {}
            if does == LATER:
                context.set_trailing_metadata(retry_info())
                context.abort(FULL, "full")
            if isinstance(does, grpc.StatusCode):
                context.abort(does, "no")
            self.taken[signal].append(request)
            return response(partial_success=does)

        return type("Servicer", (), {"Export": export})()


def run(emitter, collector, compression="gzip", **more):
    """What the emitter says of its exports."""
    lines = [json.loads(line) for line in emit(emitter, collector.endpoint, "grpc", compression, **more)]
    collector.server.stop(None).wait()
    assert not any(collector.scripts.values()), collector.scripts
    return [line for line in lines if line["target"] == "obs_runtime::export"]


def spans_of(collector):
    return [
        span
        for request in collector.taken["traces"]
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def records_of(collector):
    return [
        record
        for request in collector.taken["logs"]
        for resource in request.resource_logs
        for scope in resource.scope_logs
        for record in scope.log_records
    ]


def check_tried_again(emitter):
    collector = Collector(traces=[BUSY, LATER, BUSY], logs=[LATER], metrics=[BUSY])
    said = run(emitter, collector)
    assert not said, said
    assert collector.asked == {"traces": 4, "logs": 2, "metrics": 2}, collector.asked
    assert len({span.span_id for span in spans_of(collector)}) == len(spans_of(collector)) == 6
    assert len(records_of(collector)) == 3 and len(collector.taken["metrics"]) == 1


def check_refused(emitter):
    partly = {"rejected_spans": 2, "error_message": "too old"}
    collector = Collector(traces=[partly], logs=[WRONG], metrics=[WRONG])
    said = {line["msg"].split(";")[0]: line for line in run(emitter, collector)}
    assert collector.asked == {"traces": 1, "logs": 1, "metrics": 1}, "hopeless: not tried again"
    assert not collector.taken["logs"] and not collector.taken["metrics"]
    assert len(said) == 3, said
    partial = said["the collector refuses some spans"]
    assert partial["refused"] == 2 and partial["remark"] == "too old", partial
    assert len(spans_of(collector)) == 6, "of which it keeps four"
    for items, status in [("log records", "InvalidArgument"), ("metric points", "InvalidArgument")]:
        assert status in said[f"{items} can't be exported"]["error"], said


def check_halved(emitter):
    """A request that is too large comes again in halves, and nothing of it is lost."""
    collector = Collector(traces=[FULL], logs=[FULL], metrics=[FULL])
    said = run(emitter, collector)
    assert not said, said
    assert collector.asked == {"traces": 3, "logs": 3, "metrics": 3}, collector.asked
    assert len({span.span_id for span in spans_of(collector)}) == len(spans_of(collector)) == 6
    assert len(records_of(collector)) == 3


def check_limits(emitter):
    limits = {
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "4",
        "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "4",
        "OTEL_SPAN_EVENT_COUNT_LIMIT": "0",
        "OTEL_SPAN_LINK_COUNT_LIMIT": "0",
        "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT": "2",
        "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT": "3",
    }
    collector = Collector()
    run(emitter, collector, **limits)
    [server] = [span for span in spans_of(collector) if span.name == "emitter::serve"]
    events = [(len(span.events), span.dropped_events_count) for span in spans_of(collector)]
    assert sorted(events) == [(0, 0)] * 3 + [(0, 1)] * 3, events
    assert (len(server.links), server.dropped_links_count) == (0, 1), server
    for span in spans_of(collector):
        assert len(span.attributes) == 4 and span.dropped_attributes_count > 0, span
    for record in records_of(collector):
        assert len(record.attributes) == 2 and record.dropped_attributes_count > 0, record
    for items, length in [(spans_of(collector), 4), (records_of(collector), 3)]:
        texts = [text for item in items for text in values(item.attributes).values() if isinstance(text, str)]
        assert texts and max(map(len, texts)) == length, texts
    # What an event holds, by limits of its own and of everything.
    collector = Collector()
    run(emitter, collector, OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT="1", OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT="6")
    [exception] = [event for span in spans_of(collector) for event in span.events if event.name == "exception"]
    assert values(exception.attributes) == {"exception.type": "emitte"}, exception
    assert exception.dropped_attributes_count == 1, exception


emitter = sys.argv[1]
check_tried_again(emitter)
check_refused(emitter)
check_halved(emitter)
check_limits(emitter)
print("grpc: what is refused is tried again or counted; limits are kept to")
