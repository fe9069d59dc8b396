-- Timers of environments know when they were set, as those of plans do: clocks jump.
ALTER TABLE deployment_timer ADD COLUMN set_ms BIGINT NOT NULL DEFAULT 0;
