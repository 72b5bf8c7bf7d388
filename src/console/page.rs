//! What all pages have: the head, the way around, the words of warning.

use maud::{DOCTYPE, Markup, html};

use super::Visit;

/// The id of a page's main part, which the skip link leads to.
pub(super) const MAIN: &str = "main";

/// The parts of the console, in the order of its navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Overview,
    Enclaves,
    Keys,
    Audit,
    Inspector,
}

impl Section {
    const ALL: [Self; 5] = [Self::Overview, Self::Enclaves, Self::Keys, Self::Audit, Self::Inspector];

    const fn title(self) -> &'static str {
        match self {
            Section::Overview => "Overview",
            Section::Enclaves => "Enclaves",
            Section::Keys => "Keys",
            Section::Audit => "Audit log",
            Section::Inspector => "Inspector",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Section::Overview => "/",
            Section::Enclaves => "/enclaves",
            Section::Keys => "/keys",
            Section::Audit => "/audit",
            Section::Inspector => "/inspector",
        }
    }
}

/// A page for whoever is signed in. `content` starts with its `h1`.
pub(super) fn shell(visit: &Visit<'_>, section: Section, title: &str, content: &Markup) -> Markup {
    let console = visit.console;
    bare(
        title,
        html! {
            a.skip href={ "#" (MAIN) } { "Skip to the content" }
            header.top {
                div.bar {
                    a.home href="/" { (mark()) }
                    nav aria-label="Sections" {
                        ul {
                            @for one in Section::ALL {
                                li { a href=(one.path()) aria-current=[(one == section).then_some("page")] { (one.title()) } }
                            }
                        }
                    }
                    div.who {
                        span.realm title="Account and Region" { (console.realm.account()) " · " (console.realm.region()) }
                        form method="post" action="/sign-out" {
                            span { (visit.session.operator) }
                            button.quiet type="submit" { "Sign out" }
                        }
                    }
                }
            }
            @if !console.development.is_empty() {
                aside.development aria-label="Development settings" {
                    @for warning in &console.development {
                        p { strong { "Development: " } (warning) }
                    }
                }
            }
            main id=(MAIN) tabindex="-1" { (content) }
            footer {
                p { "nitro-key-broker " (env!("CARGO_PKG_VERSION")) " · read-only · all times in UTC" }
            }
        },
    )
}

/// A page without the way around.
pub(super) fn bare(title: &str, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { (title) " · nitro-key-broker" }
                link rel="icon" href="/assets/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="/assets/console.css";
                script src="/assets/console.js" defer {}
            }
            body { (body) }
        }
    }
}

/// The name of the product with its sign, a key in a hexagon.
pub(super) fn mark() -> Markup {
    html! {
        span.mark {
            svg viewBox="0 0 32 32" width="24" height="24" aria-hidden="true" focusable="false" {
                path class="mark-body" d="M16 1.5 28.6 8.8v14.4L16 30.5 3.4 23.2V8.8z" {}
                path class="mark-key" d="M16 8.2a4.3 4.3 0 0 1 1.7 8.25V24h-3.4v-2.2h-2v-2.6h2v-2.75A4.3 4.3 0 0 1 16 8.2zm0 2.6a1.7 1.7 0 1 0 0 3.4 1.7 1.7 0 0 0 0-3.4z" {}
            }
            span { "nitro-key-broker" }
        }
    }
}

/// A part that a script keeps up to date, from this path; without the script it stays as it is.
pub(super) fn live(path: &str, part: &Markup) -> Markup {
    html! {
        div data-live=(path) { (part) }
        p.hidden role="status" data-live-status {}
    }
}
