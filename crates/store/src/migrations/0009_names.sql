-- Names that repositories had before, in lower case; they lead to them until another repository takes the name.
CREATE TABLE repository_former_name (
  folded TEXT PRIMARY KEY, repository_id BIGINT NOT NULL REFERENCES repository (id));
