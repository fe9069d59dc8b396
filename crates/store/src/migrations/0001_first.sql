CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE users (
  id {id}, name TEXT NOT NULL, folded TEXT NOT NULL UNIQUE, full_name TEXT NOT NULL, email TEXT NOT NULL,
  password_hash TEXT, administrator BIGINT NOT NULL, enabled BIGINT NOT NULL, created_ms BIGINT NOT NULL);
CREATE TABLE user_group (id {id}, name TEXT NOT NULL, folded TEXT NOT NULL UNIQUE, created_ms BIGINT NOT NULL);
CREATE TABLE group_member (
  group_id BIGINT NOT NULL REFERENCES user_group (id), user_id BIGINT NOT NULL REFERENCES users (id),
  PRIMARY KEY (group_id, user_id));
CREATE TABLE token (
  id {id}, user_id BIGINT NOT NULL REFERENCES users (id), name TEXT NOT NULL, hash TEXT NOT NULL UNIQUE,
  permissions TEXT NOT NULL, project TEXT, created_ms BIGINT NOT NULL, expires_ms BIGINT, revoked_ms BIGINT);
CREATE TABLE session (
  id {id}, hash TEXT NOT NULL UNIQUE, user_id BIGINT NOT NULL REFERENCES users (id), form_token TEXT NOT NULL,
  created_ms BIGINT NOT NULL, expires_ms BIGINT NOT NULL);
CREATE TABLE granted (
  id {id}, scope TEXT NOT NULL, subject TEXT NOT NULL, grantee_kind TEXT NOT NULL, grantee TEXT NOT NULL,
  permission TEXT NOT NULL, created_ms BIGINT NOT NULL, UNIQUE (scope, subject, grantee_kind, grantee, permission));

CREATE TABLE project (
  id {id}, key TEXT NOT NULL UNIQUE, name TEXT NOT NULL, description TEXT NOT NULL, created_ms BIGINT NOT NULL);

CREATE TABLE repository (
  id {id}, kind TEXT NOT NULL, name TEXT NOT NULL, folded TEXT NOT NULL UNIQUE, owner TEXT NOT NULL, slug TEXT NOT NULL,
  path TEXT NOT NULL, url TEXT NOT NULL, credential BYTEA, default_branch TEXT NOT NULL, hook_installed BIGINT NOT NULL,
  hears_pushes BIGINT NOT NULL, refs_known BIGINT NOT NULL, specs_enabled BIGINT NOT NULL,
  last_checked_ms BIGINT, problem TEXT, created_ms BIGINT NOT NULL);
CREATE TABLE repository_ref (
  repository_id BIGINT NOT NULL REFERENCES repository (id), name TEXT NOT NULL, object_id TEXT NOT NULL,
  updated_ms BIGINT NOT NULL, event_id BIGINT, PRIMARY KEY (repository_id, name));
CREATE TABLE webhook (
  id {id}, repository_id BIGINT NOT NULL REFERENCES repository (id), token_hash TEXT NOT NULL UNIQUE,
  secret BYTEA, description TEXT NOT NULL, created_ms BIGINT NOT NULL, revoked_ms BIGINT);

CREATE TABLE plan (
  id {id}, project_id BIGINT NOT NULL REFERENCES project (id), key TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
  description TEXT NOT NULL, enabled BIGINT NOT NULL, version_id BIGINT, specs_repository_id BIGINT,
  next_branch_number BIGINT NOT NULL, created_ms BIGINT NOT NULL);
CREATE INDEX plan_project ON plan (project_id);
CREATE TABLE plan_version (
  id {id}, plan_id BIGINT NOT NULL REFERENCES plan (id), configuration TEXT NOT NULL, digest TEXT NOT NULL,
  source TEXT NOT NULL, created_ms BIGINT NOT NULL, UNIQUE (plan_id, digest));
CREATE TABLE plan_repository (
  plan_id BIGINT NOT NULL REFERENCES plan (id), position BIGINT NOT NULL, name TEXT NOT NULL,
  repository_id BIGINT, PRIMARY KEY (plan_id, position));
CREATE INDEX plan_repository_by_repository ON plan_repository (repository_id);
CREATE TABLE plan_branch (
  id {id}, plan_id BIGINT NOT NULL REFERENCES plan (id), key TEXT NOT NULL UNIQUE, is_master BIGINT NOT NULL,
  vcs_branch TEXT, display_name TEXT NOT NULL, description TEXT NOT NULL, enabled BIGINT NOT NULL,
  cleanup_enabled BIGINT NOT NULL, automatic BIGINT NOT NULL, version_id BIGINT, next_build_number BIGINT NOT NULL,
  last_revision TEXT, last_change_ms BIGINT NOT NULL, missing_since_ms BIGINT, removed_ms BIGINT,
  created_ms BIGINT NOT NULL);
CREATE UNIQUE INDEX plan_branch_vcs ON plan_branch (plan_id, vcs_branch) WHERE vcs_branch IS NOT NULL;
CREATE INDEX plan_branch_plan ON plan_branch (plan_id, id);
CREATE TABLE plan_timer (
  plan_id BIGINT NOT NULL REFERENCES plan (id), position BIGINT NOT NULL, next_ms BIGINT NOT NULL,
  PRIMARY KEY (plan_id, position));
CREATE INDEX plan_timer_next ON plan_timer (next_ms);

-- An entry is written several times, the bytes of its arrival once: they have a table of their own.
CREATE TABLE event (
  id {permanent_id}, kind TEXT NOT NULL, delivery_id TEXT, received_ms BIGINT NOT NULL, address TEXT NOT NULL,
  principal TEXT NOT NULL, repository_id BIGINT, plan_key TEXT, summary TEXT NOT NULL, content TEXT NOT NULL,
  state TEXT NOT NULL, reason TEXT, status BIGINT, duplicate_of BIGINT, repeats BIGINT NOT NULL, processed_ms BIGINT);
CREATE TABLE event_body (event_id BIGINT PRIMARY KEY REFERENCES event (id), raw BYTEA NOT NULL);
CREATE UNIQUE INDEX event_delivery ON event (delivery_id) WHERE delivery_id IS NOT NULL;
CREATE INDEX event_waiting ON event (repository_id, id) WHERE state = 'received';
CREATE INDEX event_repository ON event (repository_id, id);
CREATE INDEX event_plan ON event (plan_key, id) WHERE plan_key IS NOT NULL;
CREATE TABLE event_note (
  id {permanent_id}, event_id BIGINT NOT NULL REFERENCES event (id), at_ms BIGINT NOT NULL, level TEXT NOT NULL, text TEXT NOT NULL);
CREATE INDEX event_note_event ON event_note (event_id, id);
CREATE TABLE decision (
  id {permanent_id}, event_id BIGINT NOT NULL REFERENCES event (id), plan_id BIGINT, plan_branch_id BIGINT, plan_key TEXT NOT NULL,
  ref_name TEXT NOT NULL, revision TEXT, build BIGINT NOT NULL, code TEXT NOT NULL, sentence TEXT NOT NULL,
  rules TEXT NOT NULL, build_id BIGINT, outcome TEXT, decided_ms BIGINT NOT NULL);
CREATE INDEX decision_event ON decision (event_id, id);
CREATE INDEX decision_branch ON decision (plan_branch_id, id) WHERE plan_branch_id IS NOT NULL;
CREATE INDEX decision_plan ON decision (plan_id, id);

CREATE TABLE build (
  id {id}, plan_id BIGINT NOT NULL REFERENCES plan (id), plan_branch_id BIGINT NOT NULL REFERENCES plan_branch (id),
  version_id BIGINT NOT NULL REFERENCES plan_version (id), key TEXT NOT NULL UNIQUE, number BIGINT NOT NULL,
  revision TEXT, vcs_branch TEXT, event_id BIGINT, reason TEXT NOT NULL, triggered_by TEXT NOT NULL,
  variables TEXT NOT NULL, once_off BIGINT NOT NULL, schedule TEXT NOT NULL, life_cycle TEXT NOT NULL,
  state TEXT NOT NULL, continuable BIGINT NOT NULL, restartable BIGINT NOT NULL, active BIGINT NOT NULL,
  created_ms BIGINT NOT NULL, started_ms BIGINT, finished_ms BIGINT, UNIQUE (plan_branch_id, number));
CREATE INDEX build_active ON build (plan_branch_id) WHERE active = 1;
CREATE INDEX build_plan ON build (plan_id, id);
CREATE INDEX build_revision_hash ON build (revision);
CREATE TABLE build_revision (
  build_id BIGINT NOT NULL REFERENCES build (id), position BIGINT NOT NULL, repository_id BIGINT, name TEXT NOT NULL,
  revision TEXT NOT NULL, previous TEXT, branch TEXT, PRIMARY KEY (build_id, position));
CREATE TABLE build_change (
  build_id BIGINT NOT NULL REFERENCES build (id), position BIGINT NOT NULL, changeset TEXT NOT NULL, author TEXT NOT NULL,
  email TEXT NOT NULL, message TEXT NOT NULL, at_ms BIGINT NOT NULL, files TEXT NOT NULL, PRIMARY KEY (build_id, position));
CREATE INDEX build_change_changeset ON build_change (changeset);
CREATE TABLE job (
  id {id}, build_id BIGINT NOT NULL REFERENCES build (id), stage BIGINT NOT NULL, position BIGINT NOT NULL,
  name TEXT NOT NULL, key TEXT NOT NULL, state TEXT NOT NULL, attempt BIGINT NOT NULL, holder TEXT, lease_until_ms BIGINT,
  queued_ms BIGINT, started_ms BIGINT, finished_ms BIGINT, outcome TEXT, UNIQUE (build_id, stage, position));
CREATE INDEX job_queued ON job (queued_ms, id) WHERE state = 'queued';
CREATE INDEX job_held ON job (holder) WHERE holder IS NOT NULL;
CREATE INDEX job_key ON job (key, id);
CREATE TABLE waiting_revision (
  id {id}, plan_branch_id BIGINT NOT NULL REFERENCES plan_branch (id), event_id BIGINT NOT NULL, decision_id BIGINT NOT NULL,
  revision TEXT NOT NULL, place BIGINT NOT NULL, content TEXT NOT NULL, created_ms BIGINT NOT NULL);
CREATE INDEX waiting_revision_branch ON waiting_revision (plan_branch_id, id);
