-- What its plan branch had considered when a build was held back: what is considered meanwhile stays.
ALTER TABLE held_build ADD COLUMN considered TEXT;
UPDATE held_build SET considered = (SELECT last_revision FROM plan_branch WHERE id = held_build.plan_branch_id);
