-- Runs of workflows, their steps, and the queue of actions. Which step from which state is legal stands in the model.

CREATE TABLE WorkflowRuns (
    Id TEXT PRIMARY KEY,
    Workflow TEXT NOT NULL,
    Steps TEXT NOT NULL,
    Cause TEXT NOT NULL,
    CauseKey TEXT,
    Device TEXT,
    ParentRun TEXT REFERENCES WorkflowRuns(Id),
    ParentStep INTEGER,
    User TEXT NOT NULL,
    Origin TEXT NOT NULL,
    PolicySet TEXT NOT NULL,
    CommitId TEXT,
    Scripts TEXT NOT NULL,
    Priority INTEGER NOT NULL CHECK (Priority BETWEEN 1 AND 9),
    CreatedAt DATETIME NOT NULL,
    StartedAt DATETIME,
    FinishedAt DATETIME,
    State TEXT NOT NULL CHECK (State IN ('queued', 'running', 'undoing', 'succeeded', 'failed', 'cancelled')),
    Error TEXT,
    Cancel TEXT
);
-- What is seen twice starts one run.
CREATE UNIQUE INDEX idx_workflow_runs_cause ON WorkflowRuns(Workflow, CauseKey) WHERE CauseKey IS NOT NULL;
CREATE UNIQUE INDEX idx_workflow_runs_parent ON WorkflowRuns(ParentRun, ParentStep) WHERE ParentRun IS NOT NULL;
CREATE INDEX idx_workflow_runs_open ON WorkflowRuns(Workflow, CreatedAt) WHERE State IN ('queued', 'running', 'undoing');
CREATE INDEX idx_workflow_runs_created ON WorkflowRuns(CreatedAt);

CREATE TABLE WorkflowSteps (
    Run TEXT NOT NULL REFERENCES WorkflowRuns(Id),
    Step INTEGER NOT NULL,
    Name TEXT NOT NULL,
    State TEXT NOT NULL CHECK (State IN ('pending', 'waiting', 'running', 'succeeded', 'failed', 'skipped', 'cancelled')),
    WakeAt DATETIME,
    BegunAt DATETIME,
    StartedAt DATETIME,
    FinishedAt DATETIME,
    Result TEXT NOT NULL DEFAULT 'null',
    Reason TEXT,
    PRIMARY KEY (Run, Step)
);

-- N is the order in which jobs were asked for.
CREATE TABLE Jobs (
    N INTEGER PRIMARY KEY,
    Id TEXT NOT NULL UNIQUE,
    Run TEXT NOT NULL REFERENCES WorkflowRuns(Id),
    Step INTEGER NOT NULL,
    Device TEXT NOT NULL,
    Action TEXT NOT NULL,
    Params TEXT NOT NULL,
    Part TEXT NOT NULL CHECK (Part IN ('run', 'rollback')),
    Undoes TEXT,
    Priority INTEGER NOT NULL,
    State TEXT NOT NULL CHECK (State IN ('pending', 'waiting', 'running', 'succeeded', 'failed', 'skipped', 'cancelled', 'expired',
                                         'interrupted')),
    WaitsFor TEXT CHECK (WaitsFor IS NULL OR (WaitsFor IN ('retry', 'device', 'window', 'busy', 'restart') AND State = 'waiting')),
    Phase TEXT NOT NULL CHECK (Phase IN ('act', 'restart', 'return')),
    Attempt INTEGER NOT NULL DEFAULT 0,
    Retries INTEGER NOT NULL DEFAULT 0,
    WakeAt DATETIME,
    ExpiresAt DATETIME NOT NULL,
    CreatedAt DATETIME NOT NULL,
    StartedAt DATETIME,
    FinishedAt DATETIME,
    Reason TEXT,
    Result TEXT NOT NULL DEFAULT 'null',
    Memo TEXT NOT NULL DEFAULT 'null'
);
-- Covers the counts of a step.
CREATE INDEX idx_jobs_run ON Jobs(Run, Part, Step, State, WaitsFor);
CREATE INDEX idx_jobs_open ON Jobs(Run, Priority, N) WHERE State IN ('pending', 'waiting', 'running');
CREATE INDEX idx_jobs_device ON Jobs(Device, N);
CREATE INDEX idx_jobs_device_open ON Jobs(Device, Priority, N) WHERE State IN ('pending', 'waiting', 'running');
CREATE UNIQUE INDEX idx_jobs_undoes ON Jobs(Undoes) WHERE Undoes IS NOT NULL;

CREATE TABLE JobOutputs (
    Job TEXT NOT NULL REFERENCES Jobs(Id),
    Attempt INTEGER NOT NULL,
    Seq INTEGER NOT NULL,
    Line TEXT NOT NULL,
    Code INTEGER NOT NULL,
    Stdout TEXT NOT NULL,
    Stderr TEXT NOT NULL,
    PRIMARY KEY (Job, Attempt, Seq)
);

INSERT INTO Revisions (Name, Value) VALUES ('workflows', 0);

DROP VIEW Actions;
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
JOIN Runs r ON r.Id = c.Run
UNION ALL
SELECT j.Id,
       nullif(j.Device, ''),
       j.Action,
       CASE j.State WHEN 'pending' THEN 'Pending' WHEN 'waiting' THEN 'Pending'
            WHEN 'running' THEN 'Running'
            WHEN 'succeeded' THEN 'Completed' WHEN 'skipped' THEN 'Completed'
            WHEN 'cancelled' THEN 'Cancelled' WHEN 'expired' THEN 'Cancelled'
            ELSE 'Failed' END,
       j.Priority,
       j.Params,
       json_object('state', j.State, 'error', j.Reason, 'result', json(j.Result)),
       coalesce(j.WakeAt, j.CreatedAt),
       j.StartedAt,
       j.FinishedAt,
       w.User,
       j.CreatedAt
FROM Jobs j
JOIN WorkflowRuns w ON w.Id = j.Run;
