-- Public keys that come in by SSH: of a user, or of one repository. A key has one owner, so that it says who comes.
CREATE TABLE ssh_key (
  id {id}, user_id BIGINT REFERENCES users (id), repository_id BIGINT REFERENCES repository (id),
  openssh TEXT NOT NULL UNIQUE, fingerprint TEXT NOT NULL, comment TEXT NOT NULL, may_write BIGINT NOT NULL,
  created_ms BIGINT NOT NULL, last_used_ms BIGINT);
CREATE INDEX ssh_key_user ON ssh_key (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX ssh_key_repository ON ssh_key (repository_id) WHERE repository_id IS NOT NULL;
