-- Policy sets that were in force, and what was found of each device under them.

CREATE TABLE PolicySets (
    Hash TEXT PRIMARY KEY,
    CommitId TEXT,
    FirstSeen DATETIME NOT NULL
);

-- The set whose devices, sites and groups stand in their tables.
CREATE TABLE Declared (
    Id INTEGER PRIMARY KEY CHECK (Id = 1),
    PolicySet TEXT NOT NULL
);

-- When old history was last forgotten: once a day is enough.
CREATE TABLE Upkeep (
    Id INTEGER PRIMARY KEY CHECK (Id = 1),
    PrunedAt INTEGER NOT NULL
);

CREATE TABLE Policies (
    PolicySet TEXT NOT NULL REFERENCES PolicySets(Hash),
    Name TEXT NOT NULL,
    Data TEXT NOT NULL,
    PRIMARY KEY (PolicySet, Name)
) WITHOUT ROWID;

-- The latest verdict on each device, as the planner left it, and the hash of what went into it.
CREATE TABLE Verdicts (
    Device INTEGER PRIMARY KEY REFERENCES Devices(Id),
    InputHash BLOB NOT NULL,
    At INTEGER NOT NULL,
    Data BLOB NOT NULL
);

-- From when until when a device was judged under which policy set, and how many settings were compliant.
CREATE TABLE VerdictScopes (
    Id INTEGER PRIMARY KEY,
    Device INTEGER NOT NULL REFERENCES Devices(Id),
    ValidFrom INTEGER NOT NULL,
    ValidTo INTEGER,
    PolicySet TEXT NOT NULL,
    CommitId TEXT,
    Compliant INTEGER NOT NULL,
    Deviating INTEGER NOT NULL
);
CREATE UNIQUE INDEX idx_scopes_open ON VerdictScopes(Device) WHERE ValidTo IS NULL;
CREATE INDEX idx_scopes_device ON VerdictScopes(Device, ValidFrom);

-- Settings that were not simply compliant, from when until when. A setting within the scope without a row was compliant.
CREATE TABLE VerdictHistory (
    Id INTEGER PRIMARY KEY,
    Device INTEGER NOT NULL REFERENCES Devices(Id),
    Setting TEXT NOT NULL,
    ValidFrom INTEGER NOT NULL,
    ValidTo INTEGER,
    State TEXT NOT NULL,
    Observed TEXT NOT NULL,
    Desired TEXT NOT NULL,
    Policy TEXT NOT NULL,
    Place TEXT NOT NULL,
    CommitId TEXT
);
CREATE UNIQUE INDEX idx_verdicts_open ON VerdictHistory(Device, Setting) WHERE ValidTo IS NULL;
CREATE INDEX idx_verdicts_device ON VerdictHistory(Device, Setting, ValidFrom);
