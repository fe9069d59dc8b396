-- The bytes of an arrival are found by the number of its row, without an index of their own.
ALTER TABLE event_body RENAME TO event_body_before;
CREATE TABLE event_body (event_id {number} REFERENCES event (id), raw BYTEA NOT NULL);
INSERT INTO event_body (event_id, raw) SELECT event_id, raw FROM event_body_before;
DROP TABLE event_body_before;
