// Instants and figures as people read them: Asia/Shanghai on screen, UTC everywhere else.

import { t } from "./i18n";

const parts = new Intl.DateTimeFormat("en-GB", {
  timeZone: "Asia/Shanghai",
  year: "numeric",
  month: "2-digit",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});

type Instant = string | number;

function split(at: Instant): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const part of parts.formatToParts(new Date(at))) fields[part.type] = part.value;
  return fields;
}

/** `18:53:07` */
export function timeOfDay(at: Instant): string {
  const f = split(at);
  return `${f.hour}:${f.minute}:${f.second}`;
}

/** `2026-11-21` */
export function dateOf(at: Instant): string {
  const f = split(at);
  return `${f.year}-${f.month}-${f.day}`;
}

/** `2026-11-21 18:53:07 +08:00` */
export function dateTime(at: Instant): string {
  return `${dateOf(at)} ${timeOfDay(at)} +08:00`;
}

/** Time of day today, date and time otherwise. */
export function since(at: Instant, now: number): string {
  return dateOf(at) === dateOf(now) ? timeOfDay(at) : `${dateOf(at)} ${timeOfDay(at)}`;
}

const two = (n: number): string => String(n).padStart(2, "0");

/** `04:31`, `1:04:31`, `2 天 01:04:31`; never negative. */
export function elapsed(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000));
  const days = Math.floor(s / 86400);
  const hours = Math.floor((s % 86400) / 3600);
  const rest = `${two(Math.floor((s % 3600) / 60))}:${two(s % 60)}`;
  if (days > 0) return t("time.days", { n: days, rest: `${two(hours)}:${rest}` });
  return hours > 0 ? `${hours}:${rest}` : rest;
}

/** `6 秒`, `2 分 10 秒`, `1 小时 04 分` */
export function span(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return t("time.s", { s });
  if (s < 3600)
    return s % 60 ? t("time.ms", { m: Math.floor(s / 60), s: two(s % 60) }) : t("time.m", { m: s / 60 });
  if (s < 86400) return t("time.hm", { h: Math.floor(s / 3600), m: two(Math.floor((s % 3600) / 60)) });
  return t("time.dh", { d: Math.floor(s / 86400), h: Math.floor((s % 86400) / 3600) });
}

/** `350 米`, `1.4 公里` */
export function distance(metres: number): string {
  if (metres < 1000) return t("dist.m", { n: Math.round(metres / 10) * 10 });
  return t("dist.km", { n: (metres / 1000).toFixed(metres < 9950 ? 1 : 0) });
}

/** `+0.3 秒`, `+2:10`: from one clock point to the next, short enough for the strip. */
export function delta(ms: number): string {
  const sign = ms < 0 ? "−" : "+";
  const size = Math.abs(ms);
  if (size < 9950) return `${sign}${t("time.s", { s: (size / 1000).toFixed(1) })}`;
  if (size < 59500) return `${sign}${t("time.s", { s: Math.round(size / 1000) })}`;
  return `${sign}${elapsed(size).replace(/^0(?=\d:)/, "")}`;
}
