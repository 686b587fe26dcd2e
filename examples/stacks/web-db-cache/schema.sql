CREATE TABLE entry (
    id serial PRIMARY KEY,
    written timestamptz NOT NULL DEFAULT now(),
    name text NOT NULL,
    text text NOT NULL
);
INSERT INTO entry (name, text) VALUES ('the first', 'hello');
