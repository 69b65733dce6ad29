//! A plan's report, for a terminal.

use std::io::Write as _;

use crate::report::Report;

/// Prints a run in a dozen lines.
///
/// # Errors
/// Nobody reads standard output any more.
pub fn summarize(report: &Report) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let users = &report.users;
    writeln!(
        out,
        "{} · seed {} · {:.1} s · {} arrived, {} done, {} gave up, {} failed, {} cut short",
        report.plan,
        report.seed,
        report.wall_s,
        users.arrived,
        users.done,
        users.impatient,
        users.failed,
        users.cut_short
    )?;
    writeln!(
        out,
        "{:<9} {:>8} {:>9} {:>9} {:>9} {:>9} {:>9}  statuses",
        "ms", "count", "p50", "p90", "p99", "p99.9", "max"
    )?;
    let inside = &report.inside_ms;
    writeln!(
        out,
        "{:<9} {:>8} {:>9.1} {:>9.1} {:>9.1} {:>9.1} {:>9.1}",
        "inside", "", inside.p50, inside.p90, inside.p99, inside.p999, inside.max
    )?;
    for (name, step) in &report.steps {
        let ms = &step.latency_ms;
        writeln!(
            out,
            "{name:<9} {:>8} {:>9.1} {:>9.1} {:>9.1} {:>9.1} {:>9.1}  {:?} {:?}",
            step.count, ms.p50, ms.p90, ms.p99, ms.p999, ms.max, step.statuses, step.failures
        )?;
    }
    let cpu: Vec<String> = report.cpu_s.iter().map(|(name, s)| format!("{name} {s:.2}")).collect();
    writeln!(
        out,
        "CPU seconds: {} · others {:.2} · stolen {:.2}",
        cpu.join(" · "),
        report.foreign_cpu_s,
        report.stolen_cpu_s
    )?;
    let late = &report.late_sends;
    writeln!(
        out,
        "late sends: {} ({:.3} %, allowed {:.1} %), worst {:.1} ms",
        late.count,
        late.share * 100.0,
        late.allowed_share * 100.0,
        late.worst_ms
    )?;
    if let Some(found) = &report.reconciled {
        writeln!(
            out,
            "PostgreSQL: {} sign-ins answered, {} session families, {} lost, {} unexplained",
            found.answered, found.rows, found.lost, found.unexplained
        )?;
    }
    if let Some(best) = report
        .search
        .iter()
        .filter(|step| step.served_well)
        .map(|step| step.rate_per_s)
        .max_by(f64::total_cmp)
    {
        writeln!(out, "peak: {best:.1} users/s")?;
    }
    if report.verdict.ok {
        writeln!(out, "the run counts")?;
    }
    for reason in &report.verdict.reasons {
        writeln!(out, "NO: {reason}")?;
    }
    Ok(())
}
