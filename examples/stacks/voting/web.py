"""What the two pages have in common: text over HTTP."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs


def serve(show, take=None):
    """Answers GET with what `show()` says, and POST with what `take(caller, form)` says."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            self.answer(200, show())

        def do_POST(self):
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.answer(*take(self.client_address[0], form)) if take else self.answer(405, "look only\n")

        def answer(self, status, text):
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    ThreadingHTTPServer(("", 8000), Page).serve_forever()
