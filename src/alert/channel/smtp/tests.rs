use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::{base::secret::Secret, egress::guard::Reach};

fn remote() -> Remote {
    Remote::new("mail.example.com", 25, Reach::Private, &[]).unwrap()
}

fn login() -> Login {
    Login {
        username: "gatepost".to_owned(),
        password: Secret::new(*b"hunter22"),
    }
}

/// A server that says all of it at once; and what it was told, once the conversation is over.
async fn talk<'a, T>(
    remote: &'a Remote,
    says: &str,
    work: impl AsyncFnOnce(&mut Line<'a>) -> Result<T, NotSent>,
) -> (Result<T, NotSent>, String) {
    let (ours, mut theirs) = tokio::io::duplex(64 << 10);
    theirs.write_all(says.as_bytes()).await.unwrap();
    theirs.shutdown().await.unwrap();
    let mut line = Line::new(remote, Box::new(ours));
    let result = work(&mut line).await;
    drop(line);
    let mut told = String::new();
    theirs.read_to_string(&mut told).await.unwrap();
    (result, told)
}

async fn mail(says: &str) -> (Result<Vec<Refusal>, NotSent>, String) {
    let address = |text| Address::parse(text).unwrap();
    let (from, to) = (
        address("gatepost@example.com"),
        [address("a@example.com"), address("b@example.com")],
    );
    let envelope = Envelope {
        from: &from,
        to: &to,
        message: "Subject: s\r\n\r\nQQ==\r\n",
    };
    talk(&remote(), says, async |line| line.hand_over(&envelope).await).await
}

#[tokio::test]
async fn one_recipient_who_is_refused_keeps_it_from_no_other() {
    let (taken, told) = mail("250 ok\r\n250 ok\r\n550 5.1.1 left us\r\n354 go on\r\n250 taken\r\n").await;
    let refused: Vec<_> = taken.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(
        refused,
        ["`mail.example.com:25` refused mail to `b@example.com`: 550 5.1.1 left us"]
    );
    assert_eq!(
        told,
        "MAIL FROM:<gatepost@example.com>\r\nRCPT TO:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n\
         Subject: s\r\n\r\nQQ==\r\n.\r\n"
    );
}

#[tokio::test]
async fn what_is_refused_for_good_is_asked_again_in_an_hour() {
    let check = async |says: &str, explanation: &str, wait: Option<Duration>| {
        let (refused, told) = mail(says).await;
        let NotSent {
            explanation: it,
            wait: waits,
        } = refused.unwrap_err();
        assert_eq!(
            (it.as_str(), waits),
            (format!("`mail.example.com:25` {explanation}").as_str(), wait)
        );
        assert!(!told.contains("QQ=="), "{told}");
    };
    let hour = Some(Duration::from_hours(1));
    check(
        "550-5.7.1 no relay\r\n550 5.7.1 for\tyou\r\n",
        "refused mail from `gatepost@example.com`: 550 5.7.1 no relay 5.7.1 for you",
        hour,
    )
    .await;
    check(
        "451 later\r\n",
        "refused mail from `gatepost@example.com`: 451 later",
        None,
    )
    .await;
    // Whoever may take it later decides when it is tried again.
    check(
        "250 ok\r\n550 no\r\n450 later\r\n",
        "refused mail to `b@example.com`: 450 later",
        None,
    )
    .await;
    check(
        "250 ok\r\n550 no\r\n551 no\r\n",
        "refused mail to `a@example.com`: 550 no",
        hour,
    )
    .await;
    check(
        "250 ok\r\n250 ok\r\n250 ok\r\n554 no\r\n",
        "refused the mail: 554 no",
        hour,
    )
    .await;
}

#[tokio::test]
async fn what_is_no_answer_is_said_to_be_none() {
    for says in [
        "HTTP/1.1 400 Bad Request\r\n",
        "250\r\n25",
        "2500 ok\r\n",
        "\r\n",
        &"250-on\r\n".repeat(4_000),
    ] {
        let (refused, _) = mail(says).await;
        let said = refused.unwrap_err().explanation;
        assert!(said.ends_with("does not speak SMTP"), "{says}: {said}");
    }
}

#[tokio::test]
async fn a_login_says_the_password_once_and_shows_it_never() {
    let log_in = async |says: &str, words: &str| {
        let remote = remote();
        let lines = format!("250-hello\r\n250 {words}\r\n{says}");
        let (done, told) = talk(&remote, &lines, async |line| {
            let offer = line.hello("[127.0.0.1]").await?;
            line.log_in(&login(), &offer).await
        })
        .await;
        (done.map_err(|it| it.explanation), told)
    };
    let (done, told) = log_in("235 welcome\r\n", "AUTH LOGIN PLAIN").await;
    assert_eq!(
        (done, told.as_str()),
        (
            Ok(()),
            "EHLO [127.0.0.1]\r\nAUTH PLAIN AGdhdGVwb3N0AGh1bnRlcjIy\r\n"
        )
    );
    let (done, told) = log_in(
        "334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n235 welcome\r\n",
        "auth login",
    )
    .await;
    assert_eq!(
        (done, told.as_str()),
        (
            Ok(()),
            "EHLO [127.0.0.1]\r\nAUTH LOGIN\r\nZ2F0ZXBvc3Q=\r\naHVudGVyMjI=\r\n"
        )
    );
    for says in ["AGdhdGVwb3N0AGh1bnRlcjIy", "hunter22"] {
        let (refused, _) = log_in(&format!("500 what is {says}?\r\n"), "AUTH PLAIN").await;
        let refused = refused.unwrap_err();
        assert!(
            refused.ends_with("refused the login: 500 (what it said repeats the password)"),
            "{refused}"
        );
    }
    let (refused, told) = log_in("", "AUTH XOAUTH2").await;
    assert!(refused.unwrap_err().contains("takes no login"));
    assert_eq!(told, "EHLO [127.0.0.1]\r\n");
}

#[tokio::test]
async fn words_from_before_tls_are_not_taken_for_words_inside_it() {
    let (ours, mut theirs) = tokio::io::duplex(64 << 10);
    theirs
        .write_all(b"220 go on\r\n250 and this is taken\r\n")
        .await
        .unwrap();
    let remote = remote();
    let mut line = Line::new(&remote, Box::new(ours));
    line.ask("STARTTLS", "STARTTLS", 2).await.unwrap();
    let refused = line.secured().await.err().unwrap();
    assert!(
        refused
            .explanation
            .ends_with("said more than it was asked before TLS began"),
        "{refused}"
    );
}
