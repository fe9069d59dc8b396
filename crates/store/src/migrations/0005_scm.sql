-- The version control system of a repository: git or hg.
ALTER TABLE repository ADD COLUMN scm TEXT NOT NULL DEFAULT 'git';
