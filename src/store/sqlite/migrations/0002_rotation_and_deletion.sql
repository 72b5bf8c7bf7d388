-- Set exactly while the key is pending deletion: from then on it may be destroyed.
ALTER TABLE keys ADD COLUMN deletion_at_ms INTEGER;

-- Both or neither: the key is rotated by itself, from when on next.
ALTER TABLE keys ADD COLUMN rotation_period_days INTEGER;
ALTER TABLE keys ADD COLUMN next_rotation_at_ms INTEGER;

-- When and how this version became the current one; null of the first.
ALTER TABLE key_materials ADD COLUMN rotated_at_ms INTEGER;
ALTER TABLE key_materials ADD COLUMN rotation_type TEXT CHECK (rotation_type IN ('ON_DEMAND', 'AUTOMATIC'));
