//! Codes of the Moog Forwarder.

super::codes! { FORWARDER:
    SINK_RETRY = "MUTT-F001", "A sink did not take a delivery now",
        means "The sink answered with a passing fault or not at all. The delivery is tried again until retry_for has passed.",
        causes ["the sink is down, slow or overloaded", "the network between is cut"],
        check ["muttctl sinks list", "muttctl doctor"],
        fix ["Mend the sink; deliveries go out by themselves."];
    LANE_HELD = "MUTT-F002", "A lane is held because of a fault of the sink",
        means "The sink answered 401, 403, 404, 407, 410 or a redirect, or its TLS failed. No delivery is lost or burnt; the lane is probed with a real delivery.",
        causes ["the credential is wrong or expired", "the URL is wrong", "a certificate is wrong or expired"],
        check ["muttctl sinks list"],
        fix ["Mend the credential, URL or certificate; the lane releases itself with the next probe.", "muttctl sinks release NAME"];
    DELIVERY_REFUSED = "MUTT-F003", "A sink refused a delivery for good",
        means "The sink answered 400, 413, 415 or 422: it will never take this payload. The delivery is dead, reason refused.",
        causes ["the sink expects other fields", "the wrong kind of sink is configured"],
        check ["muttctl deliveries list --state dead"],
        fix ["Mend the sink or its configuration, then replay: muttctl deliveries replay --sink NAME --reason TEXT"];
    DELIVERY_EXPIRED = "MUTT-F004", "A delivery was tried until retry_for had passed",
        means "The delivery is dead, reason expired. Remediation sends it again when the sink is healthy.",
        causes ["an outage of the sink longer than retry_for"],
        check ["muttctl deliveries list --state dead"],
        fix ["Mend the sink; Remediation redrives by itself."];
    BREAKER_OPEN = "MUTT-F005", "The circuit breaker of a sink is open",
        means "Five deliveries in a row failed. The sink is probed with a real delivery every 30 s; waiting deliveries do not age.",
        causes ["the sink is down"],
        check ["muttctl sinks list"],
        fix ["Mend the sink; the breaker closes with the first accepted probe."];
    SINK_SECRET = "MUTT-F006", "The credential of a sink cannot be had",
        means "The secret reference of a sink could not be resolved; its lane is held until it can.",
        causes ["the file or environment variable is missing"],
        check ["muttctl check"],
        fix ["Provide the secret at the place that the message names."];
}
