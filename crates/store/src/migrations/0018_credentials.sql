-- Shared credentials: of the server, or of a project. What they hold is sealed as one text.
CREATE TABLE credential (
  id {id}, project TEXT NOT NULL, name TEXT NOT NULL, folded TEXT NOT NULL, kind TEXT NOT NULL, username TEXT NOT NULL,
  fingerprint TEXT NOT NULL, sealed BYTEA NOT NULL, changed_by TEXT NOT NULL, changed_ms BIGINT NOT NULL,
  last_used_ms BIGINT, last_used_by TEXT, UNIQUE (project, folded));
-- Who may use one: the plan files of a repository, the plans of a project, users and groups.
CREATE TABLE credential_grant (
  credential_id BIGINT NOT NULL REFERENCES credential (id), grantee_kind TEXT NOT NULL, grantee TEXT NOT NULL,
  granted_by TEXT NOT NULL, granted_ms BIGINT NOT NULL, PRIMARY KEY (credential_id, grantee_kind, grantee));
-- Linked repositories that are read with one.
CREATE TABLE repository_credential (
  repository_id BIGINT NOT NULL REFERENCES repository (id), credential_id BIGINT NOT NULL REFERENCES credential (id),
  PRIMARY KEY (repository_id));
CREATE INDEX repository_credential_of ON repository_credential (credential_id);
