// Small comforts: the theme button, a MIB from a file, the refresh of pages that ask for it. Pages work
// without.
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

  // MIBs are written in whatever their vendor's editor wrote.
  const text_of = (octets) => {
    const begin = new Uint8Array(octets, 0, Math.min(2, octets.byteLength)).join();
    if (begin === "255,254") return new TextDecoder("utf-16le").decode(octets);
    if (begin === "254,255") return new TextDecoder("utf-16be").decode(octets);
    try { return new TextDecoder("utf-8", { fatal: true }).decode(octets); }
    catch { return new TextDecoder("latin1").decode(octets); }
  };
  const file = document.getElementById("mib-file");
  if (file) {
    file.closest("label").hidden = false;
    file.addEventListener("change", async () => {
      const chosen = file.files[0];
      if (!chosen) return;
      document.getElementById("mib-text").value = text_of(await chosen.arrayBuffer());
      const plain = chosen.name.replace(/[^A-Za-z0-9._+-]/g, "_").replace(/^\.+/, "");
      document.getElementById("mib-name").value = plain.slice(0, 128);
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
