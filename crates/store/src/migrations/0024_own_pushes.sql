-- What builds pushed: to which ref of which repository, so that their own plan passes it over, whoever finds it.
CREATE TABLE own_push (
  repository_id BIGINT NOT NULL, plan_id BIGINT NOT NULL, ref_name TEXT NOT NULL, revision TEXT NOT NULL,
  build_key TEXT NOT NULL, pushed_ms BIGINT NOT NULL, PRIMARY KEY (repository_id, revision, ref_name, plan_id));
CREATE INDEX own_push_age ON own_push (pushed_ms);
