// The frame of every page: wallet, chain, language, sections, and what to do when something fails.

import type { Info } from "./service.ts";
import { get, Refusal } from "./service.ts";
import { h, button, moment } from "./ui.ts";
import { type Provider, Trouble, chainOf, connect, discover, goTo, wallets } from "./wallet.ts";
import { type Key, type Language, LANGUAGES, language, maybe, short, speak, t } from "./words.ts";

const EVERY = 2_000;

export interface Session { provider: Provider; account: string; info: Info }
export interface Section {
  id: string;
  title: Key;
  /** Draws the section from what was loaded last. */
  draw(session: Session): Node[];
  /** While this is so, a new block does not draw over what somebody is filling in. */
  busy?(): boolean;
}

interface Frame {
  page: Key;
  welcome: Key;
  sections: Section[];
  load(session: Session): Promise<unknown>;
}

/** Where a person stands: nobody, on another chain, or at work. */
let provider: Provider | null = null;
let account: string | null = null;
let chain: number | null = null;
let info: Info | null = null;
let loaded: string | null = null;
let frame: Frame;
let offline: Key | null = null;

const said = h("div", { role: "status", class: "said" });
const trouble = h("div", { role: "alert", class: "trouble" });
const connection = h("div", { id: "connection", role: "alert" });
const head = h("header", {});
const nav = h("nav", {});
const main = h("main", { id: "main", tabindex: -1 });
const foot = h("footer", {});

/** Say how something went; it is read out. */
export function say(text: string): void {
  said.textContent = text;
}

/** Say what went wrong, and what can be done. */
export function complain(error: unknown, ...more: Node[]): void {
  say("");
  trouble.replaceChildren(h("p", {}, sentence(error)), ...more);
}

export const calm = (): void => trouble.replaceChildren();

/** Something that somebody filled in wrong, in the sentence that says so. */
export class Wrong extends Error {}

/** One sentence for whatever was thrown. */
export function sentence(error: unknown): string {
  if (error instanceof Wrong) return error.message;
  if (error instanceof Trouble) {
    const values = { chain: info?.chain_id ?? "", ...error.more };
    return maybe(error.key) ? t(error.key as Key, values) : String(error.more.said ?? error.key);
  }
  if (error instanceof Refusal) {
    if (error.code === "offline") return t("trouble.offline");
    if (error.code === "no-chain") return t("trouble.no-chain");
    return t("trouble.refused", { said: error.sentence });
  }
  return t("trouble.refused", { said: error instanceof Error ? error.message : String(error) });
}

/** Do something that may fail; tell how it went. Whether it did. */
export async function attempt(act: () => Promise<void>, ...more: Node[]): Promise<boolean> {
  calm();
  try {
    await act();
    return true;
  } catch (error) {
    complain(error, ...more);
    return false;
  }
}

function section(): Section {
  const wanted = location.hash.slice(1).split("/")[0];
  return frame.sections.find((one) => one.id === wanted) ?? frame.sections[0]!;
}

export const go = (hash: string): void => {
  location.hash = hash;
};

function drawHead(): void {
  const choice = h(
    "select",
    { id: "language", "aria-label": t("app.language"), change: (event) => {
      speak((event.target as HTMLSelectElement).value as Language);
      draw();
    } },
    ...Object.entries(LANGUAGES).map(([id, name]) => h("option", { value: id, lang: id, selected: id === language }, name)),
  );
  const here = document.documentElement.dataset.page;
  const pages = (["patient", "licensee", "hospital"] as const).map((name) =>
    h("a", { href: name === "patient" ? "/" : `/${name}`, "aria-current": name === here ? "page" : null }, t(`app.${name}`)),
  );
  head.replaceChildren(
    h("a", { class: "skip", href: "#main", click: (event) => { event.preventDefault(); main.focus(); } }, t("app.skip")),
    h("div", { class: "bar" }, h("strong", { class: "brand" }, "medtoken"), choice),
    h("nav", { class: "pages", "aria-label": t("app.pages") }, ...pages),
    account
      ? h("p", { class: "who" }, h("span", { title: account }, t("wallet.account", { account: short(account) })),
          button(t("wallet.leave"), leave, { class: "plain" }))
      : null as never,
  );
}

function leave(): void {
  provider = null;
  account = null;
  chain = null;
  loaded = null;
  calm();
  say("");
  draw();
}

function wrongChain(): boolean {
  return !!account && !!info && chain !== null && chain !== info.chain_id;
}

/** Draw everything again, and leave focus and opened details where they were. */
export function draw(): void {
  document.documentElement.lang = language;
  const focus = document.activeElement?.id;
  const open = [...main.querySelectorAll("details[open]")].map((one) => one.id);
  drawHead();
  document.title = `${t(frame.page)} – medtoken`;
  const at = !account || wrongChain() || !info || !loaded ? null : section();
  nav.hidden = at === null;
  nav.setAttribute("aria-label", t("app.sections"));
  nav.replaceChildren(
    ...frame.sections.filter((one) => one.title !== "grant.title").map((one) =>
      h("a", { href: `#${one.id}`, id: `tab-${one.id}`, "aria-current": one === at ? "page" : null }, t(one.title))),
  );
  const content = at ? at.draw(session()) : outside();
  // Elements of before are gone, so that what has an id is there once.
  main.replaceChildren(...content);
  for (const id of open) main.querySelector(`#${CSS.escape(id)}`)?.setAttribute("open", "");
  if (focus) document.getElementById(focus)?.focus({ preventScroll: true });
  drawFoot();
}

function drawFoot(): void {
  // Said once: an alert is read out whenever it changes.
  const text = offline ? t(offline) : "";
  if (connection.textContent !== text) connection.textContent = text;
  foot.replaceChildren(info
    ? h("p", { id: "block", "data-block": info.block.number }, t("app.block", { block: info.block.number, time: "" }), moment(info.block.time))
    : h("p", {}, t("app.loading")));
}

function session(): Session {
  return { provider: provider!, account: account!, info: info! };
}

function outside(): Node[] {
  if (wrongChain()) {
    const here = info!.chain_id;
    return [h("section", { class: "card" },
      h("h1", {}, t("wallet.wrong-chain", { there: chain!, here })),
      button(t("wallet.switch", { here }), () => attempt(async () => {
        await goTo(provider!, here);
        chain = await chainOf(provider!);
        await refresh();
      }).then(draw), { class: "primary", id: "switch" }))];
  }
  if (account) return [h("p", { class: "quiet" }, t("app.loading"))];
  const known = wallets();
  return [h("section", { class: "card welcome" },
    h("h1", {}, t("app.welcome")),
    h("p", {}, t(frame.welcome)),
    ...known.map((wallet) => button(t("wallet.connect", { name: wallet.name }), () => enter(wallet.provider), { class: "primary" })),
    known.length ? null as never : h("p", {}, t("wallet.none")))];
}

async function enter(chosen: Provider): Promise<void> {
  await attempt(async () => {
    account = await connect(chosen);
    provider = chosen;
    chain = await chainOf(chosen);
    chosen.on?.("accountsChanged", ((accounts: string[]) => {
      if (provider !== chosen) return;
      if (!accounts[0]) return leave();
      account = accounts[0];
      loaded = null;
      void refresh();
    }) as never);
    chosen.on?.("chainChanged", ((id: string) => {
      chain = Number(id);
      draw();
    }) as never);
    await refresh();
  });
  draw();
}

/** Load what the newest block says, and draw it where nobody is filling anything in. */
export async function refresh(force = false): Promise<void> {
  const found = await get<Info>("/v1/info");
  const before = info?.block.hash;
  info = found;
  if (account && !wrongChain() && provider) {
    const mark = `${account} ${found.block.hash}`;
    if (force || mark !== loaded) {
      await frame.load(session());
      loaded = mark;
      if (!section().busy?.()) return draw();
    }
  } else if (before !== found.block.hash) {
    return draw();
  }
  drawFoot();
}

async function watch(): Promise<void> {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, EVERY));
    const before = offline;
    try {
      await refresh();
      offline = info?.trouble ? "trouble.no-chain" : null;
    } catch (error) {
      offline = error instanceof Refusal && error.code === "no-chain" ? "trouble.no-chain" : "trouble.offline";
    }
    if (offline !== before) {
      if (!offline) say(t("trouble.back"));
      drawFoot();
    }
  }
}

/** Wait until the service has read what `done` looks for. */
export async function until(done: () => Promise<boolean>): Promise<boolean> {
  for (let tries = 0; tries < 60; tries++) {
    if (await done()) return true;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  return false;
}

export function start(built: Frame): void {
  frame = built;
  document.getElementById("app")!.replaceWith(head, nav, connection, trouble, said, main, foot);
  window.addEventListener("hashchange", () => {
    calm();
    say("");
    draw();
    window.scrollTo(0, 0);
    main.focus({ preventScroll: true });
  });
  discover(draw);
  draw();
  void refresh().catch((error) => complain(error)).then(watch);
}


