// What the service answers (docs/service.md), and how it is asked. Amounts are base units as text.

export interface Moment { block: number; time: number; tx: string }
export interface Block { number: number; hash: string; time: number }
export interface Institution { number: number; account: string }
export interface Who { account: string | null; groups: string[]; region: number; certified: boolean }
export interface Outcome { number: number; at: Moment; licence: string; kind: number; statement: string }
export interface Scores {
  dvi: number; volume: number; completeness: number; timeliness: number;
  accuracy: number; annotation: number; traceability: number; units: number; day: number;
}
export interface Rates { provider: number; annotator: number; platform: number; levy: number }
export interface Info {
  chain_id: number; contracts: Record<string, string>; agreement: string; rates: Rates;
  block: Block; final: number; relay: boolean; trouble: string | null;
}
export interface RecordState {
  record: string; owner: string; state: string; kind: number; tier: number; region: number;
  size: number; cid: string; custodian: Institution; annotator: Institution | null;
  attester: Institution | null; registered: Moment; scores: Scores | null; minted: string;
  copies: string[]; consents: string[]; licences: string[]; earned: string; outcomes: Outcome[];
}
export interface ConsentState {
  consent: string; patient: string; state: string; granted: Moment | null; revoked: Moment | null;
  expiry: number; terms: Record<string, string | number> | null; text: string | null; licences: string[];
}
export interface Step { at: Moment; event: string; units: number | null; amount: string | null; suspended: boolean | null }
export interface Use {
  licence: string; record: string; consent: string; who: Who; purposes: string[];
  form: number; state: string; bought: Moment; end: number; units: number; used: number; uses: number;
  last_used: Moment | null; urgent: boolean; paid: string; levy: string; settled: string;
  refund: string; earned: string; steps: Step[]; outcomes: Outcome[];
}
export interface Credit { at: Moment; licence: string; record: string; part: string; amount: string }
export interface Payout { at: Moment; to: string; amount: string }
export interface Earnings {
  block: Block; account: string; earned: string; nonce: number; unsettled: string; total: string;
  withdrawn: string; by_record: Record<string, string>; credits: Credit[]; payouts: Payout[];
}
export interface Points { at: Moment; source: string; points: number }
export interface Badge { badge: string; year: boolean; period: number; rank: number; donated: boolean }
export interface Service { service: number; provider: string; token: string; price: string; points: number; open: boolean }
export interface Voucher { voucher: number; service: number; served: boolean }
export interface Standing {
  block: Block; account: string; points: number; month: number; place: number; records: number; run: number;
  contribution: string; governance: string; history: Points[]; badges: Badge[]; services: Service[]; vouchers: Voucher[];
}
export interface Alert {
  kind: string; at: Moment | null; record: string | null; consent: string | null;
  licence: string | null; numbers: Record<string, number>;
}
export interface Offer {
  consent: string; purposes: string[]; groups: string[]; region: number; fields: string;
  floor: string; expiry: number; auction_only: boolean; tier: number; trustee: string | null;
}
export interface Passkey { x: string; y: string; relying_party: string }
export interface Asked {
  at: Moment; consent: string; patient: string; licensee: string; who: Who; purposes: string[];
  order: Record<string, string | boolean>; approved_until: number | null;
}
export interface Passkeys {
  block: Block; account: string; passkey: Passkey | null; change: Passkey | null; since: number;
  nonce: number; delay: number; requests: Asked[];
}
export interface Requests { block: Block; account: string; requests: Asked[] }
export interface Found {
  record: string; kind: number; tier: number; region: number; size: number; dvi: number; offers: Offer[];
}
export interface Quote {
  block: Block; unit: string; price: string; levy: string; patient: string; custodian: string;
  annotator: string; platform: string; allowed: boolean; reason: string | null;
}
export interface Licensee {
  block: Block; account: string; who: Who; deposit: string; frozen: boolean; total: number; uses: Use[];
}
export interface Custodian { block: Block; account: string; number: number; total: number; records: RecordState[] }

/** The service is not there, or is there and refuses; `sentence` is its own. */
export class Refusal extends Error {
  constructor(readonly code: string, readonly sentence: string, readonly retry: boolean) {
    super(sentence);
  }
}

const PATIENCE = 70_000;

async function ask<T>(path: string, options?: RequestInit): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(path, { ...options, signal: AbortSignal.timeout(PATIENCE), cache: "no-store" });
  } catch {
    throw new Refusal("offline", "", true);
  }
  const body = await answer.json().catch(() => null);
  if (!answer.ok) {
    throw new Refusal(body?.code ?? "failed", body?.detail ?? `HTTP ${answer.status}`, body?.retry ?? true);
  }
  return body as T;
}

export const get = <T>(path: string): Promise<T> => ask<T>(path);

const MOST = 500;

/** A list from its newest entry to its oldest, in as many requests as that takes; `id` tells entries apart. */
export async function whole<T extends { total: number }, K extends keyof T>(path: string, key: K, id: string, most = Infinity): Promise<T> {
  const held = new Map<unknown, unknown>();
  for (let offset = 0; ; ) {
    const asked = `limit=${Math.min(MOST, most - offset)}&offset=${offset}`;
    const answer = await get<T>(`${path}${path.includes("?") ? "&" : "?"}${asked}`);
    const entries = answer[key] as Record<string, unknown>[];
    const before = held.size;
    // One that came meanwhile moves the others back: they are told twice.
    for (const entry of entries) held.set(entry[id], entry);
    offset += entries.length;
    const all = offset >= Math.min(answer.total, most) || held.size === before;
    if (all) return { ...answer, [key]: [...held.values()] };
  }
}

export const post = <T>(path: string, body: unknown): Promise<T> =>
  ask<T>(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
