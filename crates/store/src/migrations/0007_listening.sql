-- A webhook of no repository serves all linked ones.
CREATE TABLE webhook_of_any (
  id {id}, repository_id BIGINT REFERENCES repository (id), token_hash TEXT NOT NULL UNIQUE,
  secret BYTEA, description TEXT NOT NULL, created_ms BIGINT NOT NULL, revoked_ms BIGINT);
INSERT INTO webhook_of_any (id, repository_id, token_hash, secret, description, created_ms, revoked_ms)
  SELECT id, repository_id, token_hash, secret, description, created_ms, revoked_ms FROM webhook;
DROP TABLE webhook;
ALTER TABLE webhook_of_any RENAME TO webhook;
-- How we hear of pushes to a linked repository.
CREATE TABLE hearing (
  repository_id BIGINT PRIMARY KEY REFERENCES repository (id), told_ms BIGINT, told_by BIGINT, told_as TEXT,
  polled_ms BIGINT, missed_ms BIGINT, missed_event_id BIGINT, missed BIGINT NOT NULL, quiet BIGINT NOT NULL);
