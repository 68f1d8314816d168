// Light, dark, or as the system has it; runs before anything is painted.
"use strict";
{
  const THEMES = ["system", "light", "dark"];
  const NAME = "bkjs-docs-theme";
  let theme = "system";
  try { theme = localStorage.getItem(NAME) || theme; } catch { /* nothing may be stored here */ }

  const apply = () => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    const button = document.getElementById("theme");
    if (!button) return;
    const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    button.setAttribute("aria-label", `Theme: ${theme}. Change to ${next}`);
    button.title = `Theme: ${theme}`;
    button.dataset.theme = theme;
  };

  apply();
  addEventListener("DOMContentLoaded", () => {
    apply();
    document.getElementById("theme").addEventListener("click", () => {
      theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
      try { localStorage.setItem(NAME, theme); } catch { /* for this page only, then */ }
      apply();
    });
  });
}
