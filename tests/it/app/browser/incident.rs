//! An incident from the first sign to its end, by clicks and keys in a browser.

use serde_json::json;

use crate::app::{app_case, browser::tab::Tab, receiver::Reply, sender::event};

impl Tab {
    /// Waits until the page says so, by what its own script makes fresh.
    async fn until_said(&mut self, selector: &str, words: &str) {
        let said = self
            .eval(&format!(
                "new Promise((done) => {{
                    const began = Date.now();
                    const look = () => {{
                        const text = document.querySelector({})?.innerText ?? '';
                        if (text.includes({}) || Date.now() - began > 25000) done(text);
                        else setTimeout(look, 50);
                    }};
                    look();
                }})",
                json!(selector),
                json!(words)
            ))
            .await;
        let said = said.as_str().unwrap();
        assert!(said.contains(words), "`{selector}` never said `{words}`: {said}");
    }
}

app_case!(an_incident_is_seen_and_mended_by_clicks, |site| {
    let Some(mut tab) = Tab::open().await else { return };
    let app = site.start().await;
    let origin = format!("http://{}", app.admin);
    tab.go(&format!("{origin}/")).await;
    assert_eq!(tab.text("main h1").await, "Nothing is wrong.");

    // A handler was deployed that takes nothing.
    site.receiver
        .always("/billing", Reply::Says(422, "2.0 knows no such field".into()));
    let id = app.accept(&event("evt_1")).await;
    app.until_status(&id, "dead").await;
    // Whoever has the overview open sees it there, without touching anything.
    tab.until_said(".verdict", "1 dead letter for billing.").await;
    tab.until_said("#overview", "failing").await;

    tab.follow(".verdict a[href^='/deliveries?status=dead']").await;
    assert_eq!(tab.text("main h1").await, "Dead letters");
    // By keys: down to the first row, and into it.
    tab.press("j").await;
    assert_eq!(
        tab.eval("document.querySelectorAll('tr.current').length").await,
        1
    );
    tab.follow("tr.current a").await;
    tab.until_said("#attempts", "422").await;
    tab.until_said("#attempts", "2.0 knows no such field").await;

    // Back to the event, to see what it was, and to try it again once the handler is mended.
    tab.follow("#state a[href^='/events/']").await;
    tab.until_said("#event-id", &id).await;
    tab.until_said("#deliveries", "dead").await;
    site.receiver.always("/billing", Reply::Status(200));
    tab.follow("#deliveries form[action$='/retry'] button").await;
    tab.until_said("#deliveries", "delivered").await;
    app.until_status(&id, "delivered").await;

    tab.follow("header a[href='/']").await;
    tab.until_said("main h1", "Nothing is wrong.").await;
    tab.until_said("#overview", "healthy").await;
    assert_eq!(tab.complaints(&origin), Vec::<String>::new());

    // Who did it is written down.
    tab.follow("header a[href='/audit']").await;
    tab.until_said("main", "retry_delivery").await;
    // And the help is a key away.
    tab.press("?").await;
    tab.until_said("dialog[open]", "next and previous row").await;
    app.finish().await;
});
