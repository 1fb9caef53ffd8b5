//! Codes of the web UI and REST API.

super::codes! { WEB:
    API_UNAUTHORIZED = "MUTT-W001", "No valid token",
        means "The request carried no bearer token, X-API-KEY or session that is known.",
        causes ["the token is wrong or was changed", "the session has ended"],
        check ["muttctl alerts list --token-file mutt-data/admin-token"],
        fix ["Use the token in <data_dir>/admin-token or one of [[web_ui.tokens]]."];
    API_FORBIDDEN = "MUTT-W002", "The token's role does not allow this",
        means "The token is valid, but its role (viewer, operator, admin) may not do this.",
        causes ["a viewer's token used for a change"],
        check ["muttctl config show web_ui.tokens"],
        fix ["Use a token with the role that the message names."];
    API_NOT_FOUND = "MUTT-W003", "There is no such thing",
        means "The path or the id does not exist (any more).",
        causes ["a wrong id", "retention has removed it"],
        check ["muttctl events list"],
        fix ["Check the id or path; CLI.md and the OpenAPI document list them."];
    API_BAD_REQUEST = "MUTT-W004", "The request is not valid",
        means "A parameter or field is missing, unknown or wrong. Nothing was changed.",
        causes ["a misspelt field", "a wrong value"],
        check ["muttctl rules check FILE"],
        fix ["Mend what the message names."];
    API_CONFLICT = "MUTT-W005", "The change contradicts what is there",
        means "The object exists already, or its state does not allow this. Nothing was changed.",
        causes ["a second host of the same name", "a replay older than what its key has delivered"],
        check ["muttctl deliveries list"],
        fix ["Read the message; a replay can be forced with --force."];
    API_KEY_IN_URL = "MUTT-W006", "A key in the URL is refused",
        means "The request carried a key as a query parameter. URLs are logged; keys do not belong there.",
        causes ["a client written for the old system"],
        check ["muttctl alerts list --token-file mutt-data/admin-token"],
        fix ["Send the token in the Authorization or X-API-KEY header, and change it: it may stand in logs."];
    API_TOO_MANY = "MUTT-W007", "Too many failed sign-ins",
        means "Sign-ins from this address failed too often; it must wait.",
        causes ["a wrong token in a script", "someone is guessing"],
        check ["muttctl changes list"],
        fix ["Wait a minute and use the right token."];
    API_INTERNAL = "MUTT-W008", "The server could not answer",
        means "The store or another part failed while answering. The log has the details under the same correlation id.",
        causes ["the store is away or full"],
        check ["muttctl doctor"],
        fix ["Mend what doctor names and try again."];
}
