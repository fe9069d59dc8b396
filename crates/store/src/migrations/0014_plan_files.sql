-- What was found in the plan files of a repository, branch by branch; each reading replaces what the last one found.
CREATE TABLE plan_finding (
  id {id}, repository_id BIGINT NOT NULL REFERENCES repository (id), branch TEXT NOT NULL, revision TEXT NOT NULL,
  plan_key TEXT, severity TEXT NOT NULL, finding TEXT NOT NULL, found_ms BIGINT NOT NULL);
CREATE INDEX plan_finding_repository ON plan_finding (repository_id, branch);
CREATE INDEX plan_finding_plan ON plan_finding (plan_key) WHERE plan_key IS NOT NULL;
-- Repositories whose plan files describe a plan that belongs to another; settled when an administrator decided.
CREATE TABLE plan_claim (
  plan_id BIGINT NOT NULL REFERENCES plan (id), repository_id BIGINT NOT NULL REFERENCES repository (id),
  revision TEXT NOT NULL, event_id BIGINT, claimed_ms BIGINT NOT NULL, settled_ms BIGINT,
  PRIMARY KEY (plan_id, repository_id));
CREATE INDEX plan_claim_repository ON plan_claim (repository_id);
-- Variables that people set: of the server, of projects, and values of plans that are in no plan file.
CREATE TABLE variable (
  id {id}, scope TEXT NOT NULL, subject TEXT NOT NULL, name TEXT NOT NULL, value TEXT, sealed BYTEA,
  secret BIGINT NOT NULL, changed_by TEXT NOT NULL, changed_ms BIGINT NOT NULL, UNIQUE (scope, subject, name));
-- Labels of plans and of results.
CREATE TABLE plan_label (
  plan_id BIGINT NOT NULL REFERENCES plan (id), name TEXT NOT NULL, PRIMARY KEY (plan_id, name));
CREATE TABLE result_label (
  build_id BIGINT NOT NULL REFERENCES build (id), name TEXT NOT NULL, made_by TEXT NOT NULL, made_ms BIGINT NOT NULL,
  PRIMARY KEY (build_id, name));
CREATE INDEX result_label_name ON result_label (name);
