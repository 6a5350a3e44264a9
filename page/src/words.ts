// Every word that a person reads, in three languages; numbers, amounts and times as these write them.

import en from "./catalogues/en.json";
import hans from "./catalogues/zh-Hans.json";
import hant from "./catalogues/zh-Hant.json";
import { dut } from "./messages.ts";

export type Key = keyof typeof en;
export const LANGUAGES = { en: "English", "zh-Hant": "繁體中文", "zh-Hans": "简体中文" } as const;
export type Language = keyof typeof LANGUAGES;
const CATALOGUES: Record<Language, Record<string, string>> = { en, "zh-Hant": hant, "zh-Hans": hans };
const KEPT = "medtoken-language";

function preferred(): Language {
  const kept = localStorage.getItem(KEPT);
  if (kept && kept in LANGUAGES) return kept as Language;
  for (const wanted of navigator.languages) {
    const locale = new Intl.Locale(wanted).maximize();
    if (locale.language === "zh") return locale.script === "Hant" ? "zh-Hant" : "zh-Hans";
    if (locale.language === "en") return "en";
  }
  return "en";
}

export let language: Language = preferred();

export function speak(chosen: Language): void {
  language = chosen;
  localStorage.setItem(KEPT, chosen);
  document.documentElement.lang = chosen;
}

/** The sentence of a key, with what stands in braces put in. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  return (CATALOGUES[language][key] ?? key).replace(/\{(\w+)\}/g, (whole, name: string) =>
    name in values ? String(values[name]) : whole,
  );
}

/** As `t`, for keys that are put together; null where there is no such sentence. */
export const maybe = (key: string): string | null => CATALOGUES[language][key] ?? null;
export const code = (table: string, name: string): string => maybe(`${table}.${name}`) ?? name;

export const either = (words: string[]): string =>
  new Intl.ListFormat(language, { type: "disjunction" }).format(words);
export const several = (words: string[]): string =>
  new Intl.ListFormat(language, { type: "conjunction" }).format(words);
export const number = (value: number): string => new Intl.NumberFormat(language).format(value);

/** Base units as DUT: exact up to four decimals, cut below. */
export function money(base: string | bigint): string {
  const [whole = "0", part = ""] = dut(BigInt(base)).split(".");
  const cut = part.slice(0, 4).replace(/0+$/, "");
  const shown = new Intl.NumberFormat(language).format(BigInt(whole));
  return cut ? `${shown}.${cut}` : shown;
}

const at = (seconds: number, options: Intl.DateTimeFormatOptions): string =>
  new Intl.DateTimeFormat(language, options).format(new Date(seconds * 1000));
export const when = (seconds: number): string => at(seconds, { dateStyle: "medium", timeStyle: "short" });
export const day = (seconds: number): string => at(seconds, { dateStyle: "medium" });

/** An id or address, shortened for people; the whole of it belongs beside it. */
export const short = (hex: string): string => (hex.length > 14 ? `${hex.slice(0, 8)}…${hex.slice(-4)}` : hex);

export function size(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${new Intl.NumberFormat(language, { maximumFractionDigits: 1 }).format(value)} ${units[unit]}`;
}
