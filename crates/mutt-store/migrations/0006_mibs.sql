-- Schema version 6. MIB files that were uploaded.

-- The newest of them is the version by which processes see that something changed; one that was deleted
-- stays as a name without text.
CREATE TABLE mibs (
  name TEXT PRIMARY KEY, version INTEGER NOT NULL, at INTEGER NOT NULL, who TEXT NOT NULL,
  modules TEXT NOT NULL, bytes INTEGER NOT NULL, text TEXT
) STRICT, WITHOUT ROWID;
