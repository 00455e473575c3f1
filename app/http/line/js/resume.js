// The code stands behind the link's #, where no server sees it: put it into the form, and out of the address.
import { $ } from "./page.js";

if (location.hash.length > 1) {
  $("code").value = location.hash.slice(1);
  history.replaceState(null, "", location.pathname);
}
