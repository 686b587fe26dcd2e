ALTER TABLE job ADD COLUMN worker text;
CREATE INDEX job_open ON job (id) WHERE done IS NULL;
