-- The audit: rows are only ever appended, numbered without gaps, and each carries the hash of the one before.

CREATE TABLE AuditLog (
    LogId INTEGER PRIMARY KEY AUTOINCREMENT,
    Timestamp DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    User TEXT,
    Action TEXT NOT NULL,
    Target TEXT,
    Details TEXT,
    IPAddress TEXT,
    Success INTEGER NOT NULL DEFAULT 1,
    PreviousHash BLOB NOT NULL,
    Hash BLOB NOT NULL
);
CREATE INDEX idx_audit_timestamp ON AuditLog(Timestamp);
CREATE INDEX idx_audit_target ON AuditLog(Target);

-- How many rows there are and the hash of the last: shows that the end was not cut off.
CREATE TABLE AuditHead (
    Id INTEGER PRIMARY KEY CHECK (Id = 1),
    Rows INTEGER NOT NULL,
    Hash BLOB NOT NULL
);
INSERT INTO AuditHead (Id, Rows, Hash) VALUES (1, 0, zeroblob(32));

-- REPLACE deletes without a delete trigger; it needs a number that exists already, which this one refuses.
CREATE TRIGGER audit_appends_only BEFORE INSERT ON AuditLog
WHEN NEW.LogId IS NOT (SELECT coalesce(max(LogId), 0) + 1 FROM AuditLog)
  OR NEW.PreviousHash IS NOT (SELECT Hash FROM AuditHead WHERE Id = 1)
  OR length(NEW.Hash) IS NOT 32
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;

CREATE TRIGGER audit_refuses_update BEFORE UPDATE ON AuditLog
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;

CREATE TRIGGER audit_refuses_delete BEFORE DELETE ON AuditLog
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;

CREATE TRIGGER audit_counts AFTER INSERT ON AuditLog
BEGIN UPDATE AuditHead SET Rows = NEW.LogId, Hash = NEW.Hash WHERE Id = 1; END;

CREATE TRIGGER audit_head_follows BEFORE UPDATE ON AuditHead
WHEN NEW.Id IS NOT 1 OR NEW.Rows IS NOT OLD.Rows + 1
  OR NEW.Hash IS NOT (SELECT Hash FROM AuditLog WHERE LogId = NEW.Rows)
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;

CREATE TRIGGER audit_head_stays BEFORE DELETE ON AuditHead
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;

CREATE TRIGGER audit_head_is_one BEFORE INSERT ON AuditHead
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
