//! What is said of a config that names a cloud's service and is not right.

use crate::config::printed;

#[test]
fn a_service_of_a_cloud_says_where_it_is_and_in_whose_name_it_is_called() {
    let account = "access_key_id = \"AKIAIOSFODNN7EXAMPLE\", secret_access_key = { env = \"ORDERS_SECRET\" }";
    let queue = "https://sqs.eu-central-1.amazonaws.com/123456789012/webhooks";
    let cases = [
        format!("[destinations.d]\nsqs = {{ queue_url = \"{queue}\", region = \"us-east-1\", {account} }}"),
        format!("[destinations.d]\nsqs = {{ queue_url = \"{queue}\" }}"),
        "[destinations.d]\nsqs = { queue_url = \"http://127.0.0.1:9324/webhooks\", access_key_id = \"x\", secret_access_key = \"hunter2\" }".to_owned(),
        format!("[destinations.d]\nsns = {{ topic_arn = \"webhooks\", region = \"Europe\", {account} }}"),
        format!("[destinations.d]\nsns = {{ topic_arn = \"arn:aws:sns:us-east-1:1:a\", endpoint = \"http://h/?x=1\", {account} }}"),
        format!("[destinations.d]\neventbridge = {{ buss = \"webhooks\", {account} }}"),
        format!("[destinations.d]\ns3 = {{ bucket = \"a/b\", prefix = \"../x\", gather = \"2h\", region = \"us-east-1\", {account} }}"),
        "[destinations.d]\npubsub = { topic = \"webhooks\" }".to_owned(),
        "[destinations.d]\npubsub = { topic = \"projects/p/topics/t\" }".to_owned(),
        "[destinations.d]\npubsub = { topic = \"projects/p/topics/t\", credentials = { env = \"ORDERS_SECRET\" } }".to_owned(),
    ];
    let cases: Vec<_> = cases.iter().map(String::as_str).collect();
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(printed(&cases)) });
}

#[test]
fn a_token_is_for_a_handler_behind_a_url() {
    let server = "token_url = \"https://auth.example.com/token\", client_id = \"gatepost\"";
    let cases = [
        "[destinations.d]\nurl = \"https://h/\"\noauth2 = { token_url = \"auth.example.com\", client_secret = \"hunter2\", client_auth = \"post\" }".to_owned(),
        format!(
            "[destinations.d]\nurl = \"https://h/\"\nheaders = {{ Authorization = \"x\" }}\n\
             oauth2 = {{ {server}, client_secret = {{ env = \"ORDERS_SECRET\" }} }}"
        ),
        format!(
            "[destinations.d]\nexec = {{ command = [\"/bin/true\"] }}\n\
             oauth2 = {{ {server}, client_secret = {{ env = \"ORDERS_SECRET\" }} }}"
        ),
    ];
    let cases: Vec<_> = cases.iter().map(String::as_str).collect();
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(printed(&cases)) });
}
