-- What change detection wants to build while a parent holds its plan branch back: the newest of each.
CREATE TABLE held_build (
  plan_branch_id {number} REFERENCES plan_branch (id), decision_id BIGINT NOT NULL, revision TEXT NOT NULL,
  content TEXT NOT NULL, since_ms BIGINT NOT NULL);
