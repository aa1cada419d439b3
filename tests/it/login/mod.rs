//! People sign in: with a plain provider of OAuth 2.0 that is scripted here, and with a real one of OpenID Connect
//! (`tests/peers/oidc/`), driven as a browser drives them.

mod attacks;
mod browser;
mod chromium;
mod guide;
mod keys;
mod plain;
mod provider;
mod refreshing;
mod site;
mod story;
