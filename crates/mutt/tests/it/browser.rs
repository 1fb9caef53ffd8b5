//! The pages in a real browser: the work of people on call by keyboard alone, live events and many of
//! them, text from devices that stays text, and pages that are quiet, in two themes, with a focus that
//! is seen. Skipped by name where Chromium is missing.

mod driver;
mod hostile;
mod live;
mod manage;
mod quality;
mod work;

use crate::support::Program;
use driver::Browser;

/// A browser that is signed in, by keyboard.
fn signed_in(program: &Program) -> Option<Browser> {
    let mut browser = Browser::start(program.pages())?;
    browser.open("/sign-in");
    sign_in(&mut browser, &program.admin_token());
    browser.wait("location.pathname === '/'");
    Some(browser)
}

/// The field of the token has the focus when the page is there.
fn sign_in(browser: &mut Browser, token: &str) {
    browser.wait("document.activeElement.id === 'token'");
    browser.keys(token);
    browser.enter();
}
