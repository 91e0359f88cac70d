use super::*;

#[test]
fn a_key_becomes_the_name_of_a_file_and_nothing_else() {
    assert_eq!(Receipts::new("j-17.2").key, "j-17.2");
    for key in ["", "../x", "a/b", "a b", "-x", ".x", &"x".repeat(101)] {
        let made = Receipts::new(key).key;
        assert!(made.starts_with("k-") && made.len() == 34, "{key}: {made}");
    }
}

#[test]
fn the_program_is_short_enough_to_be_sent_in_one_piece_and_holds_nothing_of_the_operation() {
    let rendered = Rendered { line: "app --login".into(), input: Some(b"hunter2".to_vec()) };
    let command = waiting("j-1.1.1", &rendered, Duration::from_secs(5));
    assert!(command.line.len() < 7000, "{}", command.line.len());
    assert!(!command.line.contains("app --login") && !command.line.contains("hunter2"));
    assert!(command.input.ends_with(b"app --loginhunter2"));
}

#[test]
fn an_answer_is_read_exactly_or_not_at_all() {
    let output = |text: &str| Output { code: 0, stdout: text.as_bytes().to_vec(), stderr: b"why".to_vec() };
    let limit = Duration::from_secs(7);
    let read = |text: &str| super::read(&output(text), limit);
    let done = read("rmm-once done 3 2 1\nabc").unwrap().unwrap();
    assert_eq!((done.code, &*done.stdout, &*done.stderr), (3, &b"ab"[..], &b"c"[..]));
    assert_eq!(read("rmm-once none 0 0 0\n"), Ok(None));
    assert_eq!(read("rmm-once late 0 0 0\n"), Err(TransportError::Timeout { seconds: 7 }.into()));
    assert_eq!(read("rmm-once unsafe 0 0 0\n"), Err(OnceError::Unsafe("why".into())));
    for state in ["cut", "lost", "other"] {
        assert!(matches!(read(&format!("rmm-once {state} 0 0 0\n")), Err(OnceError::Interrupted(_))));
    }
    for text in [
        "",
        "hello\n",
        "rmm-once done x 0 0\n",
        "rmm-once done 0 5 0\nabc",
        "rmm-once done 0 1 1\nabc",
        "rmm-once done 0 18446744073709551615 5\n",
    ] {
        assert!(matches!(read(text), Err(OnceError::Unreadable(_))), "{text}");
    }
}
