-- What the daemon has to know again after a restart.

-- The latest due moment of each schedule that somebody has claimed. Due in milliseconds since 1970.
CREATE TABLE Schedules (
    Name TEXT PRIMARY KEY,
    Due INTEGER NOT NULL,
    StartedAt DATETIME NOT NULL,
    FinishedAt DATETIME,
    Outcome TEXT
) WITHOUT ROWID;

-- How far the log of a device has been read.
CREATE TABLE EventCursors (
    Device INTEGER NOT NULL REFERENCES Devices(Id),
    Source TEXT NOT NULL,
    Cursor TEXT NOT NULL,
    At DATETIME NOT NULL,
    PRIMARY KEY (Device, Source)
) WITHOUT ROWID;

-- Records of logs. CursorHash is made of source and cursor: the same record is kept once. At in milliseconds since 1970,
-- Priority as in syslog (0 emergency, 7 debug).
CREATE TABLE Events (
    Id INTEGER PRIMARY KEY,
    Device INTEGER NOT NULL REFERENCES Devices(Id),
    At INTEGER NOT NULL,
    Priority INTEGER NOT NULL,
    Source TEXT NOT NULL,
    Origin TEXT NOT NULL,
    Code INTEGER,
    Message TEXT NOT NULL,
    Data TEXT,
    Cursor TEXT NOT NULL,
    CursorHash INTEGER NOT NULL
);
CREATE UNIQUE INDEX idx_events_cursor ON Events(Device, CursorHash);
CREATE INDEX idx_events_device ON Events(Device, At);
CREATE INDEX idx_events_at ON Events(At);

-- What is left alone until somebody, or a new policy set, resumes it. Device is empty where Kind is not 'setting'.
CREATE TABLE Suspensions (
    Kind TEXT NOT NULL CHECK (Kind IN ('device', 'group', 'policy', 'setting')),
    Name TEXT NOT NULL,
    Device TEXT NOT NULL,
    Since DATETIME NOT NULL,
    CreatedBy TEXT NOT NULL,
    Reason TEXT NOT NULL,
    Automatic INTEGER NOT NULL,
    PolicySet TEXT,
    PRIMARY KEY (Kind, Name, Device)
) WITHOUT ROWID;

-- Changes that failed, or did not last, one after another.
CREATE TABLE Convergence (
    Device INTEGER NOT NULL REFERENCES Devices(Id),
    Setting TEXT NOT NULL,
    Failures INTEGER NOT NULL,
    Reverted INTEGER NOT NULL,
    At DATETIME NOT NULL,
    PRIMARY KEY (Device, Setting)
) WITHOUT ROWID;

-- How each check of a device stands, and every time that this changed. Times in milliseconds since 1970.
CREATE TABLE Checks (
    Device INTEGER NOT NULL REFERENCES Devices(Id),
    Name TEXT NOT NULL,
    Up INTEGER NOT NULL,
    Since INTEGER NOT NULL,
    At INTEGER NOT NULL,
    LatencyMs REAL,
    LossPercent REAL,
    Reason TEXT,
    PRIMARY KEY (Device, Name)
) WITHOUT ROWID;

CREATE TABLE CheckHistory (
    Device INTEGER NOT NULL REFERENCES Devices(Id),
    Name TEXT NOT NULL,
    At INTEGER NOT NULL,
    Up INTEGER NOT NULL,
    Reason TEXT,
    PRIMARY KEY (Device, Name, At)
) WITHOUT ROWID;
CREATE INDEX idx_check_history_at ON CheckHistory(At);

CREATE TABLE Health (
    Device INTEGER PRIMARY KEY REFERENCES Devices(Id),
    Score INTEGER NOT NULL,
    At DATETIME NOT NULL,
    Parts TEXT NOT NULL
);
