-- What several messages of one notice have in common, kept once.
CREATE TABLE message_body (
  id {id}, notice_id BIGINT NOT NULL REFERENCES notice (id), body TEXT NOT NULL);
CREATE INDEX message_body_notice ON message_body (notice_id);
ALTER TABLE message ADD COLUMN body_id BIGINT REFERENCES message_body (id);
-- Messages of one line wait for each other; lines take turns.
ALTER TABLE message ADD COLUMN line TEXT NOT NULL DEFAULT '';
