//! Codes of the configuration.

super::codes! { CONFIG:
    CONFIG_SYNTAX = "MUTT-C001", "The configuration file is not TOML",
        means "The file named in the message cannot be read as TOML. Nothing is started.",
        causes ["a missing quote or bracket"],
        check ["muttctl check --config FILE"],
        fix ["Mend the line that the message shows."];
    CONFIG_UNKNOWN_KEY = "MUTT-C002", "An unknown configuration key",
        means "The file or environment names a key that does not exist. Nothing is started.",
        causes ["a misspelt key", "a key of another version"],
        check ["muttctl check --config FILE"],
        fix ["Use the suggested key, or see CONFIG.md."];
    CONFIG_BAD_VALUE = "MUTT-C003", "A configuration value is not allowed",
        means "A value has the wrong type, unit or range. Nothing is started.",
        causes ["a missing unit", "a number out of range"],
        check ["muttctl check --config FILE"],
        fix ["Write what the message says is allowed."];
    CONFIG_SECRET = "MUTT-C004", "A secret reference cannot be resolved",
        means "A secret that the configuration names is not there.",
        causes ["the environment variable or file is missing or not readable"],
        check ["muttctl check --config FILE"],
        fix ["Provide the secret at the place that the message names."];
    CONFIG_UNSAFE = "MUTT-C005", "The configuration would open an unsafe door",
        means "A listener beyond loopback would run without what protects it. Nothing is started.",
        causes ["a non-loopback HTTP listener without TLS", "SNMP beyond loopback without communities"],
        check ["muttctl check --config FILE"],
        fix ["Give the listener tls, set behind_proxy = true, or name communities, as the message says."];
    CONFIG_UNREADABLE = "MUTT-C006", "The configuration file cannot be read",
        means "The file does not exist or may not be read. Nothing is started.",
        causes ["a wrong path", "file permissions"],
        check ["muttctl check --config FILE"],
        fix ["Name the right file, or make it readable for the service's user."];
    CONFIG_RULE_FILE = "MUTT-C007", "A rule is not valid",
        means "A rule has a wrong field or a pattern that does not compile. It was not taken.",
        causes ["a misspelt field", "a wrong regular expression"],
        check ["muttctl rules check FILE"],
        fix ["Mend what the message names."];
    CONFIG_ENGINES = "MUTT-C008", "Engines or their settings that do not go together",
        means "Event queue, store and what is said of them contradict each other. Nothing is started.",
        causes ["Redis with the SQLite store", "a Sentinel or Cluster URL with fsync alone", "a durability that waits for replicas without queue.replicas"],
        check ["muttctl check --config FILE"],
        fix ["Write one of what the message allows."];
    CONFIG_NO_DOOR = "MUTT-C009", "A token or key is missing",
        means "With PostgreSQL no admin token and no ingest key is invented: several processes must agree on them. Nothing is started.",
        causes ["no [[web_ui.tokens]]", "no [[ingestor.http.keys]]"],
        check ["muttctl check --config FILE"],
        fix ["Name the token or key as the message says; ingestor.http.listen = \"off\" needs no key."];
    VAULT_AWAY = "MUTT-C010", "Vault does not answer",
        means "Vault cannot be reached, or answers what Vault never answers. The last good secrets stay in force; a service whose secrets were never read waits for them. It is tried again by itself.",
        causes ["Vault is stopped or the network is cut", "its certificate is not trusted: vault.ca", "vault.url names another program"],
        check ["muttctl check --config FILE --secrets", "vault status"],
        fix ["Start Vault, or mend what the message names. Nothing here needs a restart."];
    VAULT_SEALED = "MUTT-C011", "Vault is sealed",
        means "Vault runs and gives nothing until it is unsealed. The last good secrets stay in force; a service whose secrets were never read waits for them.",
        causes ["Vault was restarted", "somebody sealed it"],
        check ["vault status"],
        fix ["vault operator unseal"];
    VAULT_LOGIN = "MUTT-C012", "Vault refuses the login",
        means "The AppRole login was refused. A token that still lives is used to its end; the last good secrets stay in force.",
        causes ["the secret_id has expired or was used as often as it may", "role_id or secret_id is wrong", "vault.auth_mount is another one"],
        check ["muttctl check --config FILE --secrets", "vault read auth/approle/role/mutt"],
        fix ["vault write -f -field=secret_id auth/approle/role/mutt/secret-id", "Put it where vault.secret_id says; it is read at the next try, without a restart."];
    VAULT_DENIED = "MUTT-C013", "Vault refuses to give a secret",
        means "The login is good, but its policy does not permit to read the path that the message names. The last good secret stays in force.",
        causes ["the policy lacks the path; for KV version 2 it has data/ after the mount", "the policy was changed"],
        check ["muttctl check --config FILE --secrets", "vault token capabilities PATH"],
        fix ["vault policy write mutt mutt.hcl, with the path that the message names and read"];
    VAULT_ABSENT = "MUTT-C014", "A secret is not in Vault",
        means "Vault answers that there is no such secret, or no such key in it. The last good secret stays in force; nothing takes the place of one that was never there.",
        causes ["the secret was deleted or never written", "the key has another name", "the reference names data/, which KV version 2 adds by itself"],
        check ["vault kv get MOUNT/PATH"],
        fix ["vault kv patch MOUNT/PATH KEY=-, and mend the reference if it names another place"];
    CONFIG_OVERRIDE = "MUTT-C015", "A setting is not used",
        means "A setting that was made while MUTT ran does not fit the configuration of this process. The value of file and environment is in force in its place; everything else runs on.",
        causes ["the sink that it names is no longer in the configuration", "the setting was made by another version of MUTT"],
        check ["muttctl config list", "muttctl processes"],
        fix ["muttctl config unset KEY --reason TEXT", "or set a value that is allowed"];
}
