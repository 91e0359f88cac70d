-- Updates: since when each has been known, what people decided, what was installed where.

-- When an update was first offered to any device of the fleet.
CREATE TABLE UpdatesSeen (
    Name TEXT NOT NULL,
    Version TEXT NOT NULL,
    FirstSeen DATETIME NOT NULL,
    PRIMARY KEY (Name, Version)
) WITHOUT ROWID;

-- Decisions by hand. Version is empty where every version is meant, Targets a list of selectors (everywhere where empty), Until
-- null where it is for good.
CREATE TABLE UpdateDecisions (
    Name TEXT NOT NULL,
    Version TEXT NOT NULL,
    Targets TEXT NOT NULL,
    Ruling TEXT NOT NULL CHECK (Ruling IN ('approve', 'deny', 'defer')),
    Until DATETIME,
    Reason TEXT NOT NULL,
    DecidedBy TEXT NOT NULL,
    DecidedAt DATETIME NOT NULL,
    PRIMARY KEY (Name, Version, Targets)
) WITHOUT ROWID;

-- Packages whose version changed. FromVersion is null where it was not there, ToVersion where it is gone. Action is null where
-- nobody here did it: a collection saw it. At in milliseconds since 1970.
CREATE TABLE UpdateHistory (
    Id INTEGER PRIMARY KEY,
    Device INTEGER NOT NULL REFERENCES Devices(Id),
    At INTEGER NOT NULL,
    Package TEXT NOT NULL,
    FromVersion TEXT,
    ToVersion TEXT,
    Action TEXT,
    Undone INTEGER NOT NULL DEFAULT 0,
    Run TEXT,
    ChangedBy TEXT
);
CREATE INDEX idx_updatehistory_device ON UpdateHistory(Device, At);
CREATE INDEX idx_updatehistory_at ON UpdateHistory(At);
CREATE INDEX idx_updatehistory_package ON UpdateHistory(Package, At);
CREATE INDEX idx_updatehistory_run ON UpdateHistory(Run) WHERE Run IS NOT NULL;
