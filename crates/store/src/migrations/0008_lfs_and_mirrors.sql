-- Files that people locked by git-lfs, so that nobody else changes them meanwhile.
CREATE TABLE lfs_lock (
  id {id}, repository_id BIGINT NOT NULL REFERENCES repository (id), path TEXT NOT NULL, owner TEXT NOT NULL,
  ref_name TEXT NOT NULL, locked_ms BIGINT NOT NULL, UNIQUE (repository_id, path));

-- A hosted repository that is kept equal to a remote ('from'), or whose pushes go on to one ('to').
CREATE TABLE mirror (
  id {id}, repository_id BIGINT NOT NULL REFERENCES repository (id), direction TEXT NOT NULL, url TEXT NOT NULL,
  credential BYTEA, prune BIGINT NOT NULL, period_ms BIGINT NOT NULL, made_by TEXT NOT NULL, created_ms BIGINT NOT NULL,
  UNIQUE (repository_id, direction, url));
-- What changes with each run, apart from what is configured. Refs that moved up to `synced_event_id` are at the remote.
CREATE TABLE mirror_state (
  mirror_id BIGINT PRIMARY KEY REFERENCES mirror (id), due_ms BIGINT NOT NULL, failures BIGINT NOT NULL,
  synced_event_id BIGINT NOT NULL, last_attempt_ms BIGINT, last_success_ms BIGINT, problem TEXT);
