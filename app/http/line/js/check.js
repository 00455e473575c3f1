// The page of who was sent to wait: a browser that can work does that instead, and goes on by itself.
import { $, data } from "./page.js";
import { canWork, join } from "./door.js";


if (canWork || data.captcha) {
  $("by-waiting").hidden = true;
  join(data.wish, () => {}).then(() => location.replace(data.wait), () => { $("by-waiting").hidden = false; });
} else if (data.leftS) {
  setTimeout(() => location.reload(), data.leftS * 1000);
}
