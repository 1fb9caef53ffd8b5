// Small comforts: the theme button and the refresh of pages that ask for it. Pages work without.
(() => {
  "use strict";
  const themes = ["auto", "dark", "light"];
  const button = document.getElementById("theme");
  const name = document.getElementById("theme-name");
  const current = () => document.documentElement.dataset.theme || "auto";
  if (button) {
    name.textContent = current();
    button.hidden = false;
    button.addEventListener("click", () => {
      const next = themes[(themes.indexOf(current()) + 1) % themes.length];
      if (next === "auto") delete document.documentElement.dataset.theme;
      else document.documentElement.dataset.theme = next;
      try {
        if (next === "auto") localStorage.removeItem("mutt-theme");
        else localStorage.setItem("mutt-theme", next);
      } catch { /* storage may be switched off */ }
      name.textContent = next;
    });
  }

  const part = document.querySelector("[data-refresh]");
  if (!part) return;
  let paused = false;
  const bind = () => {
    const pause = document.getElementById("refresh");
    if (!pause) return;
    pause.hidden = false;
    pause.textContent = paused ? "Resume refresh" : "Pause refresh";
    pause.setAttribute("aria-pressed", String(paused));
    pause.addEventListener("click", () => { paused = !paused; bind_text(pause); });
  };
  const bind_text = (pause) => {
    pause.textContent = paused ? "Resume refresh" : "Pause refresh";
    pause.setAttribute("aria-pressed", String(paused));
  };
  bind();
  const period = Number(part.dataset.refresh) * 1000;
  const refresh = async () => {
    const selecting = String(getSelection()) !== "";
    if (!paused && !document.hidden && !selecting) {
      try {
        const answer = await fetch(location.href, { credentials: "same-origin" });
        if (answer.redirected) { location.reload(); return; }
        if (answer.ok) {
          const page = new DOMParser().parseFromString(await answer.text(), "text/html");
          const fresh = page.getElementById(part.id);
          const focus = document.activeElement;
          const links = [...part.querySelectorAll("a, button")];
          const at = links.indexOf(focus);
          const href = at >= 0 ? focus.getAttribute("href") : null;
          part.replaceChildren(...fresh.childNodes);
          bind();
          if (at >= 0) {
            const now = [...part.querySelectorAll("a, button")];
            const same = now.find((one) => href && one.getAttribute("href") === href) || now[at];
            if (same) same.focus({ preventScroll: true });
          }
          part.classList.remove("stale");
        }
      } catch { part.classList.add("stale"); }
    }
    setTimeout(refresh, period);
  };
  setTimeout(refresh, period);
})();
