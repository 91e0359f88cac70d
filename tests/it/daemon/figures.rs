//! What the daemon says of itself: figures by channel and by severity, the health that it keeps and that commands read.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use super::hook::Hook;
use super::*;

/// A port on which nobody listens.
fn free() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn metrics(port: u16) -> String {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return String::new() };
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text);
    text
}

#[test]
fn figures_are_told_by_channel_and_severity_and_health_is_kept() {
    let yard = Yard::new(&["a"]);
    yard.wants("one", "true");
    let (hook, port) = (Hook::new(Duration::ZERO), free());
    let lost = free();
    yard.file(
        "rmm.toml",
        &format!(
            "[limits]\nmax_percent = 100\n[daemon]\nlisten = \"127.0.0.1:{port}\"\n\
             [notifications.channels.team]\ntype = \"webhook\"\nurl = \"{}\"\n\
             [notifications.channels.lost]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:{lost}/\"\n",
            hook.url
        ),
    );
    yard.file("notifications.yaml", "rules: {All: {channels: [team, lost]}}\n");
    let daemon = yard.daemon();
    daemon.until("the first change", || yard.read("a", "app.conf").is_some());
    daemon.until("its health", || yard.sql("SELECT count(*) FROM Health") == ["1"]);
    let score = || yard.sql("SELECT Score FROM Health").remove(0);
    daemon.until("commands that say the same", || {
        let kept = score();
        yard.rmm(&["devices", "list", "--output", "csv"]).out.contains(&format!(",{kept},")) && kept == score()
    });

    // What cannot be loaded is an alert of the daemon itself.
    yard.file("policies/broken.yaml", "policies: [");
    let wanted = [
        "rmm_deliveries_sent_total{channel=\"team\"} 1",
        "rmm_delivery_latency_seconds_count{channel=\"team\"} 1",
        "rmm_deliveries_pending{channel=\"lost\"} 1",
        "rmm_deliveries_dead{channel=\"team\"} 0",
        "rmm_deliveries_sent_total{channel=\"lost\"} 0",
        "rmm_alerts_open{severity=\"high\"} 1",
        "rmm_alerts_open{severity=\"critical\"} 0",
        "rmm_devices_health{health=",
    ];
    daemon.until("figures", || {
        let text = metrics(port);
        wanted.iter().all(|line| text.contains(line)) && !text.contains("rmm_deliveries_failed_total{channel=\"lost\"} 0")
    });
    assert_eq!(hook.taken().len(), 1);
    assert_eq!(daemon.stop().0, Some(0));
}
