-- Lines of deployments' logs whose bytes were taken out, with who did so.
CREATE TABLE deployment_log_purge (
  result_id BIGINT NOT NULL, line BIGINT NOT NULL, purged_by TEXT NOT NULL, purged_ms BIGINT NOT NULL,
  PRIMARY KEY (result_id, line));
