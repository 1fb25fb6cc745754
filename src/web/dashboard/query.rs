//! The query of a list's URL: read for the store, shown again in the filters, carried on in the links.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;
use url::form_urlencoded;

use crate::{
    event::delivery::Status,
    registry::Snapshot,
    store::query::{Looked, Page},
    web::extract::Params,
};

/// A query as it came.
#[derive(Debug)]
pub(super) struct Query {
    raw: String,
    path: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self {
            raw: parts.uri.query().unwrap_or_default().to_owned(),
            path: parts.uri.path().to_owned(),
        })
    }
}

impl Query {
    pub(super) fn params(&self) -> Params {
        Params::parse_form(&self.raw)
    }

    /// The first one of that name; empty where there is none.
    pub(super) fn get(&self, name: &str) -> String {
        self.pairs()
            .find(|(it, _)| it == name)
            .map(|(_, value)| value)
            .unwrap_or_default()
    }

    pub(super) fn pairs(&self) -> impl Iterator<Item = (String, String)> {
        form_urlencoded::parse(self.raw.as_bytes()).into_owned()
    }

    /// The list as it is.
    pub(super) fn here(&self) -> String {
        with_query(&self.path, &self.raw)
    }

    /// Another path with the conditions of this one, and some more in front.
    pub(super) fn on(&self, path: &str, more: &[(&str, &str)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(more);
        query.extend_pairs(self.conditions());
        with_query(path, &query.finish())
    }

    /// The links below a list. `next`: the cursor of the page after this one.
    pub(super) fn pager(&self, next: Option<impl ToString>) -> Pager {
        let limit = self.get("limit");
        let limit: &[_] = if limit.is_empty() {
            &[]
        } else {
            &[("limit", limit.as_str())]
        };
        let with_cursor = |cursor: String| {
            let more: Vec<_> = limit
                .iter()
                .copied()
                .chain([("cursor", cursor.as_str())])
                .collect();
            self.on(&self.path, &more)
        };
        Pager {
            first: (!self.get("cursor").is_empty()).then(|| self.on(&self.path, limit)),
            next: next.map(|it| with_cursor(it.to_string())),
            looked: None,
        }
    }

    /// The same of a page, which may have looked only so far.
    pub(super) fn pager_of<T, I: ToString>(&self, page: &Page<T, I>) -> Pager {
        Pager {
            looked: page.looked.map(Reach::from),
            ..self.pager(page.next.as_ref().map(I::to_string))
        }
    }

    /// Whether it is the first page of all there is: cheap to look at again and again.
    pub(super) fn is_plain(&self) -> bool {
        self.get("cursor").is_empty() && self.conditions().next().is_none()
    }

    /// What narrows the list down, without what only turns its pages.
    pub(super) fn conditions(&self) -> impl Iterator<Item = (String, String)> {
        self.pairs()
            .filter(|(name, value)| !value.is_empty() && !["cursor", "limit"].contains(&name.as_str()))
    }
}

fn with_query(path: &str, query: &str) -> String {
    if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{query}")
    }
}

#[derive(Debug)]
pub(super) struct Pager {
    pub(super) first: Option<String>,
    pub(super) next: Option<String>,
    /// How far the list looked, where it did not come to the end of what there is.
    pub(super) looked: Option<Reach>,
}

#[derive(Debug)]
pub(super) struct Reach {
    pub(super) n_rows: u64,
    pub(super) back_to: String,
}

impl From<Looked> for Reach {
    fn from(it: Looked) -> Self {
        Self {
            n_rows: it.n_rows,
            back_to: it.back_to.to_string(),
        }
    }
}

/// The form above a list.
#[derive(Debug)]
pub(super) struct Filters {
    pub(super) action: &'static str,
    pub(super) fields: Vec<Field>,
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) value: String,
    pub(super) hint: &'static str,
    /// Empty: any text.
    pub(super) choices: Vec<Choice>,
}

#[derive(Debug)]
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) is_chosen: bool,
}

impl Field {
    pub(super) fn is_search(&self) -> bool {
        self.name == "q"
    }
}

impl Filters {
    pub(super) fn new(action: &'static str) -> Self {
        Self {
            action,
            fields: Vec::new(),
        }
    }

    pub(super) fn is_set(&self) -> bool {
        self.fields.iter().any(|it| !it.value.is_empty())
    }

    #[must_use]
    pub(super) fn text(
        mut self,
        query: &Query,
        name: &'static str,
        label: &'static str,
        hint: &'static str,
    ) -> Self {
        self.fields.push(Field {
            name,
            label,
            value: query.get(name),
            hint,
            choices: Vec::new(),
        });
        self
    }

    /// What is asked for is a choice too, so that a name that left the config still shows.
    #[must_use]
    pub(super) fn choice(
        mut self,
        query: &Query,
        name: &'static str,
        label: &'static str,
        values: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let value = query.get(name);
        let mut values: Vec<String> = values.into_iter().map(Into::into).collect();
        if !value.is_empty() && !values.contains(&value) {
            values.push(value.clone());
        }
        let choice = |it: String| Choice {
            is_chosen: it == value,
            value: it,
        };
        self.fields.push(Field {
            name,
            label,
            hint: "",
            choices: values.into_iter().map(choice).collect(),
            value,
        });
        self
    }

    #[must_use]
    pub(super) fn source(self, query: &Query, snapshot: &Snapshot) -> Self {
        let names = snapshot.sources.keys().map(|it| &**it);
        self.choice(query, "source", "Source", names)
    }

    #[must_use]
    pub(super) fn destination(self, query: &Query, snapshot: &Snapshot) -> Self {
        let names = snapshot.destinations.keys().map(|it| &**it);
        self.choice(query, "destination", "Destination", names)
    }

    #[must_use]
    pub(super) fn status(self, query: &Query) -> Self {
        self.choice(
            query,
            "status",
            "Delivery status",
            Status::ALL.map(Status::as_str),
        )
    }

    #[must_use]
    pub(super) fn times(self, query: &Query) -> Self {
        self.text(query, "after", "From", "2026-01-31T12:00:00Z").text(
            query,
            "before",
            "Before",
            "2026-01-31T13:00:00Z",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_carry_the_conditions_on_and_nothing_else() {
        let query = Query {
            raw: "source=a%26b&type=&limit=2&cursor=old&q=x+y".to_owned(),
            path: "/events".to_owned(),
        };
        let pager = query.pager(Some("new"));
        assert_eq!(
            pager.next.unwrap(),
            "/events?limit=2&cursor=new&source=a%26b&q=x+y"
        );
        assert_eq!(pager.first.unwrap(), "/events?limit=2&source=a%26b&q=x+y");
        assert_eq!(
            query.on("/jobs/plan", &[("action", "replay")]),
            "/jobs/plan?action=replay&source=a%26b&q=x+y"
        );
        let filters = Filters::new("/events").choice(&query, "source", "Source", ["stripe"]);
        assert!(filters.is_set());
        let chosen: Vec<_> = filters.fields[0]
            .choices
            .iter()
            .filter(|it| it.is_chosen)
            .collect();
        assert_eq!(chosen[0].value, "a&b");
    }
}
