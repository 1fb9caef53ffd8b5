//! Codes of the Alerter.

super::codes! { ALERTER:
    ALERTER_COMMIT_FAILED = "MUTT-A001", "A commit to the store failed",
        means "A batch could not be committed. It stays in the event queue and is tried again; nothing is lost.",
        causes ["the disk of the store is full", "the store is locked or away"],
        check ["muttctl doctor"],
        fix ["Mend what the message names; the Alerter goes on by itself."];
    ALERTER_UNSTORABLE = "MUTT-A002", "An event could not be stored as it is",
        means "The store refused the data of one event. It was audited from its raw bytes alone, decision unstorable.",
        causes ["a defect in decoding: please report it with the event's id"],
        check ["muttctl events list --q unstorable"],
        fix ["Nothing is lost; report the raw bytes of the event."];
    ALERTER_RULES_UNREADABLE = "MUTT-A003", "The rule set could not be loaded",
        means "The newest rule set could not be read or compiled. The Alerter goes on with the last good one.",
        causes ["the store is away", "a rule file was edited by hand and is wrong"],
        check ["muttctl rules check"],
        fix ["Mend the rule that the message names; it is live within a second."];
    ALERTER_RECORD_FORMAT = "MUTT-A004", "The event queue holds a record of another version",
        means "A batch was written by another version of MUTT. It is kept and not acknowledged; judging stops there.",
        causes ["a downgrade below the version that wrote the queue"],
        check ["muttctl queue check"],
        fix ["Start the version that wrote it once, let the queue drain, then downgrade."];
    ALERTER_QUEUE_DAMAGED = "MUTT-A005", "Events in the event queue can no longer be read",
        means "Stored records are damaged. What is readable was salvaged in order, the rest is counted in lost, and the damaged file was set aside.",
        causes ["a failing disk", "a file that was changed by hand"],
        check ["muttctl queue check", "muttctl queue status"],
        fix ["Check the disk. Keep the file that was set aside until the loss is understood."];
    ALERTER_QUEUE_TROUBLE = "MUTT-A006", "The event queue cannot be read now",
        means "The disk of the event queue refused to be read or written. Judging waits and tries again; nothing is given up.",
        causes ["a failing disk", "a disk that was taken away or is read-only"],
        check ["muttctl queue status", "muttctl doctor"],
        fix ["Mend the disk; the Alerter goes on by itself."];
    ALERTER_UNJUDGED = "MUTT-A007", "An event could not be judged and was set aside",
        means "Judging this event failed again and again, or ended the process. The event stands in the audit with the decision unjudged; no rule was applied to it, and an alert tells of it. The events around it were judged.",
        causes ["a defect in judging: please report it with the event's raw bytes and the rules"],
        check ["muttctl alerts list --q unjudged"],
        fix ["Look at the event: does somebody have to act on it? Then report it."];
}
