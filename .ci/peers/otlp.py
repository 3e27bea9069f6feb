"""What the emitter sends, as others receive it: a sink that decodes with the protocol's own messages, and a
real collector (rotel); by HTTP and by gRPC, with gzip and without.

    otlp.py EMITTER
"""

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent import futures
from pathlib import Path

# Those who are refused are no news.
os.environ["GRPC_VERBOSITY"] = "NONE"

import grpc
import rotel
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from shop import Handler, emit, free_port, serve, stop, values

TRACE = bytes.fromhex("0af7651916cd43dd8448eb211c80319c")
CALLER = bytes.fromhex("b7ad6b7169203331")
CAUSE = bytes.fromhex("c7ad6b7169203331")


class Received:
    """What a sink was sent."""

    def __init__(self):
        self.requests = {"traces": [], "logs": [], "metrics": []}


def http_sink(received, tls=None):
    kinds = {
        "/v1/traces": ("traces", trace_service_pb2.ExportTraceServiceRequest),
        "/v1/logs": ("logs", logs_service_pb2.ExportLogsServiceRequest),
        "/v1/metrics": ("metrics", metrics_service_pb2.ExportMetricsServiceRequest),
    }

    class Sink(Handler):
        def do_POST(self):
            signal, kind = kinds[self.path]
            assert self.headers["content-type"] == "application/x-protobuf", self.headers
            assert self.headers["x-test"] == "a b", self.headers
            received.requests[signal].append(kind.FromString(self.body()))
            # As some receivers do it: JSON, whatever came.
            self.answer(b'{"partialSuccess":{}}', "application/json")

    return serve(Sink, tls), lambda: None


def grpc_sink(received, tls=None):
    server = grpc.server(futures.ThreadPoolExecutor(4))

    def take(signal, response):
        def export(_, request, context):
            metadata = dict(context.invocation_metadata())
            assert metadata["x-test"] == "a b", metadata
            received.requests[signal].append(request)
            return response()

        return type("Servicer", (), {"Export": export})()

    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(
        take("traces", trace_service_pb2.ExportTraceServiceResponse), server
    )
    logs_service_pb2_grpc.add_LogsServiceServicer_to_server(
        take("logs", logs_service_pb2.ExportLogsServiceResponse), server
    )
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(
        take("metrics", metrics_service_pb2.ExportMetricsServiceResponse), server
    )
    if tls:
        chain, key, authority = (path.read_bytes() for path in (tls.chain, tls.key, tls.authority))
        credentials = grpc.ssl_server_credentials([(key, chain)], authority, require_client_auth=True)
        port, scheme = server.add_secure_port("127.0.0.1:0", credentials), "https"
    else:
        port, scheme = server.add_insecure_port("127.0.0.1:0"), "http"
    server.start()
    return f"{scheme}://127.0.0.1:{port}", lambda: server.stop(None).wait()


def listen_in(endpoint):
    """An address that leads to that one, and what is sent there."""
    wire, listener = bytearray(), socket.create_server(("127.0.0.1", 0))
    host, port = endpoint.removeprefix("http://").split(":")

    def pump(source, target, heard):
        try:
            while data := source.recv(65536):
                heard.extend(data)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def accept():
        while True:
            client = listener.accept()[0]
            server = socket.create_connection((host, int(port)))
            threading.Thread(target=pump, args=(client, server, wire), daemon=True).start()
            threading.Thread(target=pump, args=(server, client, bytearray()), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return wire, f"http://127.0.0.1:{listener.getsockname()[1]}"


def check_resource(resource):
    attributes = values(resource.attributes)
    for key, value in {
        "service.name": "emitter",
        "service.version": "1.2.3",
        "deployment.environment.name": "test",
        "team": "payments",
        "telemetry.sdk.language": "rust",
        "telemetry.sdk.name": "obs-runtime",
        "process.executable.name": "emitter",
        "os.type": "linux",
    }.items():
        assert attributes[key] == value, (key, attributes)
    assert isinstance(attributes["process.pid"], int) and attributes["host.name"], attributes
    assert len(attributes["service.instance.id"]) == 36, attributes


def check_traces(requests):
    scopes = []
    for request in requests:
        for resource in request.resource_spans:
            check_resource(resource.resource)
            scopes.extend(resource.scope_spans)
    assert {scope.scope.name for scope in scopes} == {"obs_runtime"}, scopes
    assert all(scope.scope.version for scope in scopes)
    spans = [span for scope in scopes for span in scope.spans]
    assert len(spans) == 6, [span.name for span in spans]
    assert all(span.trace_id == TRACE and span.trace_state == "congo=t61rcWkgMzE" for span in spans), spans
    assert all(0 < span.start_time_unix_nano <= span.end_time_unix_nano for span in spans)
    assert all(values(span.attributes)["request_id"] == "emitted" for span in spans)
    [server] = [span for span in spans if span.name == "emitter::serve"]
    assert server.kind == Span.SPAN_KIND_SERVER and server.parent_span_id == CALLER
    # Sampled, and whether the parent is remote is known and so.
    assert server.flags == 0x301, hex(server.flags)
    assert server.status.code == Status.STATUS_CODE_UNSET
    assert [(link.trace_id[0], link.span_id) for link in server.links] == [(0x1A, CAUSE)], server.links
    attributes = values(server.attributes)
    assert attributes["ratio"] == 0.5 and attributes["odd"] == 'quote" and\nline', attributes
    assert attributes["code.function.name"] == "emitter::serve", attributes
    [event] = server.events
    assert event.name == "serving" and values(event.attributes)["step"] == 1, event
    children = [span for span in spans if span.span_id != server.span_id]
    assert all(span.parent_span_id == server.span_id and span.flags == 0x101 for span in children)
    consumers = [span for span in spans if span.name == "emitter::consume"]
    assert [span.kind for span in consumers] == [Span.SPAN_KIND_CONSUMER] * 4
    [failed] = [span for span in consumers if span.status.code == Status.STATUS_CODE_ERROR]
    assert failed.status.message == "refused: 1000", failed.status
    assert values(failed.attributes)["error.type"] == "too_large", failed
    [exception] = failed.events
    assert exception.name == "exception"
    assert values(exception.attributes) == {
        "exception.type": "emitter::Refusal",
        "exception.message": "refused: 1000",
    }, exception
    assert [values(span.attributes)["size"] for span in consumers].count("small") == 3
    [plain] = [span for span in spans if span.name == "plain"]
    plain_attributes = values(plain.attributes)
    assert (plain_attributes["answer"], plain_attributes["fine"]) == (42, True), plain
    return {span.span_id: span for span in spans}


def check_logs(requests, lines, spans):
    records = []
    for request in requests:
        for resource in request.resource_logs:
            check_resource(resource.resource)
            for scope in resource.scope_logs:
                records.extend((scope.scope.name, record) for record in scope.log_records)
    # The runtime remarks once for each signal on a sink that answers in JSON.
    parsed = [json.loads(line) for line in lines]
    remarks = [line["msg"] for line in parsed if line["target"] != "emitter"]
    assert len(remarks) in (0, 3), remarks
    assert all(remark.startswith("a success without a collector's answer") for remark in remarks), remarks
    lines = [line for line in parsed if line["target"] == "emitter"]
    assert len(records) == len(lines) == 3, (records, lines)
    by_body = {record.body.string_value: (scope, record) for scope, record in records}
    for body, number, text, name in [
        ("serving", 9, "INFO", "emitter::serve"),
        ("consume failed", 17, "ERROR", "emitter::consume"),
        ("in a plain span", 13, "WARN", "plain"),
    ]:
        scope, record = by_body[body]
        assert (record.severity_number, record.severity_text) == (number, text), record
        assert record.trace_id == TRACE and spans[record.span_id].name == name, record
        assert scope == "emitter" and values(record.attributes)["request_id"] == "emitted", record
        span = spans[record.span_id]
        # Each clock is anchored to the wall's once a second.
        assert span.start_time_unix_nano - 10**6 <= record.time_unix_nano <= span.end_time_unix_nano + 10**6, record
    failed = values(by_body["consume failed"][1].attributes)
    assert failed["exception.message"] == "refused: 1000" and failed["amount"] == 1000, failed


def check_metrics(requests, spans):
    # At the end everything is sent once.
    [request] = requests
    [resource] = request.resource_metrics
    check_resource(resource.resource)
    [scope] = resource.scope_metrics
    metrics = {metric.name: metric for metric in scope.metrics}
    calls = metrics["function_calls"].sum
    assert calls.is_monotonic and calls.aggregation_temporality == AGGREGATION_TEMPORALITY_CUMULATIVE
    counts = {}
    for point in calls.data_points:
        assert 0 < point.start_time_unix_nano < point.time_unix_nano
        labels = values(point.attributes)
        key = (labels["code.function.name"], labels.get("size"), labels["outcome"], labels.get("error.type"))
        counts[key] = point.as_double
    assert counts["emitter::consume", "small", "ok", None] == 3, counts
    assert counts["emitter::consume", "large", "error", "too_large"] == 1, counts
    assert counts["emitter::serve", None, "ok", None] == 1, counts
    durations = metrics["function_duration"]
    assert durations.unit == "s"
    exemplars = 0
    for point in durations.histogram.data_points:
        assert len(point.bucket_counts) == len(point.explicit_bounds) + 1
        assert sum(point.bucket_counts) == point.count
        for exemplar in point.exemplars:
            exemplars += 1
            span = spans[exemplar.span_id]
            assert exemplar.trace_id == TRACE and span.name == values(point.attributes)["code.function.name"]
            seconds = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9
            assert abs(exemplar.as_double - seconds) < 1e-4, (exemplar, seconds)
    assert exemplars >= 3, "one for each series at least"
    in_flight = metrics["function_calls_in_flight"].sum
    assert not in_flight.is_monotonic and all(point.as_double == 0 for point in in_flight.data_points)
    [orders] = metrics["orders"].sum.data_points
    assert orders.as_double == 7, "the application's own"
    assert metrics["obs_spans_dropped"].sum.data_points[0].as_double == 0


def check_sink(emitter, sink, protocol, compression):
    received = Received()
    endpoint, close = sink(received)
    wire, proxy = listen_in(endpoint)
    lines = emit(emitter, proxy, protocol, compression)
    close()
    # What is compressed can't be read on its way.
    assert wire and (b"emitter::consume" in wire) == (compression == "none"), compression
    spans = check_traces(received.requests["traces"])
    check_logs(received.requests["logs"], lines, spans)
    check_metrics(received.requests["metrics"], spans)


def check_collector(emitter, protocol, compression):
    """Rotel prints what it received."""
    ports = {"http/protobuf": free_port(), "grpc": free_port()}
    agent = Path(rotel.__file__).parent / "rotel-agent"
    with tempfile.TemporaryFile("w+") as output:
        arguments = ["start", "--exporter", "blackhole", "--debug-log-verbosity", "detailed"]
        for signal in ["traces", "logs", "metrics"]:
            arguments += ["--debug-log", signal]
        arguments += ["--otlp-http-endpoint", f"127.0.0.1:{ports['http/protobuf']}"]
        arguments += ["--otlp-grpc-endpoint", f"127.0.0.1:{ports['grpc']}"]
        collector = subprocess.Popen([agent, *arguments], stdout=output, stderr=subprocess.STDOUT)

        def printed():
            output.seek(0)
            return re.sub(r"\x1b\[[0-9;]*m", "", output.read())

        try:
            # The emitter's own patience covers the collector's start.
            emit(emitter, f"http://127.0.0.1:{ports[protocol]}", protocol, compression)
            wanted = [
                "emitter::serve",
                "emitter::consume",
                "congo=t61rcWkgMzE",
                "exception.message",
                "refused: 1000",
                "in a plain span",
                "service.instance.id",
                "function_duration",
                "orders",
                TRACE.hex(),
                CAUSE.hex(),
            ]
            for _ in range(100):
                text = printed()
                missing = [word for word in wanted if word not in text]
                if not missing:
                    return
                time.sleep(0.1)
            raise SystemExit(f"rotel by {protocol}, {compression}, has not seen {missing}:\n{text}")
        finally:
            stop(collector)


class Certificates:
    """An authority for this run, and a certificate of its, which the sink and the emitter share."""

    def __init__(self, directory):
        self.authority, self.chain, self.key = (directory / name for name in ["ca.pem", "chain.pem", "key.pem"])
        key, request, extensions = directory / "ca.key", directory / "request.pem", directory / "extensions"
        extensions.write_text("subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
        new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        for command in [
            ["req", "-x509", *new_key, "-keyout", key, "-out", self.authority, "-subj", "/CN=authority"],
            ["req", *new_key, "-keyout", self.key, "-out", request, "-subj", "/CN=peer"],
            ["x509", "-req", "-in", request, "-CA", self.authority, "-CAkey", key, "-CAcreateserial"]
            + ["-out", self.chain, "-days", "2", "-extfile", extensions],
        ]:
            subprocess.run(["openssl", *command], check=True, capture_output=True)


def check_tls(emitter, protocol, sink):
    """A sink that must be trusted, and that must be told who comes."""
    with tempfile.TemporaryDirectory() as directory:
        tls = Certificates(Path(directory))
        trusting = {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(tls.authority)}
        known = {
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": str(tls.chain),
            "OTEL_EXPORTER_OTLP_CLIENT_KEY": str(tls.key),
        }
        received = Received()
        endpoint, close = sink(received, tls)
        for doubted in [{}, trusting, known]:
            emit(emitter, endpoint, protocol, "none", OTEL_EXPORTER_OTLP_TIMEOUT="500", **doubted)
            assert not received.requests["traces"], (protocol, doubted)
        emit(emitter, endpoint, protocol, "none", **trusting, **known)
        close()
        check_traces(received.requests["traces"])


emitter = sys.argv[1]
for protocol, sink in [("http/protobuf", http_sink), ("grpc", grpc_sink)]:
    for compression in ["none", "gzip"]:
        check_sink(emitter, sink, protocol, compression)
        check_collector(emitter, protocol, compression)
        print(f"{protocol}, {compression}: the sink and the collector have all of it")
    check_tls(emitter, protocol, sink)
    print(f"{protocol}: TLS, with both sides known to each other")
