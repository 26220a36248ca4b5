use proptest::prelude::*;
use serde_json::json;

use super::*;

fn redactor() -> Redactor {
    Redactor::new(b"a key of the ledger", &["Anna Smith".into(), "Anna".into(), "Zoë".into(), " ".into()]).unwrap()
}

/// The text with digits of pseudonyms left out.
fn shape(text: &str) -> String {
    let digits = Regex::new(r"<([a-z-]+):[0-9a-f]{12}>").unwrap();
    digits.replace_all(&redactor().text(text), "<$1>").into_owned()
}

#[test]
fn personal_data_and_secrets_are_replaced() {
    for (text, expected) in [
        ("mail ops@example.com now", "mail <email> now"),
        ("From: Jörg.Müller+ml@mail.example.co.uk.", "From: <email>."),
        ("<first.last@sub.example.org>", "<<email>>"),
        ("user_1%x@example.io,other@example.io", "<email>,<email>"),
        ("runs as svc@cluster.example", "runs as <email>"),
        ("call +49 30 901820 today", "call <phone> today"),
        ("+1 (212) 555-0123", "<phone>"),
        ("+442071838750", "<phone>"),
        ("(212) 555-0123", "<phone>"),
        ("212-555-0123", "<phone>"),
        ("on 212.555.0123.", "on <phone>."),
        ("1-212-555-0123", "<phone>"),
        ("tel: 030 901820-0", "tel: <phone>"),
        ("Mobile 0170/1234567", "Mobile <phone>"),
        ("from 10.2.3.4", "from <ip>"),
        ("http://192.168.1.17:9090/metrics", "http://<ip>:9090/metrics"),
        ("8.8.8.8/32, 8.8.4.4", "<ip>/32, <ip>"),
        ("dial tcp 172.16.0.9:443: timeout", "dial tcp <ip>:443: timeout"),
        ("[2001:db8::8a2e:370:7334]:8080", "[<ip>]:8080"),
        ("peer fe80::1ff:fe23:4567:890a up", "peer <ip> up"),
        ("2001:0db8:0000:0000:0000:ff00:0042:8329", "<ip>"),
        ("::ffff:192.168.0.9", "<ip>"),
        ("card 4111 1111 1111 1111 declined", "card <card> declined"),
        ("4111111111111111", "<card>"),
        ("5500-0000-0000-0004", "<card>"),
        ("3782 822463 10005", "<card>"),
        ("378282246310005", "<card>"),
        ("6011111111111117", "<card>"),
        ("to DE89 3704 0044 0532 0130 00 PAID", "to <iban> PAID"),
        ("GB82WEST12345698765432", "<iban>"),
        ("FR14 2004 1010 0505 0001 3M02 606", "<iban>"),
        ("Authorization: Bearer 9a8b7c6d5e4f3a2b1c0d", "Authorization: Bearer <token>"),
        ("authorization: basic dXNlcjpwYXNzd29yZA==", "authorization: basic <token>"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "<token>"),
        ("key AKIAIOSFODNN7EXAMPLE", "key <token>"),
        ("ghp_0123456789abcdefghijABCDEFGHIJ012345", "<token>"),
        ("github_pat_11ABCDEFG0abcdefghijkl_mnop", "<token>"),
        ("glpat-abcDEF123456_7890xyz", "<token>"),
        ("xoxb-123456789012-abcdefGHIJ", "<token>"),
        ("https://hooks.slack.com/services/T000/B000/XXXXXXXX", "<token>"),
        ("sk-proj-abcDEF1234567890ghijKLMN", "<token>"),
        ("sk-ant-api03-AbCdEf0123456789xyz", "<token>"),
        ("hf_abcdefghijABCDEFGHIJ0123456789abcd", "<token>"),
        ("AIzaSyA1234567890abcdefghijklmnopqrstuv", "<token>"),
        ("sk_live_4eC39HqLyjWDarjtT1zdp7dc", "<token>"),
        ("hvs.CAESIJ1234567890abcdefghijkl", "<token>"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nnext", "<private-key>\nnext"),
        ("-----BEGIN PRIVATE KEY-----\nMIIEcut", "<private-key>"),
        ("postgres://app:hunter2@db.example:5432/ml", "postgres://<credentials>@db.example:5432/ml"),
        ("amqp://app:p@ss@mq/vhost", "amqp://<credentials>@mq/vhost"),
        ("redis://:pw@cache:6379", "redis://<credentials>@cache:6379"),
        ("password=hunter2", "password=<secret>"),
        ("DB_PASSWORD: 'correct horse'", "DB_PASSWORD: '<secret>'"),
        ("pwd = 1234;", "pwd = <secret>;"),
        (r#"{"password": "x y", "n": 1}"#, r#"{"password": "<secret>", "n": 1}"#),
        (r#"body {\"api_key\": \"abc\"}"#, r#"body {\"api_key\": \"<secret>\"}"#),
        ("token: a1b2c3d4", "token: <secret>"),
        ("?token=abcdef&x=1", "?token=<secret>&x=1"),
        ("X-Api-Key: 77fe", "X-Api-Key: <secret>"),
        ("aws_secret_access_key=wJalrXUtnFEMI/K7MDENG", "aws_secret_access_key=<secret>"),
        ("client_secret=abc, rest", "client_secret=<secret>, rest"),
        ("run --password hunter2 --verbose", "run --password <secret> --verbose"),
        ("approved by anna  smith and ZOË", "approved by <name> and <name>"),
        ("Anna's change", "<name>'s change"),
        ("anna@example.com, Anna", "<email>, <name>"),
    ] {
        assert_eq!(shape(text), expected, "{text}");
    }
}

#[test]
fn what_only_looks_like_it_survives() {
    for text in [
        "registry.example/ml/iris@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "sha256:4111111111111111e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934c",
        "550e8400-e29b-41d4-a716-446655440000",
        "12345678-1234-4234-8234-123456789012",
        "iris-predictor-00042-deployment-7d9f8b6c5-x2k4p",
        "sk-learn-iris-predictor-00001-deployment-5c9d",
        "v1.2.3",
        "1.2.3-rc.1+build.5",
        "v1.2.3.4",
        "cuda-12.4.1.0",
        "numpy==1.26.4.1",
        "driver version 10.4.1.0",
        "1.2.3.4.5",
        "2026-01-31T08:00:00Z",
        "2026-01-31 08:00:00.123456+01:00",
        "12:30:45",
        "01:23:45:67:89:ab",
        "1767225600000",
        "1767225600000000",
        "1767225600123456789",
        "series 4532015112830366123",
        "0.4111111111111111",
        "4111111111111111.5",
        "4111 1111 1111 1112",
        "41 11 11 11 11 11 11 11",
        "le=\"10.2\"",
        "p95 280 ms, expected 82.5 ms",
        "1e+10 and +3.5 and -7",
        "delta +1532.25",
        "+12345.6789",
        "latency 250 300 4000",
        "commit 4a3f9c1e8b7d6a5f4e3d2c1b0a9f8e7d6c5b4a39",
        "4a3f9c1",
        "a0b92fd..e4daa90",
        "git@github.com:org/repo.git",
        "pkg@1.2.3",
        "s3://models/iris/3",
        "https://example.com/a:b/c@d",
        "http://prometheus:9090/api/v1/query",
        "127.0.0.1:8000 and [::1]:8000 and 0.0.0.0",
        "std::fmt::Display",
        "dead::beef",
        "max_tokens=512",
        "prompt_tokens: 812",
        "eos_token: 2",
        "token: expired",
        "invalid token: signature mismatch",
        "secret: missing",
        "tokenizer: bert-base",
        "secretName: regcred",
        "password=$DB_PASSWORD",
        "password: ********",
        "password=null",
        "run --token-file /etc/token",
        "bearer authentication failed",
        "Basic understanding",
        "DE89 3704 0044 0532 0130 01",
        "GPU A100 NODE 1234 5678",
        "phone: 2026-01-31",
        "Annapurna and Joanna",
        "gpu-pool-us-east-1a",
        "300x400",
        "",
    ] {
        assert_eq!(redactor().text(text), text);
        assert!(matches!(redactor().text(text), Cow::Borrowed(_)), "{text}");
    }
}

#[test]
fn equal_values_join_and_keys_separate() {
    let r = redactor();
    assert_eq!(r.text("Ops@Example.com"), r.text("ops@example.com"));
    assert_eq!(r.text("4111 1111 1111 1111"), r.text("4111111111111111"));
    assert_eq!(r.text("2001:db8:0:0::1"), r.text("2001:db8::1"));
    assert_eq!(r.text("Anna Smith"), r.pseudonym("name", "anna smith"));
    assert_ne!(r.text("a@example.com"), r.text("b@example.com"));
    let other = Redactor::new(b"another key", &[]).unwrap();
    assert_ne!(r.text("a@example.com"), other.text("a@example.com"));
    assert!(matches!(Redactor::new(b"", &[]), Err(RedactError::EmptyKey)));
}

#[test]
fn json_is_redacted_by_content_and_by_key() {
    let r = redactor();
    let value = json!({
        "who": "ops@example.com",
        "password": 1234,
        "max_tokens": 512,
        "api_key": "abc def",
        "token": null,
        "secret": ["a", 5],
        "env": [{"name": "DB_PASSWORD", "value": "x"}, {"name": "REGION", "value": "eu"}],
        "ops@example.com": {"image": "iris@sha256:9f86d081884c7d65", "value": 10.2},
    });
    let found = r.json(&value);
    let secret = |text: &str| Value::String(r.pseudonym("secret", text));
    let email = r.pseudonym("email", "ops@example.com");
    assert_eq!(found["who"], email);
    assert_eq!(found["password"], secret("1234"));
    assert_eq!(found["api_key"], secret("abc def"));
    assert_eq!((&found["max_tokens"], &found["token"]), (&json!(512), &Value::Null));
    assert_eq!(found["secret"], json!([secret("a"), 5]));
    assert_eq!(found["env"], json!([{"name": "DB_PASSWORD", "value": secret("x")}, {"name": "REGION", "value": "eu"}]));
    assert_eq!(found[&email], value["ops@example.com"]);
    assert_eq!(r.json(&found), found);
}

proptest! {
    #[test]
    fn redacting_twice_is_redacting_once(
        parts in proptest::collection::vec(prop_oneof![
            Just("a.b@example.com".to_owned()), Just("10.0.0.1".to_owned()), Just("password=".to_owned()), Just("Bearer ".to_owned()),
            Just("4111111111111111".to_owned()), Just("Anna".to_owned()), Just("token: ".to_owned()), Just("://u:p@h".to_owned()), "\\PC{0,12}",
        ], 0..8),
    ) {
        let r = redactor();
        let once = r.text(&parts.concat()).into_owned();
        prop_assert_eq!(r.text(&once).into_owned(), once);
    }

    #[test]
    fn any_text_is_taken(text in "(?s).{0,80}") {
        redactor().text(&text);
    }
}
