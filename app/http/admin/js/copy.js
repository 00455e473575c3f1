// Buttons that copy the text of another element: `data-copy` has its id.
import { $, t } from "./page.js";

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const said = button.nextElementSibling;
    try {
      await navigator.clipboard.writeText($(button.dataset.copy).textContent);
      said.textContent = t("admin.origin.copied");
    } catch {
      getSelection().selectAllChildren($(button.dataset.copy)); // not allowed here: it is marked, to be copied by hand
    }
  });
}
