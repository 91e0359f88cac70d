-- Measured values: a row per series (with its latest value), and samples by integer keys.

CREATE TABLE MetricSeries (
    Id INTEGER PRIMARY KEY,
    Device INTEGER NOT NULL REFERENCES Devices(Id),
    Metric TEXT NOT NULL,
    Instance TEXT NOT NULL,
    Unit TEXT,
    LastAt INTEGER NOT NULL,
    LastValue REAL NOT NULL
);
CREATE UNIQUE INDEX idx_metrics_device_type ON MetricSeries(Device, Metric, Instance);

CREATE TABLE MetricSamples (
    Series INTEGER NOT NULL,
    At INTEGER NOT NULL,
    Value REAL NOT NULL,
    PRIMARY KEY (Series, At)
) WITHOUT ROWID;
CREATE INDEX idx_metrics_timestamp ON MetricSamples(At);

CREATE VIEW Metrics AS
SELECT (m.Series << 42) | m.At AS MetricId,
       d.DeviceId AS DeviceId,
       CASE substr(s.Metric, 1, instr(s.Metric || '.', '.') - 1)
            WHEN 'cpu' THEN 'CPU' WHEN 'memory' THEN 'Memory' WHEN 'network' THEN 'Network'
            WHEN 'volumes' THEN 'Disk' WHEN 'disks' THEN 'Disk' WHEN 'uptime' THEN 'Uptime'
            ELSE s.Metric END AS MetricType,
       m.Value AS Value,
       s.Unit AS Unit,
       strftime('%Y-%m-%dT%H:%M:%fZ', m.At / 1000.0, 'unixepoch') AS Timestamp,
       s.Metric AS Metric,
       s.Instance AS Instance
FROM MetricSamples m
JOIN MetricSeries s ON s.Id = m.Series
JOIN Devices d ON d.Id = s.Device;
