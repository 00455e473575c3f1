// Checks or imports a seat file without leaving the page, so that the file stays chosen for the next press.
import { $, notice, t } from "./page.js";

const [form, said] = [$("seats-form"), $("seats-said")];

async function send(button) {
  const body = new FormData(form);
  if (button?.name) body.append(button.name, button.value);
  const answer = await fetch(form.action, { method: "POST", body, headers: { Accept: "text/html" } });
  if (answer.redirected) return void location.assign(answer.url); // it was imported, and there is nothing to say of it
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("map-now");
  if (!fresh) return void form.submit(); // some other page: let the browser show it
  $("map-now").replaceWith(document.adoptNode(fresh));
  $("map-now").focus();
}

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (form.dataset.sent) return;
  form.dataset.sent = "yes";
  notice(said, "");
  try {
    await send(event.submitter);
  } catch (error) {
    console.warn("the seat file was not sent", error); // browsers refuse a file that was changed after it was chosen
    notice(said, t("admin.files.seats.unsent"));
  }
  delete form.dataset.sent;
});
