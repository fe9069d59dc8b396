-- Lines of jobs' logs whose bytes were taken out, with who did so.
CREATE TABLE log_purge (
  job_id BIGINT NOT NULL, attempt BIGINT NOT NULL, line BIGINT NOT NULL, purged_by TEXT NOT NULL, purged_ms BIGINT NOT NULL,
  PRIMARY KEY (job_id, attempt, line));
