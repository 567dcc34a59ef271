// Words of the console: keys in code, sentences in the catalogues; zh-CN first.

import { createStore, useStore } from "../store";
import { en } from "./en";
import { zh } from "./zh";

export type Key = keyof typeof zh;
export type Plural = { readonly one: string; readonly other: string };
export type Catalogue = { readonly [K in Key]: string | Plural };
export type Language = "zh-CN" | "en";

const catalogues: Record<Language, Catalogue> = { "zh-CN": zh, en };
const STORED = "jifang.language";

export const language = createStore<Language>(remembered());

function remembered(): Language {
  return globalThis.localStorage?.getItem(STORED) === "en" ? "en" : "zh-CN";
}

export function setLanguage(next: Language): void {
  globalThis.localStorage?.setItem(STORED, next);
  if (globalThis.document) document.documentElement.lang = next;
  language.set(next);
}

/** Redraws when the language changes. */
export const useLanguage = (): Language => useStore(language);

export type Values = Record<string, string | number>;

/** The sentence for `key` in the current language; `{name}` stands for a value, `n` decides the plural. */
export function t(key: Key, values: Values = {}): string {
  const entry = catalogues[language.get()][key];
  const text = typeof entry === "string" ? entry : entry[plural(values.n)];
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

function plural(n: string | number | undefined): "one" | "other" {
  return new Intl.PluralRules(language.get()).select(Number(n ?? 0)) === "one" ? "one" : "other";
}

/** The sentence under a key that the server's word completes; empty where there is none yet. */
export const said = (key: string, values: Values): string => (key in zh ? t(key as Key, values) : "");

/** The word for a value of the server's (`condition.intrusion`); the value itself where there is none yet. */
export function word(group: string, value: string): string {
  const key = `${group}.${value}`;
  return key in zh ? t(key as Key) : value;
}

/** The name in the current language, the other one where it is missing. */
export function named(name: string, nameEn: string): string {
  return language.get() === "en" ? nameEn || name : name || nameEn;
}

if (globalThis.document) document.documentElement.lang = language.get();
