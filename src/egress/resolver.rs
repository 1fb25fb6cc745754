//! The hook between a name and the addresses that are dialled for it.
//!
//! The client dials exactly what `resolve` returns, so there is no moment between the check and the connection in which a
//! name could change its mind.

use std::{future::Future, io, net::SocketAddr, pin::Pin, sync::Arc};

use crate::egress::guard::{self, Forbidden, Reach};

/// Looks a name up. Tests put their own answers here.
pub type Lookup = Arc<dyn Fn(String) -> Looking + Send + Sync>;
pub type Looking = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// Why a name gave no address to dial.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// Every address of the name is forbidden; this is the first.
    #[error(transparent)]
    Forbidden(Forbidden),
    #[error("the name has no address")]
    Empty,
    #[error("{0}")]
    Lookup(String),
}

/// The system's resolver (`/etc/hosts`, nsswitch, DNS).
pub fn system() -> Lookup {
    Arc::new(|name| {
        // The port is the URL's; the client puts it in.
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })
    })
}

pub(crate) struct GuardedResolver {
    pub(crate) reach: Reach,
    pub(crate) lookup: Lookup,
}

impl reqwest::dns::Resolve for GuardedResolver {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let reach = self.reach;
        let looking = (self.lookup)(name.as_str().to_owned());
        Box::pin(async move {
            let found = looking.await.map_err(|e| ResolveError::Lookup(e.to_string()))?;
            let open = filter(found, reach)?;
            Ok(Box::new(open.into_iter()) as reqwest::dns::Addrs)
        })
    }
}

/// The addresses that may be dialled, in their canonical form; an error if none is left.
pub fn filter(found: Vec<SocketAddr>, reach: Reach) -> Result<Vec<SocketAddr>, ResolveError> {
    let mut first_forbidden = None;
    let mut open = Vec::with_capacity(found.len());
    for address in found {
        match guard::check(address.ip(), reach) {
            Ok(()) => open.push(SocketAddr::new(address.ip().to_canonical(), address.port())),
            Err(forbidden) => {
                first_forbidden.get_or_insert(forbidden);
            }
        }
    }
    match (open.is_empty(), first_forbidden) {
        (false, _) => Ok(open),
        (true, Some(forbidden)) => Err(ResolveError::Forbidden(forbidden)),
        (true, None) => Err(ResolveError::Empty),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts
            .iter()
            .map(|it| SocketAddr::new(it.parse().unwrap(), 0))
            .collect()
    }

    #[test]
    fn c02_only_open_addresses_of_a_name_are_dialled() {
        let mixed = addresses(&["10.0.0.1", "8.8.8.8", "169.254.169.254", "::1", "2606:4700::1111"]);
        assert_eq!(
            filter(mixed.clone(), Reach::Public).unwrap(),
            addresses(&["8.8.8.8", "2606:4700::1111"])
        );
        assert_eq!(
            filter(mixed, Reach::Private).unwrap(),
            addresses(&["10.0.0.1", "8.8.8.8", "::1", "2606:4700::1111"])
        );
    }

    #[test]
    fn c02_a_name_with_none_is_forbidden() {
        let closed = addresses(&["169.254.169.254", "fe80::1", "::ffff:169.254.169.254"]);
        assert!(matches!(
            filter(closed, Reach::Private),
            Err(ResolveError::Forbidden(it)) if it.address.to_string() == "169.254.169.254"
        ));
        assert!(matches!(
            filter(Vec::new(), Reach::Public),
            Err(ResolveError::Empty)
        ));
    }

    #[test]
    fn c04_mapped_answers_are_dialled_as_what_they_are() {
        assert_eq!(
            filter(addresses(&["::ffff:8.8.8.8"]), Reach::Public).unwrap(),
            addresses(&["8.8.8.8"])
        );
    }
}
