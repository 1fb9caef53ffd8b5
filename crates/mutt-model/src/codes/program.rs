//! Codes of the program, the host and the command line.

super::codes! { PROGRAM:
    STAGE_RESTARTED = "MUTT-P001", "A stage failed and was started again",
        means "A part of the program ended unexpectedly. It was started again; after too many failures the process ends with exit code 1.",
        causes ["a defect: please report the message", "a resource that is gone"],
        check ["muttctl doctor"],
        fix ["Report the log lines around it."];
    SHUTDOWN_TIMEOUT = "MUTT-P002", "Shutdown took longer than shutdown_timeout",
        means "Some work had not ended in time. What was acknowledged is durable; the rest is done after the next start.",
        causes ["a sink or disk that does not answer"],
        check ["muttctl doctor"],
        fix ["Raise shutdown_timeout if it happens often."];
    CLOCK_STEP = "MUTT-P003", "The clock of this host was stepped",
        means "The wall clock was set back or forward by more than 2 s. While it is behind, times of receipt do not step back; they stand still until the clock has caught up. No event is lost.",
        causes ["a manual change", "time synchronisation after a long break"],
        check ["muttctl doctor", "timedatectl status"],
        fix ["Let time synchronisation put the clock right: chronyc makestep", "Keep it running: systemctl enable --now chronyd"];
    UNREACHABLE = "MUTT-P004", "MUTT does not answer",
        means "The command line could not reach the REST API.",
        causes ["MUTT is not running", "another address: --url or MUTT_URL"],
        check ["muttctl doctor"],
        fix ["Start MUTT, or name the right --url."];
    NO_TOKEN = "MUTT-P005", "The command line has no token",
        means "A command that uses the REST API found no token.",
        causes ["MUTT_TOKEN is not set and no token file was found"],
        check ["muttctl doctor"],
        fix ["Give --token-file FILE, or set MUTT_TOKEN."];
    DOCTOR_FOUND = "MUTT-P006", "Doctor found something",
        means "At least one check failed; each finding prints the command that mends it.",
        causes ["see the findings"],
        check ["muttctl doctor"],
        fix ["Run the command that the finding prints."];
    SEND_FAILED = "MUTT-P007", "The test message was not sent",
        means "muttctl send could not hand its message to the listener.",
        causes ["the listener is not running", "a wrong address"],
        check ["muttctl doctor"],
        fix ["Name the listener's address with --to."];
    START_FAILED = "MUTT-P008", "MUTT could not start",
        means "A part that is needed could not be started; the message says which.",
        causes ["a port is taken", "the data directory cannot be used"],
        check ["muttctl doctor"],
        fix ["Mend what the message names."];
    USAGE = "MUTT-P009", "The command line is not understood",
        means "A command, flag or value is unknown or missing. Nothing was done; exit code 2.",
        causes ["a misspelt command or flag", "a value of the wrong form"],
        check ["muttctl --help"],
        fix ["See muttctl COMMAND --help: it shows every flag and examples."];
    OUTPUT = "MUTT-P010", "A file or the output could not be written or read",
        means "muttctl could not read a file that it was given, or could not write its result.",
        causes ["a wrong path", "file permissions", "a full disk"],
        check ["ls -l FILE", "df -h"],
        fix ["Name a file that can be read, or a place that can be written."];
    FOUND = "MUTT-P011", "The check found something",
        means "A check ran to its end and found something that is wrong; each finding was printed.",
        causes ["see the findings"],
        check ["muttctl doctor"],
        fix ["Mend what the findings name."];
}
