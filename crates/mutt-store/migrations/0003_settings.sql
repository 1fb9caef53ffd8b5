-- Schema version 3. Settings that are changed while MUTT runs: every version with what it changed
-- (edits) and all overrides that stand in it (body), both as JSON.
CREATE TABLE settings (
  version INTEGER PRIMARY KEY, at INTEGER NOT NULL, who TEXT NOT NULL, reason TEXT,
  rolled_back_to INTEGER, edits TEXT NOT NULL, body TEXT NOT NULL
) STRICT;
