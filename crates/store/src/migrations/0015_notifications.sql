-- Whether a version of a plan has anybody told of anything; of old versions it is not known.
ALTER TABLE plan_version ADD COLUMN notifies BIGINT NOT NULL DEFAULT 1;
-- Who watches a plan (its first branch) or a plan branch: Bamboo's favourites.
CREATE TABLE watcher (
  plan_branch_id BIGINT NOT NULL, user_id BIGINT NOT NULL, since_ms BIGINT NOT NULL,
  PRIMARY KEY (plan_branch_id, user_id));
CREATE INDEX watcher_user ON watcher (user_id);
-- Who is responsible for the failure of a plan branch.
CREATE TABLE responsible (
  plan_branch_id BIGINT NOT NULL, user_id BIGINT NOT NULL, assigned_by TEXT NOT NULL, since_ms BIGINT NOT NULL,
  PRIMARY KEY (plan_branch_id, user_id));
-- What people said of results.
CREATE TABLE result_comment (
  id {id}, build_id BIGINT NOT NULL REFERENCES build (id), author TEXT NOT NULL, content TEXT NOT NULL,
  created_ms BIGINT NOT NULL);
CREATE INDEX result_comment_build ON result_comment (build_id, id);
-- What happened and is to be told; and who was told, once that is settled.
CREATE TABLE notice (
  id {id}, plan_id BIGINT, build_id BIGINT, content TEXT NOT NULL, created_ms BIGINT NOT NULL, settled_ms BIGINT,
  summary TEXT NOT NULL);
CREATE INDEX notice_open ON notice (id) WHERE settled_ms IS NULL;
CREATE INDEX notice_plan ON notice (plan_id, id);
-- Messages to one address each, rendered.
CREATE TABLE message (
  id {id}, uid TEXT NOT NULL UNIQUE, notice_id BIGINT NOT NULL REFERENCES notice (id), medium TEXT NOT NULL,
  recipient TEXT NOT NULL, address TEXT NOT NULL, event TEXT NOT NULL, subject TEXT NOT NULL, content TEXT NOT NULL,
  progress TEXT NOT NULL, open BIGINT NOT NULL, due_ms BIGINT NOT NULL, created_ms BIGINT NOT NULL);
CREATE INDEX message_due ON message (due_ms) WHERE open = 1;
CREATE INDEX message_notice ON message (notice_id);
CREATE TABLE message_attempt (
  id {id}, message_id BIGINT NOT NULL REFERENCES message (id), number BIGINT NOT NULL, began_ms BIGINT NOT NULL,
  duration_ms BIGINT NOT NULL, answer TEXT NOT NULL);
CREATE INDEX message_attempt_message ON message_attempt (message_id, id);
