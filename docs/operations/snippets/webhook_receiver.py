#!/usr/bin/env python3
"""A webhook for trying things out: prints each alert that it receives, one line each.

    webhook_receiver.py [--port 9099] [--status 200]

`curl -X PUT -d 401 http://127.0.0.1:9099/status` changes what it answers from now on.
"""

import argparse
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver(BaseHTTPRequestHandler):
    status = 200

    def do_PUT(self):
        Receiver.status = int(self.body())
        self.answer(200)
        print(f"from now on: {Receiver.status}", flush=True)

    def do_POST(self):
        body = self.body()
        self.answer(Receiver.status)
        try:
            alert = json.dumps(json.loads(body))
        except ValueError:
            alert = body
        print(f"answered {Receiver.status}: {alert}", flush=True)

    def body(self):
        length = int(self.headers.get("Content-Length", 0))
        return self.rfile.read(length).decode("utf-8", "replace")

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Each alert is printed once, above."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A webhook for trying things out")
    parser.add_argument("--port", type=int, default=9099)
    parser.add_argument("--status", type=int, default=200)
    args = parser.parse_args()
    Receiver.status = args.status
    print(f"waiting for alerts on http://127.0.0.1:{args.port}/", flush=True)
    ThreadingHTTPServer(("127.0.0.1", args.port), Receiver).serve_forever()
