"""How each proxy is started: one thread, two h2c backends, least request where offered, windows of 1 MiB a stream."""

from __future__ import annotations

import pathlib
import shutil
from dataclasses import dataclass
from typing import Callable

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
GATEWAY = ROOT / ".build" / "release" / "groot-gateway"
ENVOY = ROOT / ".state" / "bench-python" / "bin" / "envoy"

# Arguments: folder for its files, port to listen on, backend ports, folder with server.pem/.key/both.pem or None.
Command = Callable[[pathlib.Path, int, list[int], "pathlib.Path | None"], list[str]]


@dataclass
class Peer:
    name: str
    command: Command
    binary: str
    hint: str
    # Seconds until it has seen its backends.
    settle: float = 0.3

    def available(self) -> bool:
        return shutil.which(self.binary) is not None or pathlib.Path(self.binary).exists()


def gateway(folder: pathlib.Path, port: int, backends: list[int], tls: pathlib.Path | None) -> list[str]:
    command = [
        str(GATEWAY),
        "--workers", ",".join(f"127.0.0.1:{backend}" for backend in backends),
        "--listen", f"127.0.0.1:{port}",
        "--admin", "127.0.0.1:0",
        "--state-dir", str(folder / "state"),
        "--log-level", "warning",
    ]  # fmt: skip
    if tls:
        command += ["--tls-certificate", str(tls / "server.pem"), "--tls-key", str(tls / "server.key")]
    return command


def nghttpx(folder: pathlib.Path, port: int, backends: list[int], tls: pathlib.Path | None) -> list[str]:
    command = ["nghttpx", "--conf=/dev/null", "--workers=1", "--single-process", "--errorlog-file=/dev/null",
               "--frontend-http2-window-size=1M", "--frontend-http2-connection-window-size=16M",
               "--backend-http2-window-size=1M", "--backend-http2-connection-window-size=16M",
               f"--frontend=127.0.0.1,{port}" + ("" if tls else ";no-tls")]  # fmt: skip
    command += [f"--backend=127.0.0.1,{backend};/;proto=h2" for backend in backends]
    if tls:
        command += [str(tls / "server.key"), str(tls / "server.pem")]
    return command


def haproxy(folder: pathlib.Path, port: int, backends: list[int], tls: pathlib.Path | None) -> list[str]:
    bind = f"bind 127.0.0.1:{port} " + (f"ssl crt {tls / 'both.pem'} alpn h2" if tls else "proto h2")
    servers = "\n".join(f"    server w{i} 127.0.0.1:{backend} proto h2" for i, backend in enumerate(backends))
    file = folder / "haproxy.cfg"
    file.write_text(f"""global
    nbthread 1
    maxconn 4096
    tune.h2.initial-window-size 1048576
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend robots
    {bind}
    default_backend workers
backend workers
    balance leastconn
{servers}
""")
    return ["haproxy", "-db", "-f", str(file)]


def nginx(folder: pathlib.Path, port: int, backends: list[int], tls: pathlib.Path | None) -> list[str]:
    servers = "".join(f"server 127.0.0.1:{backend};" for backend in backends)
    secure = f"ssl_certificate {tls / 'server.pem'}; ssl_certificate_key {tls / 'server.key'};" if tls else ""
    file = folder / "nginx.conf"
    file.write_text(f"""daemon off; master_process off; worker_processes 1;
pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off; client_max_body_size 64m; client_body_buffer_size 4m; http2_body_preread_size 1m;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    upstream workers {{ least_conn; {servers} keepalive 256; keepalive_requests 100000000; }}
    server {{
        listen 127.0.0.1:{port} http2{' ssl' if tls else ''}; {secure}
        keepalive_requests 100000000; http2_max_concurrent_streams 256;
        location / {{ grpc_pass grpc://workers; grpc_next_upstream error timeout http_503; }}
    }}
}}
""")
    return ["nginx", "-p", str(folder), "-c", str(file), "-e", f"{folder}/error.log"]


def envoy(folder: pathlib.Path, port: int, backends: list[int], tls: pathlib.Path | None) -> list[str]:
    endpoints = ", ".join(
        "{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %d}}}}" % backend
        for backend in backends
    )
    http2 = "{initial_stream_window_size: 1048576, initial_connection_window_size: 16777216}"
    secure = ""
    if tls:
        secure = f"""
      transport_socket:
        name: tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            alpn_protocols: [h2]
            tls_certificates:
            - certificate_chain: {{filename: {tls / 'server.pem'}}}
              private_key: {{filename: {tls / 'server.key'}}}"""
    file = folder / "envoy.yaml"
    file.write_text(f"""
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: robots
          codec_type: HTTP2
          http2_protocol_options: {http2}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {{prefix: "/"}}
                route:
                  cluster: workers
                  timeout: 30s
                  retry_policy:
                    retry_on: "reset,connect-failure,refused-stream"
                    num_retries: 2
                    retry_host_predicate:
                    - name: previous
                      typed_config:
                        "@type": type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate
          http_filters:
          - name: router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}{secure}
  clusters:
  - name: workers
    lb_policy: LEAST_REQUEST
    per_connection_buffer_limit_bytes: 1048576
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{http2_protocol_options: {http2}}}
    load_assignment:
      cluster_name: workers
      endpoints: [{{lb_endpoints: [{endpoints}]}}]
""")
    return [str(ENVOY), "--concurrency", "1", "-c", str(file), "--log-level", "error", "--use-dynamic-base-id"]


PEERS = [
    Peer("gateway", gateway, str(GATEWAY), "swift build -c release --product groot-gateway", settle=2.0),
    Peer("nghttpx", nghttpx, "nghttpx", "apt-get install nghttp2-proxy"),
    Peer("haproxy", haproxy, "haproxy", "apt-get install haproxy"),
    Peer("nginx", nginx, "nginx", "apt-get install nginx-light"),
    Peer("envoy", envoy, str(ENVOY), "make bench-gateway installs it into .state/bench-python", settle=1.0),
]
