// Sets the chosen theme before the first paint; without a choice the system's counts.
(() => {
  "use strict";
  let theme = null;
  try { theme = localStorage.getItem("mutt-theme"); } catch { /* storage may be switched off */ }
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
})();
