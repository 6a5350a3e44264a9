// What more than one page shows: records, earnings, withdrawals.

import { call, earned, paidOut, send } from "./chain.ts";
import { PERMISSIONS, regionName, renderWithdrawal } from "./messages.ts";
import type { Earnings, Outcome, RecordState, Use } from "./service.ts";
import { Refusal, post } from "./service.ts";
import { type Session, attempt, calm, complain, refresh, say, sentence } from "./shell.ts";
import { same, withdrawalOf } from "./terms.ts";
import { type Point, button, chart, facts, h, hex, moment, more, tag } from "./ui.ts";
import { Unconfirmed, sign } from "./wallet.ts";
import { code, day, maybe, money, number, several, size, t } from "./words.ts";

export const region = (number: number): string => {
  const name = regionName(number);
  return name ? code("region", name) : `UN M49 ${number}`;
};

/** The time, unix seconds: a chain on which nothing happens for long has an old newest block. */
export const now = ({ info }: Session): number => Math.max(info.block.time, Math.floor(Date.now() / 1000));

export const kind = (number: number): string => maybe(`kind.${number}`) ?? String(number);

/** What a licence is for, and what its holder undertook. */
export function purposesOf(use: Use): HTMLElement[] {
  const words = (wanted: boolean): string[] =>
    use.purposes.filter((one) => one in PERMISSIONS === wanted).map((one) => code("duo", one));
  const conditions = words(false);
  return [
    h("p", {}, t("uses.purposes", { purposes: several(words(true)) })),
    ...(conditions.length ? [h("p", {}, t("consents.conditions", { conditions: several(conditions) }))] : []),
  ];
}

export function outcome(one: Outcome): HTMLElement {
  return h("li", {}, t("outcome.line", {
    what: code("outcome", String(one.kind)), time: day(one.at.time), statement: one.statement.slice(0, 18),
  }));
}

/** A record's state; one that can be licensed had its quality checked. */
export const recordTag = (record: RecordState): HTMLElement => tag(record.state === "live" ? "checked" : record.state);

/** What is known of a record, before what one may do with it. */
export function recordFacts(record: RecordState): Node[] {
  const scores = record.scores;
  const names = ["volume", "completeness", "timeliness", "accuracy", "annotation", "traceability"] as const;
  return [
    h("p", {}, t("records.kept", { custodian: t("hospital.number", { number: record.custodian.number }), size: size(record.size), time: day(record.registered.time) })),
    scores
      ? h("p", { class: "quality" }, h("meter", { min: 0, max: 100, value: scores.dvi, "aria-label": t("records.quality", { dvi: scores.dvi }) }), t("records.quality", { dvi: scores.dvi }))
      : h("p", {}, t("records.unattested")),
    more(`why-${record.record}`, scores ? t("records.quality-why") : t("app.details"),
      scores && facts(names.map((name) => [t(`score.${name}`), String(scores[name])])),
      scores && record.attester && h("p", {}, t("records.attested", { attester: record.attester.number, day: day(scores.day * 86_400) })),
      facts([
        [t("records.tier"), code("tier", String(record.tier))],
        [t("records.region"), region(record.region)],
        [t("records.where"), h("code", { class: "long" }, record.cid)],
        [t("records.id"), h("code", { class: "long" }, record.record)],
      ])),
  ];
}

let verdict: { key: string; node: HTMLElement } | null = null;

/** An amount asked of the chain itself, through the wallet, beside what the service said. */
function checked(session: Session, told: Earnings): HTMLElement {
  const key = `${session.account} ${told.earned} ${told.block.hash}`;
  if (verdict?.key === key) return verdict.node;
  const node = h("p", { id: "verdict", class: "quiet" }, t("earnings.checking"));
  verdict = { key, node };
  earned(session.provider, session.info.contracts.DataMarket!, session.account).then(
    (found) => {
      const agrees = found.amount === BigInt(told.earned);
      node.className = agrees ? "good" : "bad";
      node.textContent = agrees
        ? t("earnings.checked", { block: found.block })
        : t("earnings.differs", { block: found.block, amount: money(found.amount) });
    },
    (error) => {
      node.className = "bad";
      node.textContent = sentence(error);
      verdict = null;
    },
  );
  return node;
}

function points(told: Earnings): Point[] {
  let total = BigInt(told.total) - told.credits.reduce((sum, credit) => sum + BigInt(credit.amount), 0n);
  return told.credits.map((credit) => {
    total += BigInt(credit.amount);
    return { time: credit.at.time, total };
  });
}

/** The way on when the service does not bring what was signed, or only says that it did. */
export function direct(error: unknown, signature: string, act: () => Promise<void>): Node[] {
  if (!signature || !(error instanceof Refusal || error instanceof Unconfirmed)) return [];
  return [
    h("p", {}, t("trouble.direct")),
    button(t("grant.send"), async () => { await attempt(act); }, { id: "send-direct" }),
  ];
}

async function withdraw(session: Session, told: Earnings): Promise<void> {
  const { provider, account, info } = session;
  const market = info.contracts.DataMarket!;
  let signature = "";
  let nonce = 0n;
  const finished = async (): Promise<void> => {
    await paidOut(provider, market, account, nonce);
    await refresh(true).catch(() => undefined); // the service may be gone: the chain has said it
    say(t("earnings.withdrawn", { amount: money(told.earned) }));
  };
  calm();
  try {
    nonce = (await earned(provider, market, account)).nonce;
    const message = withdrawalOf(account, told, nonce, now(session) + 3600);
    say(`${t("earnings.withdrawing")} ${renderWithdrawal(message)}`);
    signature = await sign(provider, account, "Withdrawal", message, { chainId: info.chain_id, market });
    say(t("grant.bringing"));
    await post("/v1/relay/withdrawals", { message, signature });
    await finished();
  } catch (error) {
    complain(error, ...direct(error, signature, async () => {
      // An earner's own transaction needs no signature beside it.
      const asked = [account, account, BigInt(told.earned), BigInt(now(session) + 3600), "0x"];
      await send(provider, account, market, call("withdraw", asked));
      await finished();
    }));
  }
}

/** An account's earnings: now, over time, by record, and out. */
export function earningsView(session: Session, told: Earnings): Node[] {
  const tile = (label: string, amount: string, id: string): HTMLElement =>
    h("div", { class: "tile" }, h("span", {}, label), h("data", { id, value: amount }, `${money(amount)} DUT`));
  const table = (head: string[], rows: (Node | string)[][]): HTMLElement =>
    h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": head.join(", ") }, h("table", {},
      h("thead", {}, h("tr", {}, ...head.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map((cell) => h("td", {}, cell)))))));
  const some = BigInt(told.earned) > 0n;
  if (!same(told.account, session.account)) {
    return [h("h1", {}, t("earnings.title")), h("p", { class: "bad" }, t("earnings.other", { account: told.account }))];
  }
  return [
    h("h1", {}, t("earnings.title")),
    h("section", { class: "card" },
      h("div", { class: "tiles" },
        tile(t("earnings.now"), told.earned, "earned"), tile(t("earnings.soon"), told.unsettled, "unsettled"),
        tile(t("earnings.total"), told.total, "total"), tile(t("earnings.out"), told.withdrawn, "withdrawn")),
      checked(session, told),
      some && button(t("earnings.withdraw"), () => withdraw(session, told), { class: "primary", id: "withdraw" }),
      some && h("p", { class: "quiet" }, t("earnings.withdraw-hint"))),
    h("section", { class: "card" }, h("h2", {}, t("earnings.over-time")), chart(points(told)),
      told.credits.length > 0 && more("credits", t("earnings.history"), table(
        [t("earnings.date"), t("earnings.part"), t("earnings.record"), t("earnings.amount"), t("earnings.block")],
        [...told.credits].reverse().map((c) => [moment(c.at.time), code("part", c.part), hex(c.record), money(c.amount), number(c.at.block)])))),
    Object.keys(told.by_record).length > 0 && h("section", { class: "card" }, h("h2", {}, t("earnings.by-record")),
      table([t("earnings.record"), t("earnings.amount")], Object.entries(told.by_record).map(([id, amount]) => [hex(id), money(amount)]))),
    told.payouts.length > 0 && h("section", { class: "card" }, h("h2", {}, t("earnings.payouts")),
      table([t("earnings.date"), t("earnings.amount"), t("earnings.block")],
        [...told.payouts].reverse().map((p) => [moment(p.at.time), money(p.amount), number(p.at.block)]))),
  ].filter((one): one is HTMLElement => one !== false);
}
