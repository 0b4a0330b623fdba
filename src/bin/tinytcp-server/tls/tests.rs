use crate::listen_address::ListenAddress;

fn error(text: &str) -> String {
    ListenAddress::parse(text).map(|_| ()).expect_err(text).to_string()
}

#[test]
fn a_url_with_tls_can_name_its_certificate() {
    for text in [
        "text+tls://127.0.0.1:1",
        "text+proxy+tls://127.0.0.1:1?cert=a.pem&key=b.pem",
        "text+tls+unix:///t.sock?cert=a.pem&key=b.pem&min=1.3&client-ca=c.pem&proxy=on",
    ] {
        let address = ListenAddress::parse(text).expect(text);
        let options = address.tls.as_ref().expect("it has TLS");
        assert_eq!(options.has_certificate(), text.contains("cert="));
        assert_eq!(address.is_for_proxies, text.contains("proxy"));
        assert!(text.replace("+proxy", "").starts_with(&address.url()), "{}", address.url());
    }
}

#[test]
fn a_wrong_option_of_tls_is_refused() {
    assert!(error("text+tls://h:1?cert=a.pem").contains("cert and key belong together"));
    assert!(error("text+tls://h:1?min=1.1").contains("min is 1.2 or 1.3"));
    assert!(error("text://h:1?min=1.3").contains("add +tls"));
    assert!(error("text+tls+proxy://h:1").contains("comes before +tls"));
}
