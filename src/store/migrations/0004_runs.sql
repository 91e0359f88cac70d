-- Runs, their journal, and the leases that keep two processes apart.

CREATE TABLE Runs (
    Id TEXT PRIMARY KEY,
    User TEXT NOT NULL,
    Origin TEXT NOT NULL,
    PolicySet TEXT NOT NULL,
    CommitId TEXT,
    StartedAt DATETIME NOT NULL,
    FinishedAt DATETIME,
    ExpiresAt DATETIME NOT NULL,
    State TEXT NOT NULL,
    Options TEXT NOT NULL
);
CREATE INDEX idx_runs_started ON Runs(StartedAt);
CREATE INDEX idx_runs_open ON Runs(State) WHERE State IN ('running', 'interrupted');

CREATE TABLE RunChanges (
    Run TEXT NOT NULL REFERENCES Runs(Id),
    Seq INTEGER NOT NULL,
    Device TEXT NOT NULL,
    Setting TEXT NOT NULL,
    Data TEXT NOT NULL,
    State TEXT NOT NULL,
    Attempts INTEGER NOT NULL DEFAULT 0,
    Error TEXT,
    Before TEXT,
    After TEXT,
    StartedAt DATETIME,
    FinishedAt DATETIME,
    PRIMARY KEY (Run, Seq)
);
CREATE INDEX idx_actions_status ON RunChanges(State);
CREATE INDEX idx_actions_device ON RunChanges(Device, State);

CREATE VIEW Actions AS
SELECT c.Run || '/' || c.Seq AS ActionId,
       c.Device AS DeviceId,
       c.Setting AS ActionType,
       CASE c.State WHEN 'pending' THEN 'Pending' WHEN 'queued' THEN 'Pending'
            WHEN 'started' THEN 'Running'
            WHEN 'done' THEN 'Completed' WHEN 'skipped' THEN 'Completed'
            WHEN 'cancelled' THEN 'Cancelled' WHEN 'stale' THEN 'Cancelled'
            ELSE 'Failed' END AS Status,
       5 AS Priority,
       c.Data AS Payload,
       json_object('state', c.State, 'error', c.Error, 'before', json(c.Before), 'after', json(c.After)) AS Result,
       r.StartedAt AS ScheduledAt,
       c.StartedAt AS StartedAt,
       c.FinishedAt AS CompletedAt,
       r.User AS CreatedBy,
       r.StartedAt AS CreatedAt
FROM RunChanges c
JOIN Runs r ON r.Id = c.Run;

CREATE TABLE Leases (
    Name TEXT PRIMARY KEY,
    Owner TEXT NOT NULL,
    Run TEXT NOT NULL,
    AcquiredAt INTEGER NOT NULL,
    ExpiresAt INTEGER NOT NULL
) WITHOUT ROWID;
