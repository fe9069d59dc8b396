-- Tests. A case belongs to a job of a plan and is the same in all of the plan's branches; a run is how it ended once.
CREATE TABLE test_case (
  id {id}, plan_id BIGINT NOT NULL REFERENCES plan (id), job_key TEXT NOT NULL, class_name TEXT NOT NULL,
  name TEXT NOT NULL, quarantined_by TEXT, quarantined_ms BIGINT, quarantined_until_ms BIGINT,
  UNIQUE (plan_id, job_key, class_name, name));
CREATE INDEX test_case_quarantined ON test_case (plan_id, job_key) WHERE quarantined_ms IS NOT NULL;
CREATE TABLE test_run (
  job_id BIGINT NOT NULL REFERENCES job (id), case_id BIGINT NOT NULL REFERENCES test_case (id),
  plan_branch_id BIGINT NOT NULL, build_number BIGINT NOT NULL, position BIGINT NOT NULL, outcome TEXT NOT NULL,
  verdict TEXT NOT NULL, failing_since BIGINT, duration_ms BIGINT, PRIMARY KEY (job_id, case_id));
CREATE INDEX test_run_history ON test_run (case_id, plan_branch_id, build_number);
CREATE INDEX test_run_verdict ON test_run (job_id, verdict, position);
-- What a case said; only where it said something.
CREATE TABLE test_text (
  job_id BIGINT NOT NULL REFERENCES job (id), case_id BIGINT NOT NULL REFERENCES test_case (id), message TEXT NOT NULL,
  details TEXT NOT NULL, output TEXT NOT NULL, PRIMARY KEY (job_id, case_id));
-- How many tests of a job ended how; the numbers are JSON.
CREATE TABLE test_count (job_id {number} REFERENCES job (id), build_id BIGINT NOT NULL, counts TEXT NOT NULL);
CREATE INDEX test_count_build ON test_count (build_id);
-- Artifacts of jobs. The bytes of their files lie in the home, named by their hash.
CREATE TABLE artifact (
  id {id}, build_id BIGINT NOT NULL REFERENCES build (id), job_id BIGINT NOT NULL REFERENCES job (id), name TEXT NOT NULL,
  shared BIGINT NOT NULL, files BIGINT NOT NULL, bytes BIGINT NOT NULL, created_ms BIGINT NOT NULL);
CREATE INDEX artifact_build ON artifact (build_id);
CREATE INDEX artifact_job ON artifact (job_id);
CREATE TABLE artifact_file (
  artifact_id BIGINT NOT NULL REFERENCES artifact (id), path TEXT NOT NULL, hash TEXT NOT NULL, size BIGINT NOT NULL,
  executable BIGINT NOT NULL, PRIMARY KEY (artifact_id, path));
CREATE INDEX artifact_file_hash ON artifact_file (hash);
-- What a plan's policy removed of a result.
ALTER TABLE build ADD COLUMN expired TEXT NOT NULL DEFAULT '';
