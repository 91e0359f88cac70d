//! A device is observed over WinRM: one command, answered in the parts that were asked for.

use rmm::collect::{Collector, Limits, Request};
use rmm::model::facts::{Facts, Status};
use rmm::time::SystemClock;
use tokio_util::sync::CancellationToken;

use super::endpoint::{Endpoint, Given, PASSWORD, sessions};

#[tokio::test(flavor = "multi_thread")]
async fn a_device_with_windows_is_observed_over_winrm_in_one_round_trip() {
    let endpoint = Endpoint::start(Given::default());
    let sessions = sessions(PASSWORD);
    let session = super::open(&sessions, &endpoint).await.unwrap();
    let request = Request::full();
    let cancel = CancellationToken::new();
    let seen = Collector::collect(&*session, &request, None, &SystemClock, &cancel, Limits::default()).await.unwrap();
    sessions.close_all().await;
    assert_eq!(seen.problems, Vec::<String>::new());
    assert_eq!(seen.sections.len(), request.sections.len());
    let observed = seen.sections.values().filter(|section| section.status == Status::Ok).count();
    assert!(observed >= 50, "{observed} sections");
    let facts = Facts { sections: seen.sections };
    assert_eq!(facts.value("software.os.pretty_name").unwrap(), "Windows 11 Pro 24H2");
    assert_eq!(facts.value("hardware.usb").unwrap()[0]["product"], "USB-Verbundger\u{e4}t");
    let log = endpoint.log();
    assert_eq!((log.count("shell"), log.count("command"), log.count("clear")), (1, 1, 0));
    log.assert_no_shell_is_left();
}
