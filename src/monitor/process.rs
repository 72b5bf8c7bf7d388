//! The process's own figures, under the names that Prometheus has for them (*Writing client libraries*, *Process
//! metrics*), from /proc (proc(5)).

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// Ticks of a second in /proc: `USER_HZ`, 100 on every architecture that Linux has for users (time(7)).
const TICKS_PER_SECOND: f64 = 100.0;

/// Asks the kernel at each scrape. What the kernel does not tell is left out.
#[derive(Debug)]
pub(super) struct ProcessMetrics;

impl Collector for ProcessMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut gauge = |name, help, unit: Option<Unit>, value: Option<f64>| match value {
            Some(value) => {
                let gauge = ConstGauge::new(value);
                let family = encoder.encode_descriptor(name, help, unit.as_ref(), gauge.metric_type())?;
                gauge.encode(family)
            }
            None => Ok(()),
        };
        let stat = Stat::read();
        gauge("process_open_fds", "Open file descriptors.", None, open_files())?;
        gauge("process_max_fds", "Open file descriptors at most.", None, max_files())?;
        let resident = stat.as_ref().map(|stat| stat.resident_bytes);
        gauge("process_resident_memory", "Resident memory.", Some(Unit::Bytes), resident)?;
        let virtual_bytes = stat.as_ref().map(|stat| stat.virtual_bytes);
        gauge("process_virtual_memory", "Virtual memory.", Some(Unit::Bytes), virtual_bytes)?;
        let started_at = stat.as_ref().and_then(Stat::started_at);
        let help = "When the process started, since the epoch.";
        gauge("process_start_time", help, Some(Unit::Seconds), started_at)?;
        gauge("process_threads", "Threads.", None, stat.as_ref().map(|stat| stat.threads))?;
        if let Some(stat) = stat {
            let counter = ConstCounter::new(stat.processor_seconds);
            let help = "Processor time, of user and system.";
            let family = encoder.encode_descriptor(
                "process_cpu",
                help,
                Some(&Unit::Seconds),
                counter.metric_type(),
            )?;
            counter.encode(family)?;
        }
        Ok(())
    }
}

/// What /proc/self/stat says.
#[derive(Debug, PartialEq)]
struct Stat {
    processor_seconds: f64,
    threads: f64,
    /// Ticks since the machine booted.
    start_ticks: f64,
    virtual_bytes: f64,
    resident_bytes: f64,
}

impl Stat {
    fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/self/stat").ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        // The second field is the program's name in parentheses, with anything in it.
        let fields: Vec<&str> = text.get(text.rfind(')')? + 1..)?.split_whitespace().collect();
        // Numbered from 1 in proc(5), and these begin at the third.
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        Some(Self {
            processor_seconds: (field(14)? + field(15)?) / TICKS_PER_SECOND,
            threads: field(20)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_bytes: field(24)? * page_bytes(),
        })
    }

    fn started_at(&self) -> Option<f64> {
        let stat = fs::read_to_string("/proc/stat").ok()?;
        let booted_at: f64 =
            stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
        Some(booted_at + self.start_ticks / TICKS_PER_SECOND)
    }
}

fn page_bytes() -> f64 {
    rustix::param::page_size() as f64
}

fn open_files() -> Option<f64> {
    Some(fs::read_dir("/proc/self/fd").ok()?.count() as f64)
}

fn max_files() -> Option<f64> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current?;
    Some(limit as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_says_of_this_process() {
        let stat = Stat::read().unwrap();
        assert!(stat.threads >= 1.0 && stat.resident_bytes > 1e6, "{stat:?}");
        let started_at = stat.started_at().unwrap();
        let now = crate::time::UnixTime::now().as_secs() as f64;
        assert!(started_at <= now + 2.0 && started_at > now - 86_400.0, "{started_at} of {now}");
        assert!(open_files().unwrap() >= 3.0);
    }

    #[test]
    fn a_name_with_parentheses_and_spaces_is_passed_over() {
        let numbers: Vec<String> = (3..=52).map(|number| number.to_string()).collect();
        let stat = Stat::parse(&format!("1 (a) 7 (b) {}", numbers.join(" "))).unwrap();
        assert_eq!(stat.threads, 20.0);
        assert_eq!(stat.processor_seconds, 0.29);
        assert_eq!(Stat::parse("1 (a"), None);
        assert_eq!(Stat::parse("1 (a) 2 3"), None);
    }
}
