-- Groups into which a device comes starts a workflow, and who was in them when that was last looked at.

CREATE TABLE WatchedGroups (
    Name TEXT PRIMARY KEY,
    Since DATETIME NOT NULL
) WITHOUT ROWID;

-- 'member': known, nothing to be done. 'new': came in, its runs have not all been started. 'unsure': when the group was first looked
-- at it was not known whether it belongs to it; where it turns out that it does, it did so from the beginning.
CREATE TABLE WatchedMembers (
    GroupName TEXT NOT NULL REFERENCES WatchedGroups(Name),
    Device TEXT NOT NULL,
    Since DATETIME NOT NULL,
    State TEXT NOT NULL CHECK (State IN ('member', 'new', 'unsure')),
    PRIMARY KEY (GroupName, Device)
) WITHOUT ROWID;
CREATE INDEX idx_watched_members_new ON WatchedMembers(GroupName, Device) WHERE State = 'new';
