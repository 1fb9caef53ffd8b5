//! Codes of Remediation.

super::codes! { REMEDIATION:
    REDRIVE_FAILED = "MUTT-R001", "Remediation could not do its work",
        means "Redriving, ageing or retention failed in this round; it is tried again in the next.",
        causes ["the store is away or full"],
        check ["muttctl doctor"],
        fix ["Mend the store; Remediation goes on by itself."];
    STORE_OVER_CAP = "MUTT-R002", "The store has reached its cap",
        means "store.max_bytes is met: the oldest audit rows are removed early, unhandled ones first.",
        causes ["more events than the cap was sized for"],
        check ["muttctl doctor"],
        fix ["Raise store.max_bytes or shorten retention."];
    ARCHIVE_UNWRITABLE = "MUTT-R003", "An archive cannot be written",
        means "Audit rows whose time is over stay in the store until store.archive.dir takes them. All else of retention goes on; it is tried again every minute.",
        causes ["the folder is full or read-only", "it belongs to another user, or the unit may not write there", "what should be mounted there is not"],
        check ["muttctl check", "df -h DIR; ls -ld DIR"],
        fix ["Make room in the folder that the message names, or let MUTT's user write there; or set store.archive.dir to another one."];
    DEAF = "MUTT-R010", "MUTT does not hear its sources",
        means "Sources that usually speak are silent, and the cause is ours: the Ingestor that heard them does not report, its listener is closed, the kernel drops its datagrams, the event queue takes nothing, or nobody at all is heard. One alert (mutt-deaf) says so; none is raised about the sources.",
        causes ["an Ingestor is down or cut off from the store", "more datagrams than the receive buffer holds", "the event queue is full", "the network in front of MUTT is down"],
        check ["muttctl processes", "muttctl sources listeners", "muttctl doctor"],
        fix ["Mend what the message names; when MUTT hears again, the alert is cleared and the sources get the time to speak."];
}
