-- Devices, sites, groups and what is known of them.
-- Times are UTC: text columns hold RFC 3339 with milliseconds, integer columns milliseconds since 1970.

CREATE TABLE Sites (
    SiteId TEXT PRIMARY KEY,
    Name TEXT NOT NULL,
    Location TEXT,
    Timezone TEXT,
    RelayAgent TEXT,
    ContactEmail TEXT,
    CreatedAt DATETIME DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE DeviceGroups (
    GroupId TEXT PRIMARY KEY,
    Name TEXT NOT NULL,
    Description TEXT,
    ParentGroupId TEXT,
    PolicyId TEXT,
    CreatedAt DATETIME DEFAULT CURRENT_TIMESTAMP
);

-- Id is the short key that every other table uses; DeviceId is the name in the repository.
CREATE TABLE Devices (
    Id INTEGER PRIMARY KEY AUTOINCREMENT,
    DeviceId TEXT NOT NULL UNIQUE,
    Hostname TEXT NOT NULL,
    FQDN TEXT,
    IPAddress TEXT,
    MACAddress TEXT,
    SiteId TEXT,
    GroupIds TEXT,
    OSName TEXT,
    OSVersion TEXT,
    OSBuild TEXT,
    LastSeen DATETIME,
    LastInventory DATETIME,
    Status TEXT NOT NULL DEFAULT 'Unknown',
    AgentVersion TEXT,
    Tags TEXT,
    CustomFields TEXT,
    CreatedAt DATETIME DEFAULT CURRENT_TIMESTAMP,
    UpdatedAt DATETIME DEFAULT CURRENT_TIMESTAMP,
    StatusReason TEXT,
    StatusSince DATETIME,
    RemovedAt DATETIME
);
CREATE INDEX idx_devices_status ON Devices(Status);
CREATE INDEX idx_devices_site ON Devices(SiteId);

CREATE TABLE SectionNames (
    Id INTEGER PRIMARY KEY CHECK (Id BETWEEN 1 AND 4095),
    Name TEXT NOT NULL UNIQUE
);

-- What holds now. Key is Devices.Id * 4096 + SectionNames.Id: all sections of a device lie side by side, so that
-- reading the whole fleet is one pass over the file. Status: 0 observed, 1 unknown, 2 unsupported.
CREATE TABLE Sections (
    Key INTEGER PRIMARY KEY,
    Hash BLOB NOT NULL,
    ChangedAt INTEGER NOT NULL,
    Status INTEGER NOT NULL,
    Reason TEXT,
    Data TEXT NOT NULL
);

-- What held from ValidFrom until ValidTo; LastSeen is the last observation that still found it.
CREATE TABLE SectionHistory (
    Id INTEGER PRIMARY KEY,
    Key INTEGER NOT NULL,
    ValidFrom INTEGER NOT NULL,
    ValidTo INTEGER NOT NULL,
    LastSeen INTEGER NOT NULL,
    Hash BLOB NOT NULL,
    Status INTEGER NOT NULL,
    Reason TEXT,
    Data TEXT NOT NULL
);
CREATE INDEX idx_inventory_device ON SectionHistory(Key, ValidFrom);
CREATE INDEX idx_inventory_date ON SectionHistory(ValidTo);

-- One small row a device: a collection that finds nothing new writes only this. Seen maps section ids to the
-- time of their last observation. Hash covers all sections that are not volatile.
CREATE TABLE FactsState (
    Device INTEGER PRIMARY KEY REFERENCES Devices(Id),
    Generation INTEGER NOT NULL,
    Hash BLOB NOT NULL,
    Oldest INTEGER NOT NULL,
    Seen TEXT NOT NULL
);

-- The inventory as report writers know it: one document per device and category.
CREATE VIEW Inventory AS
SELECT min(s.Key) AS InventoryId,
       d.DeviceId AS DeviceId,
       CASE instr(n.Name, '.') WHEN 0 THEN 'Probe'
            ELSE upper(substr(n.Name, 1, 1)) || substr(n.Name, 2, instr(n.Name, '.') - 2) END AS Category,
       json_group_object(substr(n.Name, instr(n.Name, '.') + 1),
                         json(CASE s.Status WHEN 0 THEN s.Data ELSE 'null' END)) AS Data,
       strftime('%Y-%m-%dT%H:%M:%fZ',
                max(coalesce(json_extract(f.Seen, '$."' || n.Id || '"'), s.ChangedAt)) / 1000.0, 'unixepoch') AS CollectedAt
FROM Sections s
JOIN Devices d ON d.Id = s.Key >> 12
JOIN SectionNames n ON n.Id = (s.Key & 4095)
LEFT JOIN FactsState f ON f.Device = d.Id
GROUP BY d.Id, 3;

CREATE TABLE Alerts (
    AlertId TEXT PRIMARY KEY,
    DeviceId TEXT NOT NULL REFERENCES Devices(DeviceId),
    AlertType TEXT NOT NULL,
    Severity TEXT NOT NULL,
    Title TEXT NOT NULL,
    Message TEXT,
    Source TEXT,
    CreatedAt DATETIME DEFAULT CURRENT_TIMESTAMP,
    AcknowledgedAt DATETIME,
    AcknowledgedBy TEXT,
    ResolvedAt DATETIME,
    ResolvedBy TEXT,
    AutoResolved INTEGER DEFAULT 0,
    NotificationsSent TEXT
);
CREATE INDEX idx_alerts_device ON Alerts(DeviceId);
CREATE INDEX idx_alerts_severity ON Alerts(Severity);
CREATE INDEX idx_alerts_created ON Alerts(CreatedAt);
