// Presses the link or button whose key was pressed; everything else is made on the server.
"use strict";
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("textarea, input")) return;
  if (event.key === "Enter" && event.target.closest("a, button, summary")) return;
  const key = event.shiftKey && event.key.startsWith("Arrow") ? "Shift+" + event.key : event.key;
  const target = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (!target) return;
  event.preventDefault();
  target.click();
});
const current = document.getElementById("current");
if (current) current.scrollIntoView({ block: "center" });
