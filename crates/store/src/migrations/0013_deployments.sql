-- Deployment projects. `naming` is where the naming of releases stands, as JSON; what was asked for is in the version.
CREATE TABLE deployment_project (
  id {id}, name TEXT NOT NULL, folded TEXT UNIQUE, description TEXT NOT NULL, plan_key TEXT NOT NULL,
  version_id BIGINT NOT NULL, specs_repository_id BIGINT, naming TEXT NOT NULL, permissions TEXT,
  created_ms BIGINT NOT NULL, removed_ms BIGINT);
CREATE INDEX deployment_project_plan ON deployment_project (plan_key);
CREATE TABLE deployment_version (
  id {id}, deployment_id BIGINT NOT NULL REFERENCES deployment_project (id), configuration TEXT NOT NULL,
  digest TEXT NOT NULL, source TEXT NOT NULL, created_ms BIGINT NOT NULL, UNIQUE (deployment_id, digest));
-- An environment that the file does not list any more is removed, and keeps its history if it comes back.
CREATE TABLE deployment_environment (
  id {id}, deployment_id BIGINT NOT NULL REFERENCES deployment_project (id), name TEXT NOT NULL,
  position BIGINT NOT NULL, description TEXT NOT NULL, restricted BIGINT NOT NULL, removed_ms BIGINT,
  UNIQUE (deployment_id, name));
CREATE TABLE deployment_timer (
  environment_id BIGINT NOT NULL REFERENCES deployment_environment (id), position BIGINT NOT NULL,
  next_ms BIGINT NOT NULL, PRIMARY KEY (environment_id, position));
CREATE TABLE deployment_release (
  id {permanent_id}, deployment_id BIGINT NOT NULL REFERENCES deployment_project (id), name TEXT NOT NULL,
  build_id BIGINT NOT NULL REFERENCES build (id), build_key TEXT NOT NULL, branch_name TEXT, creator TEXT,
  variables TEXT NOT NULL, status TEXT NOT NULL, status_by TEXT, status_ms BIGINT, created_ms BIGINT NOT NULL,
  UNIQUE (deployment_id, name));
CREATE INDEX deployment_release_build ON deployment_release (build_id);
CREATE TABLE deployment_result (
  id {permanent_id}, deployment_id BIGINT NOT NULL REFERENCES deployment_project (id),
  environment_id BIGINT NOT NULL REFERENCES deployment_environment (id),
  release_id BIGINT NOT NULL REFERENCES deployment_release (id),
  version_id BIGINT NOT NULL REFERENCES deployment_version (id), state TEXT NOT NULL, word TEXT NOT NULL,
  reason TEXT NOT NULL, triggered_by TEXT NOT NULL, variables TEXT NOT NULL, outcome TEXT, queued_ms BIGINT NOT NULL);
CREATE INDEX deployment_result_environment ON deployment_result (environment_id, id);
CREATE INDEX deployment_result_release ON deployment_result (release_id, id);
CREATE INDEX deployment_result_queued ON deployment_result (queued_ms, id) WHERE word = 'queued';
CREATE INDEX deployment_result_held ON deployment_result (environment_id) WHERE word IN ('leased', 'running');
-- Why something was, or was not, deployed.
CREATE TABLE deployment_note (
  id {permanent_id}, deployment_id BIGINT NOT NULL REFERENCES deployment_project (id), environment_id BIGINT,
  release_id BIGINT, level TEXT NOT NULL, text TEXT NOT NULL, at_ms BIGINT NOT NULL);
CREATE INDEX deployment_note_project ON deployment_note (deployment_id, id);
