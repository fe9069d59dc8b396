-- The issues that the commits of a build name, so that its results are found by them.
CREATE TABLE build_issue (
  issue TEXT NOT NULL, plan_branch_id BIGINT NOT NULL, build_id BIGINT NOT NULL REFERENCES build (id),
  PRIMARY KEY (issue, plan_branch_id, build_id));
CREATE INDEX build_issue_build ON build_issue (build_id);
-- Lists of results count those that have finished.
CREATE INDEX build_finished ON build (plan_branch_id, number, state) WHERE life_cycle = 'Finished';
