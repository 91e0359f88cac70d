-- Measured values, anew: one row per device and moment. What was kept before (every number of every section, a row each) is forgotten.

DROP VIEW Metrics;
DROP TABLE MetricSamples;
DROP TABLE MetricSeries;

-- What is measured; shared by all devices.
CREATE TABLE MetricSeries (
    Id INTEGER PRIMARY KEY,
    Metric TEXT NOT NULL,
    Instance TEXT NOT NULL,
    Unit TEXT NOT NULL
);
CREATE UNIQUE INDEX idx_metrics_device_type ON MetricSeries(Metric, Instance, Unit);

-- Which series a row holds: a JSON array of MetricSeries.Id. Devices that are alike share one.
CREATE TABLE MetricLayouts (
    Id INTEGER PRIMARY KEY,
    Series TEXT NOT NULL UNIQUE
);

-- As it arrives, for an hour or two: rows are added at the end, so that a batch of many devices touches one page or two.
CREATE TABLE MetricLog (
    Id INTEGER PRIMARY KEY AUTOINCREMENT,
    Device INTEGER NOT NULL,
    At INTEGER NOT NULL,
    Layout INTEGER NOT NULL,
    Vals TEXT NOT NULL
);

-- The same rows afterwards, a device's side by side. At in milliseconds since 1970; Vals is a JSON array in the order of the layout.
CREATE TABLE MetricSamples (
    Device INTEGER NOT NULL,
    At INTEGER NOT NULL,
    Layout INTEGER NOT NULL,
    Vals TEXT NOT NULL,
    PRIMARY KEY (Device, At)
) WITHOUT ROWID;

-- Hour by hour: [[least ...], [average ...], [most ...], [count ...]], each in the order of the layout. Hour is in hours since 1970.
CREATE TABLE MetricHours (
    Device INTEGER NOT NULL,
    Hour INTEGER NOT NULL,
    Layout INTEGER NOT NULL,
    Vals TEXT NOT NULL,
    PRIMARY KEY (Device, Hour)
) WITHOUT ROWID;

CREATE VIEW Metrics AS
SELECT (m.Device << 43) | ((m.At / 1000) << 11) | v.key AS MetricId,
       d.DeviceId AS DeviceId,
       CASE WHEN s.Metric IN ('CPU', 'Load') OR s.Metric LIKE 'cpu.%' THEN 'CPU'
            WHEN s.Metric IN ('Memory', 'Swap') OR s.Metric LIKE 'memory.%' THEN 'Memory'
            WHEN s.Metric LIKE 'Disk%' OR s.Metric LIKE 'volumes.%' THEN 'Disk'
            WHEN s.Metric IN ('Latency', 'PacketLoss') OR s.Metric LIKE 'Network%' THEN 'Network'
            ELSE s.Metric END AS MetricType,
       v.value AS Value,
       nullif(s.Unit, '') AS Unit,
       strftime('%Y-%m-%dT%H:%M:%fZ', m.At / 1000.0, 'unixepoch') AS Timestamp,
       s.Metric AS Metric,
       s.Instance AS Instance
FROM Devices d
JOIN MetricSamples m ON m.Device = d.Id
JOIN MetricLayouts l ON l.Id = m.Layout
JOIN json_each(m.Vals) v
JOIN MetricSeries s ON s.Id = json_extract(l.Series, '$[' || v.key || ']')
UNION ALL
SELECT (m.Device << 43) | ((m.At / 1000) << 11) | v.key,
       d.DeviceId,
       CASE WHEN s.Metric IN ('CPU', 'Load') OR s.Metric LIKE 'cpu.%' THEN 'CPU'
            WHEN s.Metric IN ('Memory', 'Swap') OR s.Metric LIKE 'memory.%' THEN 'Memory'
            WHEN s.Metric LIKE 'Disk%' OR s.Metric LIKE 'volumes.%' THEN 'Disk'
            WHEN s.Metric IN ('Latency', 'PacketLoss') OR s.Metric LIKE 'Network%' THEN 'Network'
            ELSE s.Metric END,
       v.value,
       nullif(s.Unit, ''),
       strftime('%Y-%m-%dT%H:%M:%fZ', m.At / 1000.0, 'unixepoch'),
       s.Metric,
       s.Instance
FROM Devices d
JOIN MetricLog m ON m.Device = d.Id AND NOT EXISTS (SELECT 1 FROM MetricSamples x WHERE x.Device = m.Device AND x.At = m.At)
JOIN MetricLayouts l ON l.Id = m.Layout
JOIN json_each(m.Vals) v
JOIN MetricSeries s ON s.Id = json_extract(l.Series, '$[' || v.key || ']');

CREATE VIEW MetricRollups AS
SELECT d.DeviceId AS DeviceId,
       s.Metric AS Metric,
       s.Instance AS Instance,
       nullif(s.Unit, '') AS Unit,
       strftime('%Y-%m-%dT%H:00:00.000Z', m.Hour * 3600, 'unixepoch') AS Hour,
       json_extract(m.Vals, '$[0][' || v.key || ']') AS Min,
       v.value AS Avg,
       json_extract(m.Vals, '$[2][' || v.key || ']') AS Max,
       json_extract(m.Vals, '$[3][' || v.key || ']') AS Count
FROM Devices d
JOIN MetricHours m ON m.Device = d.Id
JOIN MetricLayouts l ON l.Id = m.Layout
JOIN json_each(m.Vals, '$[1]') v
JOIN MetricSeries s ON s.Id = json_extract(l.Series, '$[' || v.key || ']');

ALTER TABLE Upkeep ADD COLUMN VacuumedAt INTEGER NOT NULL DEFAULT 0;
