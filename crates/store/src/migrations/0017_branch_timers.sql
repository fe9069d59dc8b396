-- Plan branches have timers of their own. Those of the plan go on where they stood.
CREATE TABLE plan_branch_timer (
  plan_branch_id BIGINT NOT NULL REFERENCES plan_branch (id), version_id BIGINT NOT NULL,
  position BIGINT NOT NULL, next_ms BIGINT, set_ms BIGINT NOT NULL,
  event_id BIGINT, PRIMARY KEY (plan_branch_id, version_id, position));
INSERT INTO plan_branch_timer (plan_branch_id, version_id, position, next_ms, set_ms)
  SELECT b.id, p.version_id, t.position, t.next_ms, 0 FROM plan_timer t JOIN plan p ON p.id = t.plan_id
    JOIN plan_branch b ON b.plan_id = p.id AND b.is_master = 1;
DROP TABLE plan_timer;
