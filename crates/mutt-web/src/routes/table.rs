//! The rows of the table of routes.

use axum::routing::{delete, get, patch, post, put};

use super::{Access, Param, Reply, Route};
use crate::api::{
    alerts, config, deliveries, events, hosts, mibs, retention, rules, sinks, sources, status, v1,
};
use crate::state::Role;
use crate::{assets, pages};

const VIEW: Access = Access::Needs(Role::Viewer);
const OPERATE: Access = Access::Needs(Role::Operator);
const ADMIN: Access = Access::Needs(Role::Admin);

const LIMIT: Param = ("limit", "integer", "Items on the page, 1 to 1000; default 50.");
const CURSOR: Param = ("cursor", "string", "The next_cursor of the page before.");

const EVENT_PARAMS: &[Param] = &[
    ("host", "string", "Exact host, case-insensitive."),
    ("q", "string", "Part of the message, case-insensitive."),
    ("severity", "string", "0 to 7 or a name."),
    ("rule", "integer", "Won by this rule."),
    ("handled", "boolean", "Handled or unhandled only."),
    ("alert", "string", "Touching this alert."),
    ("since", "string", "received_at not before (RFC 3339)."),
    ("until", "string", "received_at before (RFC 3339)."),
    ("parse", "string", "ok, partial or failed: how much of it was understood."),
    LIMIT,
    CURSOR,
];
const SOURCE_PARAMS: &[Param] = &[
    ("q", "string", "Part of host or peer, case-insensitive."),
    ("state", "string", "active, quiet, pending, muted or unparsed."),
    ("relay", "string", "Behind this address."),
    LIMIT,
    CURSOR,
];
const STREAM_PARAMS: &[Param] = &[
    ("host", "string", "Exact host, case-insensitive."),
    ("q", "string", "Part of the message, case-insensitive."),
    ("severity_max", "string", "This severe or more: 0 to 7 or a name."),
    ("handled", "boolean", "Handled or unhandled only."),
    ("after", "integer", "Go on after this place: the id of the last message seen."),
];
const ALERT_PARAMS: &[Param] = &[
    ("state", "string", "open or cleared."),
    ("host", "string", "Exact host, case-insensitive."),
    ("team", "string", "Exact team, case-insensitive."),
    ("problem", "string", "Exact problem, case-insensitive."),
    ("q", "string", "Part of key or message, case-insensitive."),
    LIMIT,
    CURSOR,
];
const DELIVERY_PARAMS: &[Param] = &[
    ("state", "string", "pending, leased, held, delivered, suppressed or dead."),
    ("sink", "string", "Of this sink."),
    ("alert", "string", "Of this alert."),
    ("event", "string", "Made for this event."),
    LIMIT,
    CURSOR,
];
const PAGE_PARAMS: &[Param] = &[LIMIT, CURSOR];
const DIFF_PARAMS: &[Param] = &[
    ("from", "integer", "A version; default the one before `to`."),
    ("to", "integer", "A version; default the one in force."),
];
const SINCE: &[Param] = &[("since", "string", "Not before (RFC 3339); default an hour ago.")];
const ACTIVE: &[Param] = &[("is_active", "boolean", "Active or inactive rules only.")];
const V1_PAGE: &[Param] =
    &[("page", "integer", "From 1."), ("limit", "integer", "1 to 200; default 50.")];
const V1_AUDIT: &[Param] = &[
    V1_PAGE[0],
    V1_PAGE[1],
    ("changed_by", "string", "Part of the name."),
    ("operation", "string", "CREATE, UPDATE or DELETE."),
    ("table_name", "string", "alert_rules, development_hosts, device_teams, dynamic_config ..."),
    ("record_id", "string", "The object's id or name."),
    ("start_date", "string", "Not before."),
    ("end_date", "string", "Not after."),
];
const LOG_PARAMS: &[Param] = &[
    V1_PAGE[0],
    V1_PAGE[1],
    ("hostname", "string", "Exact host."),
    ("rule_id", "integer", "Won by this rule."),
    ("start_date", "string", "Not before."),
    ("end_date", "string", "Not after."),
];

macro_rules! verb {
    (get) => {
        "GET"
    };
    (post) => {
        "POST"
    };
    (put) => {
        "PUT"
    };
    (patch) => {
        "PATCH"
    };
    (delete) => {
        "DELETE"
    };
}

macro_rules! rows {
    ($($verb:ident $path:literal $access:ident $summary:literal $params:expr, $body:expr, $reply:expr, $handler:path;)*) => {
        &[$(Route {
            method: verb!($verb), path: $path, access: $access, summary: $summary,
            params: $params, body: $body, reply: $reply, handler: || $verb($handler),
        }),*]
    };
}

const PUBLIC: Access = Access::Public;
const REASON: Option<&str> = Some("Reason");
const NO: &[Param] = &[];
const MIB_PARAMS: &[Param] = &[
    ("name", "string", "The upload's name, when the body is the MIB itself."),
    ("reason", "string", "Why, for the change log, when the body is the MIB itself."),
];

pub(super) static API: &[Route] = rows! {
    get "/api/openapi.json" PUBLIC "This document." NO, None, Reply::Object("Any"), status::openapi_json;
    get "/api/v2/ledger" VIEW "What came in and where each of it is." NO, None, Reply::Object("Ledger"), status::ledger;
    get "/api/v2/queue" VIEW "The event queue's numbers." NO, None, Reply::Object("Queue"), status::queue;
    get "/api/v2/rates" VIEW "Events per minute, oldest first." SINCE, None, Reply::List("Rate"), status::rates;
    get "/api/v2/health" VIEW "States of the services and of the store." NO, None, Reply::Object("Health"), status::health;
    get "/api/v2/slo" VIEW "Objectives and burn, from ledger and queue." NO, None, Reply::Object("Slo"), status::slo;
    get "/api/v2/changes" VIEW "The change log." PAGE_PARAMS, None, Reply::List("Change"), status::changes;
    get "/api/v2/config" VIEW "The effective configuration, secrets redacted." NO, None, Reply::Object("Any"), config::index;
    get "/api/v2/config/history" VIEW "Versions of the settings, newest first." PAGE_PARAMS, None, Reply::List("Any"), config::history;
    get "/api/v2/config/diff" VIEW "What differs between two versions of the settings." DIFF_PARAMS, None, Reply::Object("Any"), config::diff;
    post "/api/v2/config/rollback" ADMIN "Makes the settings of an earlier version stand again, as a new version." NO, Some("RollbackRequest"), Reply::Object("Any"), config::rollback;
    get "/api/v2/config/{key}" VIEW "One key: value, default, source, range, role, and how a change applies." NO, None, Reply::Object("Any"), config::one;
    put "/api/v2/config/{key}" OPERATE "Sets a live key in every process, within a second; some need an admin." NO, Some("SettingRequest"), Reply::Set("Any"), config::set;
    delete "/api/v2/config/{key}" OPERATE "Returns a live key to what file and environment say." NO, Some("UnsetRequest"), Reply::Object("Any"), config::unset;
    get "/api/v2/processes" VIEW "The live processes of all hosts with version and dependencies; one that is gone is listed while events lie in its spill." NO, None, Reply::List("Any"), status::processes;
    get "/api/v2/whoami" VIEW "The name and role of the token in use." NO, None, Reply::Object("WhoAmI"), status::whoami;
    post "/api/v2/backup" ADMIN "Writes a backup while running." NO, Some("BackupRequest"), Reply::Object("Backup"), status::backup;
    post "/api/v2/restore" ADMIN "Puts a backup in the place of the store while running." NO, Some("BackupRequest"), Reply::Object("Backup"), status::restore;
    get "/api/v2/mibs" VIEW "Uploaded MIBs, and how the files of this process fared." NO, None, Reply::List("Mib"), mibs::index;
    post "/api/v2/mibs" ADMIN "Uploads a MIB for every Ingestor: this object, or the file itself as text/plain with its name as parameter." MIB_PARAMS, Some("MibRequest"), Reply::Created("Mib"), mibs::add;
    get "/api/v2/mibs/{name}" VIEW "The text of an uploaded MIB." NO, None, Reply::Object("Any"), mibs::text;
    delete "/api/v2/mibs/{name}" ADMIN "Deletes an uploaded MIB." NO, REASON, Reply::Nothing, mibs::remove;
    get "/api/v2/holds" VIEW "Legal holds that stand, newest first." NO, None, Reply::List("Hold"), retention::holds;
    post "/api/v2/holds" ADMIN "Keeps audit rows of a host and a time beyond retention." NO, Some("HoldRequest"), Reply::Created("Hold"), retention::add_hold;
    delete "/api/v2/holds/{id}" ADMIN "Releases a hold." NO, REASON, Reply::Nothing, retention::release_hold;
    get "/api/v2/archives" VIEW "Archives of audit rows, newest rows first." NO, None, Reply::List("Archive"), retention::archives;
    post "/api/v2/archives/restore" ADMIN "Puts the rows of an archive back, behind a hold." NO, Some("BackupRequest"), Reply::Object("RestoredArchive"), retention::restore_archive;
    get "/api/v2/retention" VIEW "When retention last ran; holds and archives." NO, None, Reply::Object("Retention"), retention::state;
    get "/api/v2/events" VIEW "Searches the audit, newest first." EVENT_PARAMS, None, Reply::List("Event"), events::index;
    get "/api/v2/events/stream" VIEW "Live events as server-sent events named `event`; `gap` says that some were passed over." STREAM_PARAMS, None, Reply::Events, events::stream;
    get "/api/v2/events/{id}" VIEW "One event with raw bytes and lineage." NO, None, Reply::Object("EventLife"), events::one;
    get "/api/v2/alerts" VIEW "Alerts, newest last_seen first." ALERT_PARAMS, None, Reply::List("Alert"), alerts::index;
    get "/api/v2/alerts/{id}" VIEW "One alert with its timeline." NO, None, Reply::Object("AlertLife"), alerts::one;
    post "/api/v2/alerts/{id}/acknowledge" OPERATE "Says that somebody works on it." NO, REASON, Reply::Object("Alert"), alerts::acknowledge;
    post "/api/v2/alerts/{id}/clear" OPERATE "Clears it by hand." NO, REASON, Reply::Object("Alert"), alerts::clear;
    post "/api/v2/alerts/{id}/note" OPERATE "Adds words to its timeline." NO, Some("NoteRequest"), Reply::Object("Alert"), alerts::note;
    get "/api/v2/deliveries" VIEW "Deliveries, newest first; state=dead is the dead letters." DELIVERY_PARAMS, None, Reply::List("Delivery"), deliveries::index;
    post "/api/v2/deliveries/replay" OPERATE "Makes dead or held deliveries of a filter pending again." NO, Some("ReplayManyRequest"), Reply::Object("Replayed"), deliveries::replay_many;
    get "/api/v2/deliveries/{id}" VIEW "One delivery with its attempts." NO, None, Reply::Object("DeliveryLife"), deliveries::one;
    post "/api/v2/deliveries/{id}/replay" OPERATE "Makes a dead delivery pending again." NO, Some("ReplayRequest"), Reply::Object("Replayed"), deliveries::replay_one;
    get "/api/v2/sinks" VIEW "Sinks and their lanes, by name." NO, None, Reply::List("Sink"), sinks::index;
    get "/api/v2/sinks/{name}" VIEW "One sink and its lane." NO, None, Reply::Object("Sink"), sinks::one;
    post "/api/v2/sinks/{name}/hold" OPERATE "Holds its lane." NO, REASON, Reply::Object("Sink"), sinks::hold;
    post "/api/v2/sinks/{name}/release" OPERATE "Releases its lane." NO, REASON, Reply::Object("Sink"), sinks::release;
    post "/api/v2/sinks/{name}/test" OPERATE "Sends a test notice outside the lane." NO, REASON, Reply::Object("SinkTest"), sinks::test;
    get "/api/v2/sources" VIEW "The devices that were heard, by host." SOURCE_PARAMS, None, Reply::List("Any"), sources::index;
    get "/api/v2/sources/{id}" VIEW "One source, HOST@PEER: rates, clock, what was not understood, SNMP users." NO, None, Reply::Object("Any"), sources::one;
    post "/api/v2/sources/{id}/mute" OPERATE "Nobody is told of its silence any more." NO, REASON, Reply::Object("Any"), sources::mute;
    post "/api/v2/sources/{id}/unmute" OPERATE "Its silence is told again." NO, REASON, Reply::Object("Any"), sources::unmute;
    post "/api/v2/sources/{id}/forget" OPERATE "It goes, until it is heard again." NO, REASON, Reply::Object("Any"), sources::forget;
    get "/api/v2/listeners" VIEW "What arrived at each listener of each process since its start, and where each of it went." NO, None, Reply::List("Any"), sources::listeners;
    get "/api/v2/rules" VIEW "All rules in the order in which they are tried." ACTIVE, None, Reply::List("Rule"), rules::index;
    post "/api/v2/rules" ADMIN "Creates a rule." NO, Some("RuleRequest"), Reply::Created("Rule"), rules::create;
    post "/api/v2/rules/test" VIEW "What would match sample events, and why." NO, Some("RuleTestRequest"), Reply::Object("RuleTest"), rules::test;
    get "/api/v2/rules/{id}" VIEW "One rule." NO, None, Reply::Object("Rule"), rules::one;
    put "/api/v2/rules/{id}" ADMIN "Replaces a rule." NO, Some("RuleReplacement"), Reply::Object("Rule"), rules::replace;
    patch "/api/v2/rules/{id}" ADMIN "Changes fields of a rule; null sets a default." NO, Some("RulePatch"), Reply::Object("Rule"), rules::update;
    delete "/api/v2/rules/{id}" ADMIN "Deletes a rule." NO, Some("UnsetRequest"), Reply::Nothing, rules::delete;
    get "/api/v2/dev-hosts" VIEW "Development hosts." NO, None, Reply::List("DevHost"), hosts::dev_index;
    post "/api/v2/dev-hosts" ADMIN "Adds a development host." NO, Some("DevHostRequest"), Reply::Created("DevHost"), hosts::dev_create;
    get "/api/v2/dev-hosts/{hostname}" VIEW "One development host." NO, None, Reply::Object("DevHost"), hosts::dev_one;
    put "/api/v2/dev-hosts/{hostname}" ADMIN "Gives a development host another name." NO, Some("DevHostUpdate"), Reply::Object("DevHost"), hosts::dev_rename;
    delete "/api/v2/dev-hosts/{hostname}" ADMIN "Removes a development host." NO, Some("UnsetRequest"), Reply::Nothing, hosts::dev_delete;
    get "/api/v2/teams" VIEW "Teams of devices." NO, None, Reply::List("Team"), hosts::team_index;
    post "/api/v2/teams" ADMIN "Gives a device a team." NO, Some("TeamRequest"), Reply::Created("Team"), hosts::team_create;
    get "/api/v2/teams/{hostname}" VIEW "The team of one device." NO, None, Reply::Object("Team"), hosts::team_one;
    put "/api/v2/teams/{hostname}" ADMIN "Changes the team of a device." NO, Some("TeamUpdate"), Reply::Object("Team"), hosts::team_update;
    delete "/api/v2/teams/{hostname}" ADMIN "Removes the team of a device." NO, Some("UnsetRequest"), Reply::Nothing, hosts::team_delete;
    get "/api/v1/version" PUBLIC "Versions of the API (earlier shape)." NO, None, Reply::Object("Any"), v1::version;
    get "/api/v1/metrics" VIEW "Event rates (earlier shape)." NO, None, Reply::Object("Any"), v1::metrics;
    get "/api/v1/config" VIEW "Keys that may be changed (earlier shape)." NO, None, Reply::Object("Any"), v1::changes::config;
    get "/api/v1/config/history" VIEW "Changes of keys by pages (earlier shape)." V1_PAGE, None, Reply::Object("Any"), v1::changes::history;
    put "/api/v1/config/{key}" OPERATE "Sets a key (earlier shape); some need an admin." NO, Some("SettingRequest"), Reply::Object("Any"), v1::changes::set;
    get "/api/v1/slo" VIEW "Objectives (earlier shape)." NO, None, Reply::Object("Any"), v1::changes::slo;
    get "/api/v1/audit" VIEW "The change log by pages (earlier shape)." V1_AUDIT, None, Reply::Object("Any"), v1::changes::audit;
    get "/api/v1/rules" VIEW "Rules (earlier shape)." NO, None, Reply::Object("Any"), v1::rules;
    post "/api/v1/rules" ADMIN "Creates a rule (earlier shape)." NO, Some("RuleRequest"), Reply::Created("Any"), v1::create;
    get "/api/v1/rules/{id}" VIEW "One rule (earlier shape)." NO, None, Reply::Object("Any"), v1::rule;
    put "/api/v1/rules/{id}" ADMIN "Changes fields of a rule (earlier shape)." NO, Some("RulePatch"), Reply::Object("Any"), v1::update;
    delete "/api/v1/rules/{id}" ADMIN "Deletes a rule (earlier shape)." NO, REASON, Reply::Object("Any"), v1::delete;
    get "/api/v1/audit-logs" VIEW "The audit by pages (earlier shape); counts exactly to 10,000." LOG_PARAMS, None, Reply::Object("Any"), v1::audit_logs;
    get "/api/v1/dev-hosts" VIEW "Development hosts (earlier shape)." NO, None, Reply::Object("Any"), v1::hosts;
    post "/api/v1/dev-hosts" ADMIN "Adds a development host (earlier shape)." NO, Some("DevHostRequest"), Reply::Created("Any"), v1::add_host;
    delete "/api/v1/dev-hosts/{hostname}" ADMIN "Removes a development host (earlier shape)." NO, REASON, Reply::Object("Any"), v1::remove_host;
    get "/api/v1/teams" VIEW "Teams of devices (earlier shape)." NO, None, Reply::Object("Any"), v1::teams;
    post "/api/v1/teams" ADMIN "Gives a device a team (earlier shape)." NO, Some("TeamRequest"), Reply::Created("Any"), v1::add_team;
    put "/api/v1/teams/{hostname}" ADMIN "Changes the team of a device (earlier shape)." NO, Some("TeamUpdate"), Reply::Object("Any"), v1::set_team;
    delete "/api/v1/teams/{hostname}" ADMIN "Removes the team of a device (earlier shape)." NO, REASON, Reply::Object("Any"), v1::remove_team;
};

const PAGE: Reply = Reply::Nothing;
const DONE: Param = ("done", "string", "What was just done.");

const OVERVIEW: &[Param] = &[DONE];
const SOURCES: &[Param] =
    &[SOURCE_PARAMS[0], SOURCE_PARAMS[1], SOURCE_PARAMS[2], LIMIT, CURSOR, DONE];
const HOSTS: &[Param] = &[("q", "string", "Part of a host or team."), DONE];
const SETTINGS: &[Param] = &[
    ("q", "string", "Part of the key or of what it does."),
    ("apply", "string", "live, reload or restart."),
    DONE,
];
const HISTORY: &[Param] = &[LIMIT, CURSOR, DONE];
const WITH: &[Param] = &[("with", "integer", "Compare with this version.")];
const SIGN_IN: &[Param] = &[("next", "string", "Where to go then.")];
const EVENTS: &[Param] = &[
    EVENT_PARAMS[0],
    EVENT_PARAMS[1],
    EVENT_PARAMS[2],
    EVENT_PARAMS[3],
    EVENT_PARAMS[4],
    EVENT_PARAMS[5],
    EVENT_PARAMS[6],
    EVENT_PARAMS[7],
    EVENT_PARAMS[8],
    LIMIT,
    CURSOR,
];
const ALERTS: &[Param] = &[
    ALERT_PARAMS[0],
    ALERT_PARAMS[1],
    ALERT_PARAMS[2],
    ALERT_PARAMS[3],
    ALERT_PARAMS[4],
    LIMIT,
    CURSOR,
    DONE,
];
const DELIVERIES: &[Param] = &[
    DELIVERY_PARAMS[0],
    DELIVERY_PARAMS[1],
    DELIVERY_PARAMS[2],
    DELIVERY_PARAMS[3],
    LIMIT,
    CURSOR,
    DONE,
    ("replayed", "integer", "How many."),
    ("passed_over", "integer", "How many."),
];

pub(super) static PAGES: &[Route] = rows! {
    get "/" VIEW "" OVERVIEW, None, PAGE, pages::overview::page;
    get "/sign-in" PUBLIC "" SIGN_IN, None, PAGE, pages::session::form;
    post "/sign-in" PUBLIC "" SIGN_IN, None, PAGE, pages::session::sign_in;
    post "/sign-out" VIEW "" NO, None, PAGE, pages::session::sign_out;
    get "/live" VIEW "" STREAM_PARAMS, None, PAGE, pages::events::live;
    get "/events" VIEW "" EVENTS, None, PAGE, pages::events::search;
    get "/events/{id}" VIEW "" NO, None, PAGE, pages::events::one;
    get "/alerts" VIEW "" ALERTS, None, PAGE, pages::alerts::index;
    get "/alerts/{id}" VIEW "" OVERVIEW, None, PAGE, pages::alerts::one;
    post "/alerts/{id}/acknowledge" OPERATE "" NO, None, PAGE, pages::alerts::acknowledge;
    post "/alerts/{id}/clear" OPERATE "" NO, None, PAGE, pages::alerts::clear;
    post "/alerts/{id}/note" OPERATE "" NO, None, PAGE, pages::alerts::note;
    get "/rules" VIEW "" OVERVIEW, None, PAGE, pages::rules::index;
    get "/rules/new" ADMIN "" NO, None, PAGE, pages::rules::blank;
    post "/rules/new" ADMIN "" NO, None, PAGE, pages::rules::create;
    get "/rules/test" VIEW "" NO, None, PAGE, pages::rules::test_form;
    post "/rules/test" VIEW "" NO, None, PAGE, pages::rules::test;
    get "/rules/{id}" VIEW "" OVERVIEW, None, PAGE, pages::rules::one;
    post "/rules/{id}" ADMIN "" NO, None, PAGE, pages::rules::update;
    post "/rules/{id}/delete" ADMIN "" NO, None, PAGE, pages::rules::delete;
    get "/sources" VIEW "" SOURCES, None, PAGE, pages::sources::index;
    get "/sources/{id}" VIEW "" OVERVIEW, None, PAGE, pages::sources::one;
    post "/sources/{id}/mute" OPERATE "" NO, None, PAGE, pages::sources::mute;
    post "/sources/{id}/unmute" OPERATE "" NO, None, PAGE, pages::sources::unmute;
    post "/sources/{id}/forget" OPERATE "" NO, None, PAGE, pages::sources::forget;
    get "/deliveries" VIEW "" DELIVERIES, None, PAGE, pages::deliveries::index;
    post "/deliveries/replay" OPERATE "" NO, None, PAGE, pages::deliveries::replay_many;
    get "/deliveries/{id}" VIEW "" OVERVIEW, None, PAGE, pages::deliveries::one;
    post "/deliveries/{id}/replay" OPERATE "" NO, None, PAGE, pages::deliveries::replay_one;
    get "/lanes" VIEW "" OVERVIEW, None, PAGE, pages::lanes::index;
    post "/lanes/{name}/hold" OPERATE "" NO, None, PAGE, pages::lanes::hold;
    post "/lanes/{name}/release" OPERATE "" NO, None, PAGE, pages::lanes::release;
    post "/lanes/{name}/test" OPERATE "" NO, None, PAGE, pages::lanes::test;
    get "/hosts" VIEW "" HOSTS, None, PAGE, pages::hosts::index;
    post "/hosts/dev" ADMIN "" NO, None, PAGE, pages::hosts::dev_add;
    get "/hosts/dev/{hostname}" VIEW "" NO, None, PAGE, pages::hosts::dev_one;
    post "/hosts/dev/{hostname}" ADMIN "" NO, None, PAGE, pages::hosts::dev_rename;
    post "/hosts/dev/{hostname}/remove" ADMIN "" NO, None, PAGE, pages::hosts::dev_remove;
    post "/hosts/team" ADMIN "" NO, None, PAGE, pages::hosts::team_add;
    get "/hosts/team/{hostname}" VIEW "" NO, None, PAGE, pages::hosts::team_one;
    post "/hosts/team/{hostname}" ADMIN "" NO, None, PAGE, pages::hosts::team_set;
    post "/hosts/team/{hostname}/remove" ADMIN "" NO, None, PAGE, pages::hosts::team_remove;
    get "/settings" VIEW "" SETTINGS, None, PAGE, pages::settings::index;
    get "/settings/history" VIEW "" HISTORY, None, PAGE, pages::settings::history;
    get "/settings/versions/{version}" VIEW "" WITH, None, PAGE, pages::settings::version;
    post "/settings/versions/{version}/rollback" ADMIN "" NO, None, PAGE, pages::settings::roll_back;
    get "/settings/{key}" VIEW "" OVERVIEW, None, PAGE, pages::settings::one;
    post "/settings/{key}" OPERATE "" NO, None, PAGE, pages::settings::set;
    post "/settings/{key}/unset" OPERATE "" NO, None, PAGE, pages::settings::unset;
    get "/processes" VIEW "" NO, None, PAGE, pages::processes::index;
    get "/mibs" VIEW "" OVERVIEW, None, PAGE, pages::mibs::index;
    post "/mibs" ADMIN "" NO, None, PAGE, pages::mibs::add;
    post "/mibs/{name}/delete" ADMIN "" NO, None, PAGE, pages::mibs::remove;
    get "/retention" VIEW "" OVERVIEW, None, PAGE, pages::retention::index;
    post "/retention/holds" ADMIN "" NO, None, PAGE, pages::retention::add_hold;
    post "/retention/holds/{id}/release" ADMIN "" NO, None, PAGE, pages::retention::release_hold;
    post "/retention/archives/restore" ADMIN "" NO, None, PAGE, pages::retention::restore;
    get "/changes" VIEW "" PAGE_PARAMS, None, PAGE, pages::changes::index;
    get "/static/{name}" PUBLIC "" NO, None, PAGE, assets::file;
};
