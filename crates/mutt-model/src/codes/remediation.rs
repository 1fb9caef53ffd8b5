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
}
