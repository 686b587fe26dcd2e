"""Shows what was voted for."""

import database
import web


def show():
    rows = database.query("SELECT choice, count(*) FROM vote GROUP BY choice ORDER BY choice")
    return "".join(f"{choice}: {count}\n" for choice, count in rows) or "no votes yet\n"


web.serve(show)
