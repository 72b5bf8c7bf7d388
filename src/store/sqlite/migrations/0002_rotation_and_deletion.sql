-- Set exactly while the key is pending deletion: from then on it may be destroyed.
ALTER TABLE keys ADD COLUMN deletion_at_ms INTEGER;

-- When this version became the current one; null of the first.
ALTER TABLE key_materials ADD COLUMN rotated_at_ms INTEGER;
