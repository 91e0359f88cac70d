-- What must not follow a clock that is set. Steady times are milliseconds since the machine was started.
ALTER TABLE Leases ADD COLUMN SteadyUntil INTEGER;
ALTER TABLE Deliveries ADD COLUMN ClaimedSteady INTEGER;

-- Which moments of a schedule have been claimed: stretches [first, last] in milliseconds since 1970. Without it, all up to Due.
ALTER TABLE Schedules ADD COLUMN Ran TEXT;
