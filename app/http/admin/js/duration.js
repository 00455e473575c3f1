// A length of time in words, as app/http/admin/pages/view.py writes it.
import { t } from "./page.js";

export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return t("admin.room.duration.s", { s: whole });
  if (whole < 3600) return t("admin.room.duration.m", { m: Math.floor(whole / 60), s: whole % 60 });
  return t("admin.room.duration.h", { h: Math.floor(whole / 3600), m: Math.floor((whole % 3600) / 60) });
}
