// What the pages decide before anybody signs or pays, told as JSON for the Python test that judges it.

import { readFileSync } from "node:fs";
import { encodeAbiParameters } from "viem/utils";
import { known, paidOut, revocation } from "../src/chain.ts";
import type { Fields } from "../src/messages.ts";
import { type Earnings, type Quote, whole } from "../src/service.ts";
import { type Choice, costOf, countOf, daysOf, endOf, keptNames, keptOf, nobody, noPurpose, scopeOf, withdrawalOf } from "../src/terms.ts";
import { type Provider, Trouble } from "../src/wallet.ts";

const DAY = 86_400;
const MARKET = `0x${"11".repeat(20)}`;
const ID = `0x${"22".repeat(32)}`;
const T0 = 1_900_000_000;
const input = readFileSync(0, "utf8");

/** A wallet's node on which a view gives one word after another, the last for good. */
function node(...words: bigint[]): { provider: Provider; asked: () => number } {
  let asked = 0;
  const request = async ({ method }: { method: string }): Promise<unknown> =>
    method === "eth_blockNumber"
      ? "0x1"
      : encodeAbiParameters([{ type: "uint256" }], [words[Math.min(asked++, words.length - 1)]!]);
  return { provider: { request }, asked: () => asked };
}

const failing = async (act: Promise<unknown>): Promise<unknown> =>
  act.catch((error) => (error instanceof Trouble ? `${error.constructor.name} ${error.key}` : String(error)));

async function chain() {
  const late = node(0n, 0n, BigInt(T0) << 200n);
  const paid = node(4n << 128n, (5n << 128n) | 7n);
  return {
    late: await revocation(late.provider, MARKET, ID, 5, 1),
    asked: late.asked(),
    never: await failing(revocation(node(0n).provider, MARKET, ID, 5, 1)),
    unknown: await failing(known(node(0n).provider, MARKET, ID, 5, 1)),
    paid: await failing(paidOut(paid.provider, MARKET, MARKET, 4n, 5, 1)),
    unpaid: await failing(paidOut(node(4n << 128n).provider, MARKET, MARKET, 4n, 5, 1)),
  };
}

/** A service that gives at most 500 of a list at once, as ours does; `grows` adds one before each answer but the first. */
async function lists(count: number, grows = false, most?: number) {
  let all = [...Array(count).keys()].map((n) => ({ consent: `c${n}` })).reverse();
  const asked: string[] = [];
  globalThis.fetch = (async (path: string) => {
    if (grows && asked.length) all = [{ consent: `new${asked.length}` }, ...all];
    asked.push(path);
    const query = new URL(path, "http://service").searchParams;
    const [limit, offset] = [Number(query.get("limit")), Number(query.get("offset"))];
    if (!(limit >= 1 && limit <= 500)) throw new Error("refused");
    return new Response(JSON.stringify({ total: all.length, consents: all.slice(offset, offset + limit), block: 1 }));
  }) as typeof fetch;
  const found = await whole<{ total: number; consents: { consent: string }[] }, "consents">("/v1/x", "consents", "consent", most);
  return { asked: asked.length, last: found.consents.at(-1)?.consent, loaded: found.consents.length, keys: Object.keys(found).sort() };
}

function licences() {
  // As the contract counts, in the block after the one that the page saw.
  const charged = (end: number, at: number): number => Math.ceil((end - at) / (365 * DAY));
  const terms = [1, 60, 364, 365, 366, 730, 731].map((days) => {
    const end = endOf(T0, days, T0 + 4000 * DAY);
    return { days, shown: Number(countOf(1, "9", T0, end)), charged: [1, 12, 900].map((later) => charged(end, T0 + later)) };
  });
  const quote = (changes: Partial<Quote>): Quote =>
    ({ unit: "50", price: "100", levy: "5", patient: "53", custodian: "17", annotator: "20", platform: "10", ...changes }) as Quote;
  const told = [quote({}), quote({ price: "50" }), quote({ levy: "0" }), quote({ patient: "3" }), quote({ unit: "500" })].map((one) => {
    const { price, levy, same } = costOf(one, 2n, 500n);
    return [String(price), String(levy), same];
  });
  return { terms, told, expiry: endOf(T0, 365, T0 + 9), meter: String(countOf(2, "12", T0, T0 + 900 * DAY)) };
}

function consents() {
  const { changes } = JSON.parse(input) as { changes: { before: Fields | null; choice: Choice; tier: number }[] };
  return changes.map(({ before, choice, tier }) => {
    const kept = keptOf(before);
    return {
      scope: scopeOf(choice, before, tier), names: keptNames(kept),
      nobody: nobody(choice, kept), noPurpose: noPurpose(choice, kept),
      days: before && daysOf(before, Number(before.expiry) - 20 * DAY - 5),
    };
  });
}

const told = { account: `0x${"99".repeat(20)}`, earned: "7", nonce: 88 } as Earnings;

const all = async (): Promise<void> => {
  const answer = {
    chain: await chain(),
    lists: { empty: await lists(0), short: await lists(3), long: await lists(1203), grows: await lists(1203, true), some: await lists(1203, false, 600) },
    licences: licences(),
    consents: consents(),
    withdrawal: withdrawalOf(MARKET, told, 3n, T0),
  };
  process.stdout.write(JSON.stringify(answer));
};
void all();
