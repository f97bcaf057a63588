"""Sends requests that programs read differently through a proxy, and checks what becomes of them.

Usage: smuggling_through_proxies.py nginx|haproxy FACADE_IP:PORT DIRECTORY

A payload is a post that hides another one. After each payload some clients post through the same proxy, which keeps
its connections to the facade. It is checked that each of them gets its own receipt, and that as many messages are
stored as the proxy counts posts that the facade answered with 200.
"""

import http.client
import itertools
import json
import re
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

NGINX = """
daemon off; master_process off; worker_processes 1; pid {dir}/nginx.pid; error_log {dir}/error.log;
events {{ worker_connections 512; }}
http {{
  log_format count '$request_method $upstream_status;';
  access_log {dir}/count.log count;
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy;
  fastcgi_temp_path {dir}/fastcgi; uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
  upstream facade {{ server {facade}; keepalive 2; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://facade; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $http_host; proxy_request_buffering {buffering};
      proxy_ignore_client_abort on; proxy_next_upstream off; proxy_read_timeout 5s;
    }}
  }}
}}
"""

HAPROXY = """
global
  log stdout format raw local0
  maxconn 512
defaults
  mode http
  log global
  log-format "%HM %ST;"
  timeout connect 5s
  timeout client 5s
  timeout server 5s
  option http-keep-alive
  http-reuse always
frontend front
  bind 127.0.0.1:{port}
  {accept}
  default_backend facade
backend facade
  server facade {facade}
"""

TE_LINES = [
    "Transfer-Encoding: chunked", "Transfer-Encoding : chunked", " Transfer-Encoding: chunked",
    "Transfer-Encoding:\tchunked", "Transfer-Encoding: xchunked", "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, chunked", "Transfer-Encoding: chunked, identity", "Transfer-Encoding: identity",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: x", "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Transfer-Encoding:\r\n chunked",
    "Transfer-Encoding: \x0bchunked", "X: y\rTransfer-Encoding: chunked", "X: y\nTransfer-Encoding: chunked",
    "Transfer_Encoding: chunked", "tRANSFER-eNCODING: cHUNKED", "Transfer-Encoding: \"chunked\"",
    "Transfer-Encoding: chunked;a=b", "Transfer-Encoding: , chunked", "Transfer-Encoding\0: chunked",
]
CL_LINES = [
    "Content-Length: {0}", "Content-Length: +{0}", "Content-Length: 0\r\nContent-Length: {0}", "Content-Length: {0}, 0",
    "Content-Length: {0}\r\nContent-Length: {0}", "Content-Length : {0}", "Content-Length: 0{0}", "Content-Length: 0x0",
    "Content-Length: {0}, {0}", "Content_Length: {0}", "Content-Length: 0_{0}", "Content-Length: -{0}",
]
# Each begins with the last chunk, or with what could be one.
ENDS = [
    "0\r\n\r\n", "0\r\n\n", "0\n\n", "0\n\r\n", "0\r\nA: b\n\n", "0\r\nA: b\n\r\n", "0\r\nA: b\r\n\n", "0\r\nA: b\r\n\r\n",
    "0;x\n\r\n", "0;x\ny\r\n\r\n", "0;\r\n\r\n", "0 \r\n\r\n", "00\r\n\r\n", "0x0\r\n\r\n", "+0\r\n\r\n", "-0\r\n\r\n",
    "0\r\r\n\r\n", "0_0\r\n\r\n", "0\r\n: b\r\n\r\n", "0\r\nA\r\n\r\n", "0\r\n A: b\r\n\r\n", "0\r\nTransfer-Encoding: x\r\n\r\n",
    "0\r\nContent-Length: 5\r\n\r\n", "10000000000000000\r\n\r\n",
]
# Of a chunk of one byte.
SIZES = ["1\n", "1;\n", "1 \r\n", "1;a\rb\r\n", "1;a=\"\n\"\r\n", "0x1\r\n", "01\r\n", " 1\r\n"]
HOSTS = ["", "Host: a\r\nHost: b\r\n", "Host: a b\r\n", "Host: a/b\r\n", "Host : a\r\n", "Host: a\r\n X: b\r\n"]


def post(text, lines="", body=None, host="Host: front\r\n"):
    """A post of `text`, whose length is told by `lines` if there are any."""
    body = json.dumps({"msg": text}) if body is None else body
    lines = lines or f"Content-Length: {len(body)}"
    return f"POST /facade HTTP/1.1\r\n{host}Content-Type: application/json\r\n{lines}\r\n\r\n{body}"


def payloads():
    """Requests, each with another one hidden where its length may end."""
    hidden = post("hidden")
    body = json.dumps({"msg": "open"})
    chunk = f"{len(body):x}\r\n{body}\r\n"
    for te, cl in itertools.product(TE_LINES, CL_LINES[:2]):
        # The hidden one is in the content for one reader, and behind the last chunk for the other.
        whole = f"{chunk}0\r\n\r\n{hidden}"
        yield post("", f"{cl.format(len(whole))}\r\n{te}", whole)
        yield post("", f"{te}\r\n{cl.format(len(body))}", body + hidden)
    for te in TE_LINES:
        yield post("", te, f"{chunk}0\r\n\r\n") + hidden
    for cl in CL_LINES:
        yield post("", cl.format(len(body)), body) + hidden
        yield post("", cl.format(len(body) + len(hidden)), body + hidden)
    for end in ENDS:
        yield post("", TE_LINES[0], chunk + end) + hidden
    for size in SIZES:
        yield post("", TE_LINES[0], f"{size}{{\r\n{len(body) - 1:x}\r\n{body[1:]}\r\n0\r\n\r\n") + hidden
    for host in HOSTS:
        yield post("open", host=host) + hidden
    yield post("open").replace("HTTP/1.1", "HTTP/1.0") + hidden
    yield post("open").replace("\r\n", "\n") + hidden
    yield post("open").replace("POST /facade", "POST http://b/facade") + hidden
    yield post("open").replace("POST /facade", "POST /facade\tHTTP/1.1\r\nX: y") + hidden


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def reachable(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


class Proxy:
    """A proxy that runs, on a port of its own."""

    def __init__(self, kind, variant, facade, directory):
        self.dir = directory / f"{kind}-{variant}"
        self.dir.mkdir()
        self.log = self.dir / "count.log"
        # Between its choice and its use a port may be taken.
        for _ in range(5):
            self.port = free_port()
            self.start(kind, variant, facade)
            while self.process.poll() is None:
                if reachable(self.port):
                    return
                time.sleep(0.02)
        raise SystemExit(f"{kind} does not start, see {self.dir}")

    def start(self, kind, variant, facade):
        is_strict = variant == "strict"
        config = self.dir / "proxy.conf"
        template = NGINX if kind == "nginx" else HAPROXY
        config.write_text(template.format(
            dir=self.dir, facade=facade, port=self.port, buffering="on" if is_strict else "off",
            accept="" if is_strict else "option accept-invalid-http-request"))
        command = ["nginx", "-p", self.dir, "-c", config] if kind == "nginx" else ["haproxy", "-db", "-f", config]
        output = self.dir / "output.log" if kind == "nginx" else self.log
        with output.open("wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)

    def counted(self):
        """Posts that the facade has answered with 200, as the proxy counts them."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return len(re.findall(r"^POST 200;", text, re.M))

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


def stored(facade):
    """The texts in the log."""
    client = http.client.HTTPConnection(facade, timeout=10)
    client.request("GET", "/facade", headers={"Accept": "application/x-ndjson"})
    lines = client.getresponse().read().decode().splitlines()
    records = [json.loads(line) for line in lines]
    return [record for record in records if "sequence" in record]


def attack(port, payload):
    """Sends `payload`, and reads what comes within a moment."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(payload.encode("latin-1"))
        # Not all of them are answered while they are not whole.
        client.settimeout(0.4)
        try:
            while client.recv(65536):
                client.settimeout(0.1)
        except (TimeoutError, ConnectionError):
            pass


def victim(port, number):
    """Posts as an honest client does, and checks that the answer is its own."""
    key = str(uuid.uuid4())
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    client.request("POST", "/facade", json.dumps({"msg": f"victim {number}"}),
                   {"Content-Type": "application/json", "Idempotency-Key": key})
    response = client.getresponse()
    answer = json.loads(response.read())
    if response.status != 200 or answer.get("uuid") != key:
        raise SystemExit(f"the victim got {response.status} {answer} for {key}")


def until(what, holds):
    deadline = time.monotonic() + 20
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"never: {what}")
        time.sleep(0.02)


def run(kind, variant, facade, directory):
    before, sent = len(stored(facade)), 0
    proxy = Proxy(kind, variant, facade, directory)
    try:
        victim(proxy.port, 0)
        for sent, payload in enumerate(payloads(), 1):
            attack(proxy.port, payload)
            for number in range(2):
                victim(proxy.port, f"{sent}.{number}")
            # A message that the proxy knows nothing of would stay too many for ever.
            until(f"as many are stored as {kind} counts, after {payload!r}",
                  lambda: len(stored(facade)) - before == proxy.counted())
        # The count notices a message that did not come through the proxy.
        client = http.client.HTTPConnection(facade, timeout=10)
        client.request("POST", "/facade", '{"msg":"past the proxy"}', {"Content-Type": "application/json"})
        assert client.getresponse().status == 200
        assert len(stored(facade)) - before == proxy.counted() + 1
        print(f"{kind}, {variant}: {sent} payloads, {proxy.counted()} posts were counted and are stored")
    finally:
        proxy.stop()


def main():
    kind, facade, directory = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    started = time.monotonic()
    for variant in ["strict", "lenient"]:
        run(kind, variant, facade, directory)
    print(f"{time.monotonic() - started:.0f} s")


main()
