-- Schema version 4. Legal holds and archives.

-- Audit rows that outlive retention. host is lower case, NULL for every host; the ids are the smallest
-- of the times. One that was released still counts until the next round of retention begins, so that
-- the holds of a round only grow while it works.
CREATE TABLE holds (
  id INTEGER PRIMARY KEY AUTOINCREMENT, host TEXT, since INTEGER, until INTEGER,
  since_id BLOB NOT NULL, until_id BLOB NOT NULL, reason TEXT NOT NULL, who TEXT NOT NULL,
  at INTEGER NOT NULL, archive TEXT, released INTEGER NOT NULL
) STRICT;
-- Files with audit rows that went, or that were put back.
CREATE TABLE archives (
  name TEXT PRIMARY KEY, source TEXT NOT NULL, span_from INTEGER NOT NULL,
  span_until INTEGER NOT NULL, rows INTEGER NOT NULL, bytes INTEGER NOT NULL,
  sha256 TEXT NOT NULL, written_at INTEGER NOT NULL, restored_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE retention (one INTEGER PRIMARY KEY CHECK (one = 1), last_run INTEGER) STRICT;
INSERT INTO retention VALUES (1, NULL);
