-- Which branches of hosted repositories are protected, and what repositories are about.
CREATE TABLE branch_permission (
  id {id}, repository_id BIGINT NOT NULL REFERENCES repository (id), pattern TEXT NOT NULL, restrictions TEXT NOT NULL,
  exempt_users TEXT NOT NULL, exempt_groups TEXT NOT NULL, made_by TEXT NOT NULL, created_ms BIGINT NOT NULL,
  UNIQUE (repository_id, pattern));
CREATE TABLE repository_description (
  repository_id BIGINT PRIMARY KEY REFERENCES repository (id), text TEXT NOT NULL);
