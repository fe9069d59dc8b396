-- Where a ref was before a build pushed it, unless it was new or at what was built: there may be commits of others.
ALTER TABLE own_push ADD COLUMN onto_revision TEXT;
