"""What the peers' scripts share: a sink for spans, a running shop, and the emitter's runs."""

import gzip
import os
import socket
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def body(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        return gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body

    def answer(self, body, kind):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Sink(Handler):
    spans = []

    def do_POST(self):
        body = self.body()
        if self.path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                service = {a.key: a.value.string_value for a in resource.resource.attributes}["service.name"]
                for scope in resource.scope_spans:
                    self.spans.extend((service, span) for span in scope.spans)
        self.answer(b"", "application/x-protobuf")


def serve(handler, tls=None):
    """Serves on a free port. With TLS, clients have to show a certificate."""
    server, scheme = ThreadingHTTPServer(("127.0.0.1", 0), handler), "http"
    if tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=tls.authority)
        context.load_cert_chain(tls.chain, tls.key)
        context.verify_mode = ssl.CERT_REQUIRED
        server.socket, scheme = context.wrap_socket(server.socket, server_side=True), "https"
        # Whoever is refused is not worth a word.
        server.handle_error = lambda *_: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"{scheme}://127.0.0.1:{server.server_address[1]}"


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def stop(process):
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def open_shop(shop, *arguments, **more):
    """Starts the shop, and gives its process and where its services are."""
    process = subprocess.Popen(
        [shop, *arguments], stderr=subprocess.PIPE, **{"stdout": subprocess.PIPE, "text": True, **more}
    )
    urls = {}
    for line in process.stderr:
        words = line.split()
        if line.startswith("  ") and len(words) == 2 and words[1].startswith("http"):
            urls[words[0]] = words[1]
        if line.startswith("Ctrl-C"):
            break
    threading.Thread(target=process.stderr.read, daemon=True).start()
    return process, urls


def attribute(span, key):
    for found in span.attributes:
        if found.key == key:
            return getattr(found.value, found.value.WhichOneof("value"))
    return None


def emit(emitter, endpoint, protocol, compression, **more):
    """Runs the emitter, and gives its log lines."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    result = subprocess.run(
        [emitter],
        env=own
        | {
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_COMPRESSION": compression,
            "OTEL_EXPORTER_OTLP_HEADERS": "x-test=a%20b",
            "OTEL_LOGS_EXPORTER": "otlp",
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_RESOURCE_ATTRIBUTES": "team=payments",
            "RUST_LOG": "info",
        }
        | more,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return result.stdout.splitlines()


def values(attributes):
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in attributes}
