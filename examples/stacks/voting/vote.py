"""Takes votes and puts them into the queue."""

import json
import os

import redis
import web

OPTIONS = os.environ["OPTIONS"].split()


def show():
    return f"vote for one of: {', '.join(OPTIONS)}\n"


def take(caller, form):
    choice, voter = form.get("vote", [""])[0], form.get("voter", [caller])[0]
    if choice not in OPTIONS:
        return 400, show()
    redis.command("RPUSH", "votes", json.dumps({"voter": voter, "choice": choice}))
    return 200, f"{voter} votes for {choice}\n"


web.serve(show, take)
