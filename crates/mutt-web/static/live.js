// The live list: server-sent events, drawn in batches, at most ROWS of them in the page. Text from
// devices only ever becomes text; characters that would act on the screen become signs.
(() => {
  "use strict";
  const ROWS = 500;
  // More new rows than this at once are not lit up: nobody follows them, and it costs.
  const LIT = 20;
  const SEVERITIES = ["emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"];
  const ACTS = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e0fff}]/gu;
  const body = document.getElementById("live-rows");
  const status = document.getElementById("live-status");
  const pause = document.getElementById("live-pause");
  const clear = document.getElementById("live-clear");
  if (!body || !window.EventSource) return;

  const hex = (c) => "U+" + c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
  // Names, not control pictures: few fonts have those.
  const CONTROLS = ["NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "TAB", "LF", "VT", "FF", "CR",
    "SO", "SI", "DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "FS", "GS", "RS", "US"];
  const sign = (c) => (c === "\u007f" ? "DEL" : CONTROLS[c.codePointAt(0)] || hex(c));
  const element = (tag, className, text) => {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const inert = (text) => {
    if (text === null || text === undefined || text === "") return element("span", "none", "\u2013");
    const whole = element("bdi");
    let from = 0;
    for (const found of String(text).matchAll(ACTS)) {
      whole.append(String(text).slice(from, found.index));
      const mark = element("span", "ctl", sign(found[0]));
      mark.title = hex(found[0]);
      whole.append(mark);
      from = found.index + found[0].length;
    }
    whole.append(String(text).slice(from));
    return whole;
  };
  const row = (event, lit) => {
    const tr = element("tr", lit ? "fresh" : "");
    tr.dataset.id = event.id;
    const cell = (className, ...parts) => {
      const td = element("td", className);
      td.append(...parts);
      tr.append(td);
      return td;
    };
    const link = element("a");
    link.href = "/events/" + encodeURIComponent(event.id);
    const time = element("time", "", event.received_at.slice(0, 23).replace("T", " "));
    time.dateTime = event.received_at;
    link.append(time);
    cell("nowrap", link);
    const known = Number.isInteger(event.severity) && SEVERITIES[event.severity];
    cell("", element("span", known ? "sev sev-" + event.severity : "sev sev-none", known || "none"));
    cell("host", inert(event.host));
    cell("app", inert(event.app));
    cell("message", inert(event.message)).dir = "auto";
    if (event.handled) cell("nowrap", inert(event.decision), " ", element("span", "dim", "rule " + event.rule_id));
    else cell("nowrap", element("span", "dim", "unhandled"));
    return tr;
  };

  let waiting = [];
  let seen = new Set([...body.children].map((tr) => tr.dataset.id));
  let paused = false;
  let drawing = false;
  let passed = 0;
  let words = "Connecting";
  const tell = () => {
    let text = words;
    if (paused) text = "Paused, " + waiting.length + (waiting.length >= ROWS ? "+" : "") + " waiting";
    if (passed) text += "; some events were passed over";
    if (status.textContent !== text) status.textContent = text;
  };
  const draw = () => {
    drawing = false;
    if (paused) { tell(); return; }
    const batch = document.createDocumentFragment();
    // Newest first: the last that came stands on top.
    const lit = waiting.length <= LIT;
    for (const event of waiting.reverse()) {
      if (seen.has(event.id)) continue;
      seen.add(event.id);
      batch.append(row(event, lit));
    }
    waiting = [];
    body.prepend(batch);
    while (body.children.length > ROWS) {
      seen.delete(body.lastElementChild.dataset.id);
      body.lastElementChild.remove();
    }
    tell();
  };
  const soon = () => {
    if (drawing) return;
    drawing = true;
    // A hidden page gets no frames; it draws when it is looked at again.
    if (document.hidden) { drawing = false; return; }
    requestAnimationFrame(draw);
  };
  document.addEventListener("visibilitychange", () => { if (!document.hidden) soon(); });

  tell();
  const query = new URLSearchParams(location.search);
  if (body.dataset.place) query.set("after", body.dataset.place);
  const source = new EventSource("/api/v2/events/stream?" + query);
  source.addEventListener("hello", () => { words = "Connected"; document.body.dataset.live = "connected"; tell(); });
  source.addEventListener("event", (message) => {
    waiting.push(JSON.parse(message.data));
    if (waiting.length > ROWS) { waiting = waiting.slice(-ROWS); passed = 1; }
    soon();
  });
  source.addEventListener("gap", () => { passed = 1; tell(); });
  source.addEventListener("status", (message) => {
    const state = JSON.parse(message.data).state;
    words = state === "connected" ? "Connected" : "Connected, " + state;
    tell();
  });
  source.addEventListener("error", () => {
    words = source.readyState === EventSource.CLOSED ? "Disconnected: reload the page" : "Connecting again";
    document.body.dataset.live = "waiting";
    tell();
  });
  pause.hidden = clear.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Resume" : "Pause";
    tell();
    if (!paused) soon();
  });
  clear.addEventListener("click", () => {
    body.replaceChildren();
    seen = new Set();
    waiting = [];
    passed = 0;
    tell();
  });
})();
