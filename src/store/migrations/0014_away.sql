-- Jobs that wait for their device: whatever stands behind them waits too, and that is asked often.
CREATE INDEX idx_jobs_away ON Jobs(Device, Priority, N) WHERE State = 'waiting' AND WaitsFor = 'device';
