//! The sections that the plan of the documents asks for.

use std::collections::BTreeSet;

/// The sections of the plan of the documents, by document. "Python environment configuration" is headed
/// "Runtime environment": there is no Python. Others may stand between them, and a section may come
/// where its commands can be run.
const PLAN: &[(&str, &[&str])] = &[
    (
        "INSTALLATION_GUIDE",
        &[
            "Prerequisites and planning",
            "User and directory setup",
            "Runtime environment",
            "Service installation (all 5 services)",
            "systemd configuration",
            "Firewall and SELinux setup",
            "Verification and testing",
            "Troubleshooting installation issues",
        ],
    ),
    (
        "SERVICE_OPERATIONS",
        &[
            "Service overview and dependencies",
            "Starting and stopping services",
            "Service health monitoring",
            "Common operational tasks",
            "Service-specific configurations",
            "Performance tuning",
            "Scaling procedures",
            "Graceful shutdown procedures",
        ],
    ),
    (
        "TROUBLESHOOTING",
        &[
            "General troubleshooting methodology",
            "Service-by-service troubleshooting",
            "Ingestor issues",
            "Alerter issues",
            "Moog Forwarder issues",
            "Web UI issues",
            "Remediation service issues",
            "Infrastructure troubleshooting",
            "Redis connectivity and performance",
            "PostgreSQL issues",
            "Vault connectivity",
            "Performance troubleshooting",
            "Network and connectivity issues",
            "Common error messages and solutions",
            "Log analysis techniques",
        ],
    ),
    (
        "CONFIGURATION_GUIDE",
        &[
            "Configuration overview (static vs dynamic)",
            "Environment variable management",
            "Dynamic configuration procedures",
            "Configuration validation",
            "Configuration backup and restore",
            "Configuration change management",
            "Configuration audit trail",
        ],
    ),
    (
        "MONITORING_SETUP",
        &[
            "Monitoring architecture",
            "Prometheus setup and configuration",
            "Grafana dashboard installation",
            "Alert rule configuration",
            "Health check monitoring",
            "Log aggregation setup",
            "Metric interpretation guide",
            "SLO monitoring",
            "On-call alert routing",
        ],
    ),
    (
        "BACKUP_RECOVERY",
        &[
            "Backup strategy overview",
            "PostgreSQL backup procedures",
            "Redis backup and persistence",
            "Configuration backup",
            "Backup verification",
            "Recovery procedures",
            "Disaster recovery scenarios",
            "RTO and RPO targets",
        ],
    ),
    (
        "INCIDENT_RESPONSE",
        &[
            "Incident classification",
            "Escalation procedures",
            "Common incident scenarios",
            "Communication templates",
            "Post-incident procedures",
            "Incident retrospective guide",
        ],
    ),
    (
        "DEVELOPER_ONBOARDING",
        &[
            "Project overview for developers",
            "Local development setup",
            "Development workflow",
            "Code organization",
            "Testing procedures",
            "Git workflow and branching",
            "Pull request process",
            "Code review guidelines",
        ],
    ),
    (
        "TESTING_GUIDE",
        &[
            "Testing philosophy",
            "Unit testing guide",
            "Integration testing guide",
            "Load testing procedures",
            "Security testing",
            "Test data management",
            "CI/CD testing",
            "Manual testing procedures",
        ],
    ),
    (
        "SECURITY_OPERATIONS",
        &[
            "Security architecture overview",
            "Secret rotation procedures",
            "TLS certificate management",
            "Access control management",
            "Security monitoring",
            "Vulnerability management",
            "Compliance procedures",
            "Security incident response",
        ],
    ),
    (
        "PERFORMANCE_TUNING",
        &[
            "Performance baseline",
            "Profiling techniques",
            "Service-specific tuning",
            "Redis optimization",
            "PostgreSQL optimization",
            "Network optimization",
            "Resource allocation",
            "Scaling strategies",
        ],
    ),
    (
        "UPGRADE_MIGRATION",
        &[
            "Upgrade planning",
            "Pre-upgrade checklist",
            "Upgrade procedures (version-specific)",
            "Rollback procedures",
            "Migration strategies",
            "Zero-downtime upgrades",
            "Post-upgrade validation",
        ],
    ),
];

/// The sections of the plan that a document lacks.
pub(crate) fn unplanned(name: &str, text: &str) -> Vec<String> {
    let stem = name.trim_start_matches("docs/operations/").trim_end_matches(".md");
    let planned = PLAN.iter().find(|(document, _)| *document == stem);
    let headings: BTreeSet<&str> = text
        .lines()
        .filter(|l| l.starts_with("##"))
        .map(|l| l.trim_start_matches('#').trim())
        .collect();
    let sections = planned.map_or(&[][..], |(_, sections)| sections);
    let missing = sections.iter().filter(|section| !headings.contains(*section));
    missing.map(|section| format!("the plan has a section \"{section}\" here")).collect()
}
