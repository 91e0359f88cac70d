-- Alerts, what is sent because of them, and silences. Nothing has ever been written to the table that this replaces.

DROP TABLE Alerts;

-- DeviceId is absent where an alert is about a site (SiteId) or the product itself. What stands before State is known to
-- report writers. Revision grows with every write; Writer is whoever wrote last.
CREATE TABLE Alerts (
    AlertId TEXT PRIMARY KEY,
    DeviceId TEXT REFERENCES Devices(DeviceId),
    AlertType TEXT NOT NULL,
    Severity TEXT NOT NULL,
    Title TEXT NOT NULL,
    Message TEXT,
    Source TEXT,
    CreatedAt DATETIME NOT NULL,
    AcknowledgedAt DATETIME,
    AcknowledgedBy TEXT,
    ResolvedAt DATETIME,
    ResolvedBy TEXT,
    AutoResolved INTEGER NOT NULL DEFAULT 0,
    NotificationsSent TEXT NOT NULL DEFAULT '[]',
    State TEXT NOT NULL CHECK (State IN ('Triggered', 'Active', 'Acknowledged', 'Resolved', 'Archived')),
    Subject TEXT NOT NULL CHECK (Subject IN ('device', 'site', 'system') AND (Subject = 'device') = (DeviceId IS NOT NULL)
                                 AND (Subject = 'site') = (SiteId IS NOT NULL)),
    SiteId TEXT,
    Instance TEXT NOT NULL,
    Value REAL,
    Unit TEXT,
    Suppressed TEXT,
    Count INTEGER NOT NULL,
    LastAt DATETIME NOT NULL,
    Notes TEXT NOT NULL,
    Progress TEXT NOT NULL,
    Revision INTEGER NOT NULL,
    Writer TEXT NOT NULL
);
CREATE INDEX idx_alerts_device ON Alerts(DeviceId, CreatedAt);
CREATE INDEX idx_alerts_severity ON Alerts(Severity);
CREATE INDEX idx_alerts_created ON Alerts(CreatedAt);
CREATE INDEX idx_alerts_open ON Alerts(CreatedAt) WHERE State IN ('Triggered', 'Active', 'Acknowledged');
CREATE UNIQUE INDEX idx_alerts_revision ON Alerts(Revision);

-- The latest revision of what several processes write.
CREATE TABLE Revisions (
    Name TEXT PRIMARY KEY,
    Value INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO Revisions (Name, Value) VALUES ('alerts', 0), ('silences', 0);

-- One message to one channel. Claimer and ClaimedAt tell whether whoever was sending it still lives.
CREATE TABLE Deliveries (
    Id TEXT PRIMARY KEY,
    Channel TEXT NOT NULL,
    Recipient TEXT,
    Alert TEXT,
    Message TEXT NOT NULL,
    State TEXT NOT NULL CHECK (State IN ('Pending', 'Sending', 'Sent', 'Dead', 'Cancelled')),
    Attempts INTEGER NOT NULL DEFAULT 0,
    DueAt DATETIME NOT NULL,
    CreatedAt DATETIME NOT NULL,
    SentAt DATETIME,
    Error TEXT,
    Receipt TEXT,
    Claimer TEXT,
    ClaimedAt DATETIME
);
CREATE INDEX idx_deliveries_due ON Deliveries(DueAt, Id) WHERE State = 'Pending';
CREATE INDEX idx_deliveries_sending ON Deliveries(Id) WHERE State = 'Sending';
CREATE INDEX idx_deliveries_dead ON Deliveries(CreatedAt) WHERE State = 'Dead';
CREATE INDEX idx_deliveries_alert ON Deliveries(Alert, Channel) WHERE Alert IS NOT NULL;
CREATE INDEX idx_deliveries_created ON Deliveries(CreatedAt);

CREATE TABLE Silences (
    Id TEXT PRIMARY KEY,
    Targets TEXT NOT NULL,
    Kinds TEXT NOT NULL,
    StartsAt DATETIME NOT NULL,
    EndsAt DATETIME NOT NULL,
    Reason TEXT NOT NULL,
    CreatedBy TEXT NOT NULL
);
CREATE INDEX idx_silences_ends ON Silences(EndsAt);
