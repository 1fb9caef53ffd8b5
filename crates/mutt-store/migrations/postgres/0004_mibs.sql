-- Schema version 4. MIB files that were uploaded.

-- The newest of them is the version by which processes see that something changed; one that was deleted
-- stays as a name without text.
CREATE TABLE mibs (
  name text PRIMARY KEY, version bigint NOT NULL, at bigint NOT NULL, who text NOT NULL,
  modules text NOT NULL, bytes bigint NOT NULL, text text
);
