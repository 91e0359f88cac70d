//! The system log over its three ways, and what structured data does with quotes.

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, UdpSocket, UnixDatagram};

use super::*;

fn quoted() -> Message {
    let mut alert = alert("a-1", Severity::Critical, "x\n<14>1 - - - - - - forged");
    alert.key.instance = r#"C:\"x"] [evil y="1"#.into();
    message(Occasion::Raised, vec![alert])
}

fn toml(address: &str) -> String {
    format!("[notifications.channels.l]\ntype = \"syslog\"\naddress = \"{address}\"\nfacility = \"local3\"\n")
}

/// Head, structured data and text of a record.
fn taken_apart(record: &str) -> (String, String, String) {
    let (head, rest) = record.split_once(" [").unwrap();
    let (data, text) = rest.split_once("] \u{feff}").unwrap();
    (head.into(), data.into(), text.into())
}

#[tokio::test]
async fn a_record_has_its_head_its_data_and_one_line() {
    let house = House::new("");
    let path = house.dir.path().join("log");
    let socket = UnixDatagram::bind(&path).unwrap();
    send(&house, &toml(&format!("unix:{}", path.display())), &quoted(), None, None).await.unwrap();
    let mut buffer = vec![0; 4096];
    let length = socket.recv(&mut buffer).await.unwrap();
    let record = String::from_utf8(buffer[..length].to_vec()).unwrap();
    let (head, data, text) = taken_apart(&record);
    let expected = format!("<154>1 2026-11-21T12:00:00.000Z rmm.example.com rmm {} raised", std::process::id());
    assert_eq!(head, expected, "local3 is 19, critical is 2");
    assert!(data.starts_with("rmm@32473 delivery=\"d-1\" occasion=\"raised\" alert=\"a-1\" about=\"db-1\""), "{data}");
    assert!(data.contains(r#"instance="C:\\\"x\"\] [evil y=\"1""#), "{data}");
    assert_eq!(text, "[CRITICAL] db-1: x <14>1 - - - - - - forged only 1.2 GB are left");
}

#[tokio::test]
async fn udp_takes_a_datagram_and_tcp_a_length() {
    let house = House::new("");
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    send(&house, &toml(&format!("udp:{}", udp.local_addr().unwrap())), &quoted(), None, None).await.unwrap();
    let mut buffer = vec![0; 4096];
    let length = udp.recv(&mut buffer).await.unwrap();
    assert!(buffer[..length].starts_with(b"<154>1 "));

    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = toml(&format!("tcp:{}", tcp.local_addr().unwrap()));
    let two = message(Occasion::Summary, vec![quoted().alerts.remove(0), alert("a-2", Severity::Low, "t")]);
    let (sent, received) = tokio::join!(send(&house, &address, &two, None, None), async {
        let (mut stream, _) = tcp.accept().await.unwrap();
        let mut all = String::new();
        stream.read_to_string(&mut all).await.unwrap();
        all
    });
    sent.unwrap();
    let mut rest = received.as_str();
    let mut records = Vec::new();
    while let Some((length, after)) = rest.split_once(' ') {
        let (record, next) = after.split_at(length.parse().unwrap());
        records.push(record);
        rest = next;
    }
    assert_eq!(records.len(), 2, "one for each alert: {received}");
    assert!(records[1].contains("alert=\"a-2\""));
}

#[tokio::test]
async fn a_log_that_is_not_there_is_an_error_that_may_pass() {
    let house = House::new("");
    let error = send(&house, &toml("unix:/nowhere/log"), &quoted(), None, None).await.unwrap_err();
    assert!(matches!(error, SendError::Unreachable { .. }) && error.may_pass(), "{error}");
}
