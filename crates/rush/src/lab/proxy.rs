//! HAProxy in front of nodes.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::{
    Lab, Node,
    process::{Core, Process, free_port},
};

/// HAProxy in front of nodes.
pub(crate) struct Proxy {
    process: Process,
    pub(crate) url: String,
    /// Where HAProxy says what it did.
    statistics: u16,
}

impl Proxy {
    /// Answers with a 2xx status that went through the proxy since it started, by its own count.
    pub(crate) async fn succeeded(&self) -> anyhow::Result<u64> {
        let mut talk = TcpStream::connect(("127.0.0.1", self.statistics)).await?;
        talk.write_all(b"show stat\n").await?;
        let mut text = String::new();
        timeout(Duration::from_secs(5), talk.read_to_string(&mut text))
            .await
            .context("HAProxy says nothing")??;
        frontend_2xx(&text).context("HAProxy's statistics are not understood")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid
    }

    pub(crate) async fn stop(self) {
        self.process.stop().await;
    }
}

impl Lab {
    /// HAProxy in front of `nodes`, each request to the node with the fewest under way.
    pub(crate) async fn proxy(&self, nodes: &[Node]) -> anyhow::Result<Proxy> {
        let (port, statistics) = (free_port()?, free_port()?);
        let mut text = format!(
            "global\n  stats socket ipv4@127.0.0.1:{statistics} level user\n  nbthread 1\n  maxconn 2048\n\
             defaults\n  mode http\n  timeout connect 2s\n  timeout client 60s\n  timeout server 60s\n  http-reuse always\n\
             frontend door\n  bind 127.0.0.1:{port}\n  default_backend nodes\n\
             backend nodes\n  balance leastconn\n"
        );
        for (index, node) in nodes.iter().enumerate() {
            let address = node.url.trim_start_matches("http://");
            let _ = writeln!(text, "  server node{index} {address} maxconn 256");
        }
        let process = self.haproxy(&text, port).await?;
        Ok(Proxy { process, url: format!("http://127.0.0.1:{port}"), statistics })
    }

    /// HAProxy with this configuration, once it listens at `port`. It logs to `haproxy.log` in the laboratory's folder.
    pub(crate) async fn haproxy(&self, configuration: &str, port: u16) -> anyhow::Result<Process> {
        let file = self.folder.join("haproxy.cfg");
        std::fs::write(&file, configuration)?;
        let mut command = self.cores.command(Core::Rest, Path::new("haproxy"));
        command.arg("-db").arg("-f").arg(&file);
        let mut process =
            Process::start("HAProxy", &mut command, self.proxy_log()).context("install haproxy")?;
        let listens = async || TcpStream::connect(("127.0.0.1", port)).await.is_ok();
        process.answers(Duration::from_millis(20), listens).await?;
        Ok(process)
    }

    /// What HAProxy writes.
    pub(crate) fn proxy_log(&self) -> PathBuf {
        self.folder.join("haproxy.log")
    }
}

/// The column `hrsp_2xx` of the row of the frontend.
fn frontend_2xx(csv: &str) -> Option<u64> {
    let mut lines = csv.lines();
    let column = lines.next()?.split(',').position(|name| name == "hrsp_2xx")?;
    let row = lines.find(|line| line.starts_with("door,FRONTEND,"))?;
    row.split(',').nth(column)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxy_s_own_count_is_read() {
        let csv = "# pxname,svname,qcur,hrsp_1xx,hrsp_2xx,hrsp_3xx\ndoor,FRONTEND,,0,412,3\nnodes,node0,0,0,400,3\n";
        assert_eq!(frontend_2xx(csv), Some(412));
        assert_eq!(frontend_2xx(""), None);
    }
}
