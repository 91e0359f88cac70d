-- When a layout was last used, in days since 1970: what no row can refer to any more is forgotten.

ALTER TABLE MetricLayouts ADD COLUMN UsedDay INTEGER NOT NULL DEFAULT 0;
UPDATE MetricLayouts SET UsedDay = strftime('%s', 'now') / 86400;

-- Grows whenever names or layouts are forgotten: who remembers them by heart has to look again.
INSERT INTO Revisions (Name, Value) VALUES ('series', 0);
