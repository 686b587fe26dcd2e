"""PostgreSQL by the client library that the image has: connections are configured by PG... variables."""

import ctypes
from pathlib import Path

pq = ctypes.CDLL("libpq.so.5")
pq.PQconnectdb.restype = pq.PQexecParams.restype = ctypes.c_void_p
pq.PQgetvalue.restype = pq.PQerrorMessage.restype = ctypes.c_char_p
COMMAND_OK, TUPLES_OK = 1, 2


def query(sql, *values):
    """The rows of a statement with `$1`, `$2` ... for values, all of them text."""
    password = Path("/run/secrets/db-password").read_text().strip()
    escaped = password.replace("\\", "\\\\").replace("'", "\\'")
    connection = ctypes.c_void_p(pq.PQconnectdb(f"password='{escaped}'".encode()))
    try:
        texts = (ctypes.c_char_p * len(values))(*(str(value).encode() for value in values))
        result = ctypes.c_void_p(pq.PQexecParams(connection, sql.encode(), len(values), None, texts, None, None, 0))
        try:
            if pq.PQresultStatus(result) not in (COMMAND_OK, TUPLES_OK):
                raise ConnectionError(pq.PQerrorMessage(connection).decode().strip())
            rows, columns = range(pq.PQntuples(result)), range(pq.PQnfields(result))
            return [[pq.PQgetvalue(result, row, column).decode() for column in columns] for row in rows]
        finally:
            pq.PQclear(result)
    finally:
        pq.PQfinish(connection)
