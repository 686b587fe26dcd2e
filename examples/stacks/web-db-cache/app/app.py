"""The guestbook: entries are in the database, the page is kept in the cache until somebody writes."""

import html
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import cache
import database


def page():
    kept = cache.command("GET", "page")
    if kept is None:
        rows = database.query("SELECT name, text FROM entry ORDER BY id DESC LIMIT 50")
        kept = "".join(f"{html.escape(name)}: {html.escape(text)}\n" for name, text in rows)
        cache.command("SET", "page", kept, "EX", 60)
    reads = cache.command("INCR", "reads")
    return f"{kept}-- read {reads} times; this is {socket.gethostname()}\n"


class Guestbook(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer("well\n" if self.path == "/healthz" else page())

    def do_POST(self):
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        name, text = form.get("name", ["somebody"])[0], form.get("text", [""])[0]
        database.query("INSERT INTO entry (name, text) VALUES ($1, $2)", name[:100], text[:1000])
        cache.command("DEL", "page")
        self.answer(page())

    def answer(self, text):
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("", 8000), Guestbook).serve_forever()
