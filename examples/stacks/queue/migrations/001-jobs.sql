CREATE TABLE job (
    id serial PRIMARY KEY,
    kind text NOT NULL,
    argument text NOT NULL,
    done timestamptz
);
