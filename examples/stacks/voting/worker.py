"""Brings votes from the queue into the database. A vote stays in the queue until the database has it."""

import json

import database
import redis

# What an earlier worker had taken and not finished.
while redis.command("LMOVE", "working", "votes", "RIGHT", "LEFT"):
    pass

while True:
    vote = redis.command("BLMOVE", "votes", "working", "LEFT", "RIGHT", 0)
    known = json.loads(vote)
    database.query(
        "INSERT INTO vote VALUES ($1, $2) ON CONFLICT (voter) DO UPDATE SET choice = excluded.choice",
        known["voter"],
        known["choice"],
    )
    redis.command("LREM", "working", 1, vote)
    print("counted", vote)
