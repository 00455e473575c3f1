// The wait in words: the same honest rounding as the server's, outwards to minutes, to hours when it is long.
import { t } from "./page.js";

const HOURS_FROM_S = 2 * 3600;
const STANDS_STILL = ["paused", "recovering", "full"];

/** How the line stands for who waits in it: the room's state, or that nobody more fits into an open one. */
export const lineWord = ({ room, full }) => (room === "open" && full ? "full" : room);

export function waitInWords(range, room) {
  if (!range) return t(STANDS_STILL.includes(room) ? "line.eta.paused" : "line.eta.unknown");
  if (range.high < 60) return t("line.eta.soon");
  const [unit, size] = range.high >= HOURS_FROM_S ? ["hours", 3600] : ["minutes", 60];
  const [low, high] = [Math.floor(range.low / size), Math.ceil(range.high / size)];
  if (low < 1) return t(`line.eta.${unit}.under`, { n: high });
  if (low === high) return t(`line.eta.${unit}.about`, { n: high });
  return t(`line.eta.${unit}.range`, { low, high });
}
