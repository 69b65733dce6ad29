//! What the figures were measured on.

use super::report::Machine;

/// Reads `/proc`; what is not there stays empty.
pub(super) fn read() -> Machine {
    let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = file("/proc/cpuinfo");
    let field = |text: &str, name: &str| {
        text.lines()
            .find(|line| line.starts_with(name))
            .and_then(|line| line.split_once(':'))
            .map(|(_, value)| value.trim().to_owned())
            .unwrap_or_default()
    };
    let memory = field(&file("/proc/meminfo"), "MemTotal");
    let memory_kib: u64 =
        memory.split_ascii_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0);
    Machine {
        processor: field(&cpuinfo, "model name"),
        cores: cpuinfo.lines().filter(|line| line.starts_with("processor")).count(),
        memory_mib: memory_kib / 1024,
        kernel: file("/proc/sys/kernel/osrelease").trim().to_owned(),
        load_average: file("/proc/loadavg").split_ascii_whitespace().take(3).collect::<Vec<_>>().join(" "),
        ..Machine::default()
    }
}
