-- What a linked repository says of forks: the policy, and the logins of trusted authors as a JSON list.
ALTER TABLE repository ADD COLUMN forks TEXT NOT NULL DEFAULT 'never';
ALTER TABLE repository ADD COLUMN trusted_authors TEXT NOT NULL DEFAULT '[]';
-- Pull requests as forges last told of them.
CREATE TABLE pull_request (
  id {id}, repository_id BIGINT NOT NULL REFERENCES repository (id), number BIGINT NOT NULL, open BIGINT NOT NULL,
  from_fork BIGINT NOT NULL, title TEXT NOT NULL, author TEXT, source_branch TEXT NOT NULL,
  source_repository TEXT NOT NULL, target_branch TEXT NOT NULL, head_ref TEXT, head TEXT, allowed_head TEXT,
  allowed_by TEXT, updated_ms BIGINT, told_ms BIGINT NOT NULL, UNIQUE (repository_id, number));
-- The pull request that a plan branch was made for.
ALTER TABLE plan_branch ADD COLUMN pull_request_id BIGINT;
