//! Codes of storage: event queue and store.

super::codes! { STORAGE:
    STORE_NEWER = "MUTT-S001", "The store was written by a newer version",
        means "The schema version in the store is higher than this program knows. It does not start and changes nothing.",
        causes ["a downgrade"],
        check ["muttctl doctor"],
        fix ["Start the newer version, or restore a backup made by this one."];
    STORE_OPEN = "MUTT-S002", "The store cannot be opened",
        means "The database file cannot be opened, created or locked.",
        causes ["file permissions", "the disk is full", "another process holds it"],
        check ["muttctl doctor"],
        fix ["Mend what the message names."];
    DATA_DIR_IN_USE = "MUTT-S003", "The data directory belongs to another running process",
        means "Embedded engines belong to one process; a second one on the same data_dir is refused.",
        causes ["MUTT runs already", "two units share one data_dir"],
        check ["muttctl doctor"],
        fix ["Stop the other process, or give this one another --data-dir."];
    QUEUE_OPEN = "MUTT-S004", "The event queue cannot be opened",
        means "The queue's directory cannot be read or written.",
        causes ["file permissions", "the disk is full"],
        check ["muttctl queue check"],
        fix ["Mend what the message names."];
    STORE_QUERY = "MUTT-S005", "The store could not answer",
        means "A query failed. Data is not affected.",
        causes ["the disk fails or is full", "the store is shutting down"],
        check ["muttctl doctor"],
        fix ["Try again; if it stays, check the disk."];
    BACKUP_FAILED = "MUTT-S006", "A backup or restore failed",
        means "The backup could not be written, or the file to restore is not whole. The running data was not changed.",
        causes ["no space at the target", "the file is not a backup of MUTT"],
        check ["muttctl doctor"],
        fix ["Choose a target with space, or another backup file."];
}
