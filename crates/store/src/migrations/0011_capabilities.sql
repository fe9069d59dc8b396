-- What administrators say that the built-in agents can do, over what those find out by themselves.
CREATE TABLE capability (
  key TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL,
  set_ms BIGINT NOT NULL
);
