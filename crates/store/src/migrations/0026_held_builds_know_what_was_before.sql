-- What its plan branch had considered when a build was held back: what is considered meanwhile stays.
ALTER TABLE held_build ADD COLUMN considered TEXT;
