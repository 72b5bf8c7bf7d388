-- Imported material: when it is deleted by itself, what its owner calls it, and whether it awaits the rotation that makes
-- it the current one. Material that was deleted has no bytes in `wrapped`; its id stays, to know it when it comes again.
ALTER TABLE key_materials ADD COLUMN imported INTEGER NOT NULL DEFAULT 0 CHECK (imported IN (0, 1));
ALTER TABLE key_materials ADD COLUMN pending_rotation INTEGER NOT NULL DEFAULT 0 CHECK (pending_rotation IN (0, 1));
ALTER TABLE key_materials ADD COLUMN valid_to_ms INTEGER;
ALTER TABLE key_materials ADD COLUMN description TEXT;

CREATE INDEX key_materials_by_expiry ON key_materials (valid_to_ms) WHERE valid_to_ms IS NOT NULL;
