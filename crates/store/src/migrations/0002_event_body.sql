-- The bytes of an arrival have a table of their own: an entry is written several times, its bytes once.
CREATE TABLE event_body (
  event_id BIGINT PRIMARY KEY REFERENCES event (id), raw BYTEA NOT NULL);
INSERT INTO event_body (event_id, raw) SELECT id, raw FROM event WHERE LENGTH(raw) > 0;
ALTER TABLE event DROP COLUMN raw;
