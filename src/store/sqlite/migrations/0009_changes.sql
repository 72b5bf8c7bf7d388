-- What changed, in order, so that a broker forgets no more of what it remembers. Triggers write it, so that whoever
-- changes a table is heard, too. The newest 10,000 are kept; whoever has not read as far back as that forgets everything.
CREATE TABLE changes (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    -- A key, also its material, aliases and tags; an alias; the grants of a key; a grant; a credential; the policies of a
    -- principal.
    what   TEXT NOT NULL CHECK (what IN ('key', 'alias', 'grants', 'grant', 'credential', 'policies')),
    id     TEXT NOT NULL
) STRICT;

CREATE TRIGGER changes_kept AFTER INSERT ON changes BEGIN
    DELETE FROM changes WHERE number <= NEW.number - 10000;
END;

CREATE TRIGGER keys_inserted AFTER INSERT ON keys BEGIN
    INSERT INTO changes (what, id) VALUES ('key', NEW.key_id);
END;
CREATE TRIGGER keys_updated AFTER UPDATE ON keys BEGIN
    INSERT INTO changes (what, id) VALUES ('key', OLD.key_id);
    INSERT INTO changes (what, id) VALUES ('key', NEW.key_id);
END;
CREATE TRIGGER keys_deleted AFTER DELETE ON keys BEGIN
    INSERT INTO changes (what, id) VALUES ('key', OLD.key_id);
END;

CREATE TRIGGER key_materials_inserted AFTER INSERT ON key_materials BEGIN
    INSERT INTO changes (what, id) VALUES ('key', NEW.key_id);
END;
CREATE TRIGGER key_materials_updated AFTER UPDATE ON key_materials BEGIN
    INSERT INTO changes (what, id) VALUES ('key', OLD.key_id);
    INSERT INTO changes (what, id) VALUES ('key', NEW.key_id);
END;
CREATE TRIGGER key_materials_deleted AFTER DELETE ON key_materials BEGIN
    INSERT INTO changes (what, id) VALUES ('key', OLD.key_id);
END;

CREATE TRIGGER tags_inserted AFTER INSERT ON tags BEGIN
    INSERT INTO changes (what, id) VALUES ('key', NEW.key_id);
END;
CREATE TRIGGER tags_updated AFTER UPDATE ON tags BEGIN
    INSERT INTO changes (what, id) VALUES ('key', OLD.key_id);
    INSERT INTO changes (what, id) VALUES ('key', NEW.key_id);
END;
CREATE TRIGGER tags_deleted AFTER DELETE ON tags BEGIN
    INSERT INTO changes (what, id) VALUES ('key', OLD.key_id);
END;

CREATE TRIGGER aliases_inserted AFTER INSERT ON aliases BEGIN
    INSERT INTO changes (what, id) VALUES ('key', NEW.key_id);
    INSERT INTO changes (what, id) VALUES ('alias', NEW.name);
END;
CREATE TRIGGER aliases_updated AFTER UPDATE ON aliases BEGIN
    INSERT INTO changes (what, id) VALUES ('key', OLD.key_id);
    INSERT INTO changes (what, id) VALUES ('alias', OLD.name);
    INSERT INTO changes (what, id) VALUES ('key', NEW.key_id);
    INSERT INTO changes (what, id) VALUES ('alias', NEW.name);
END;
CREATE TRIGGER aliases_deleted AFTER DELETE ON aliases BEGIN
    INSERT INTO changes (what, id) VALUES ('key', OLD.key_id);
    INSERT INTO changes (what, id) VALUES ('alias', OLD.name);
END;

CREATE TRIGGER grants_inserted AFTER INSERT ON grants BEGIN
    INSERT INTO changes (what, id) VALUES ('grants', NEW.key_id);
    INSERT INTO changes (what, id) VALUES ('grant', lower(hex(NEW.grant_id)));
END;
CREATE TRIGGER grants_updated AFTER UPDATE ON grants BEGIN
    INSERT INTO changes (what, id) VALUES ('grants', OLD.key_id);
    INSERT INTO changes (what, id) VALUES ('grant', lower(hex(OLD.grant_id)));
    INSERT INTO changes (what, id) VALUES ('grants', NEW.key_id);
    INSERT INTO changes (what, id) VALUES ('grant', lower(hex(NEW.grant_id)));
END;
CREATE TRIGGER grants_deleted AFTER DELETE ON grants BEGIN
    INSERT INTO changes (what, id) VALUES ('grants', OLD.key_id);
    INSERT INTO changes (what, id) VALUES ('grant', lower(hex(OLD.grant_id)));
END;

CREATE TRIGGER credentials_inserted AFTER INSERT ON credentials BEGIN
    INSERT INTO changes (what, id) VALUES ('credential', NEW.access_key_id);
END;
CREATE TRIGGER credentials_updated AFTER UPDATE ON credentials BEGIN
    INSERT INTO changes (what, id) VALUES ('credential', OLD.access_key_id);
    INSERT INTO changes (what, id) VALUES ('credential', NEW.access_key_id);
END;
CREATE TRIGGER credentials_deleted AFTER DELETE ON credentials BEGIN
    INSERT INTO changes (what, id) VALUES ('credential', OLD.access_key_id);
END;

CREATE TRIGGER identity_policies_inserted AFTER INSERT ON identity_policies BEGIN
    INSERT INTO changes (what, id) VALUES ('policies', NEW.principal_arn);
END;
CREATE TRIGGER identity_policies_updated AFTER UPDATE ON identity_policies BEGIN
    INSERT INTO changes (what, id) VALUES ('policies', OLD.principal_arn);
    INSERT INTO changes (what, id) VALUES ('policies', NEW.principal_arn);
END;
CREATE TRIGGER identity_policies_deleted AFTER DELETE ON identity_policies BEGIN
    INSERT INTO changes (what, id) VALUES ('policies', OLD.principal_arn);
END;
