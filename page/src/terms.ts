// What the pages decide before anybody signs or pays. Nothing here draws, and nothing asks.

import {
  AUCTION_ONLY, type Fields, GROUPS, MODIFIERS, PERMISSIONS, PROFILES, REGIONS, ZERO, duoNames, groupNames, mask,
} from "./messages.ts";
import type { Earnings, Quote } from "./service.ts";

export const DAY = 86_400;
const YEAR = 365 * DAY;
export const METERED = 2;

// ---------------------------------------------------------------------------- licences

/**
 * Where a term of so many days ends. From the newest block's time alone: the next block is later, so the market
 * never counts more years than `countOf`, whatever this computer's clock says.
 */
export const endOf = (block: number, days: number, expiry: number): number => Math.min(block + days * DAY, expiry);

/** How many times its unit a licence costs (R12): units of a meter, or started years. */
export const countOf = (form: number, units: string, block: number, end: number): bigint =>
  form === METERED ? BigInt(units) : BigInt(Math.ceil(Math.max(end - block, 0) / YEAR));

export interface Cost { unit: bigint; count: bigint; price: bigint; levy: bigint; same: boolean }

/** What is paid at most, from what the order itself says; `same` where the service's figures say so too. */
export function costOf(quote: Quote, count: bigint, levyRate: bigint): Cost {
  const unit = BigInt(quote.unit);
  const price = unit * count;
  const levy = (price * levyRate) / 10_000n;
  const parts = [quote.patient, quote.custodian, quote.annotator, quote.platform];
  const split = parts.reduce((sum, part) => sum + BigInt(part), 0n);
  const same = BigInt(quote.price) === price && BigInt(quote.levy) === levy && split === price;
  return { unit, count, price, levy, same };
}

// ---------------------------------------------------------------------------- consents

/** What can be ticked. 'Any use' is not offered, and a list of diseases has no place in the form. */
export const OFFERED = Object.fromEntries(Object.entries(PERMISSIONS).filter(([name]) => name !== "NRES" && name !== "DS"));

const every = (table: typeof PERMISSIONS): bigint => mask(Object.keys(table), table);

/** What the form cannot show of the consent that is changed: it stays as it was. */
export interface Kept { purposes: bigint; licensees: bigint; diseases: string }

export const keptOf = (before: Fields | null): Kept => ({
  purposes: BigInt(before?.purposes ?? 0) & ~(every(OFFERED) | every(MODIFIERS)),
  licensees: BigInt(before?.licensees ?? 0) & ~every(GROUPS),
  diseases: before?.diseases ?? ZERO,
});

export const keptNames = (kept: Kept): { purposes: string[]; groups: string[]; auction: boolean } => ({
  purposes: duoNames(kept.purposes),
  groups: groupNames(kept.licensees & ~AUCTION_ONLY),
  auction: (kept.licensees & AUCTION_ONLY) > 0n,
});

/** What was ticked and selected; a region or profile that has no name goes by its number or hash. */
export interface Choice { who: string[]; purposes: string[]; conditions: string[]; fields: string; region: string }

export const noPurpose = (choice: Choice, kept: Kept): boolean =>
  !choice.purposes.length && !(kept.purposes & every(PERMISSIONS));
export const nobody = (choice: Choice, kept: Kept): boolean => !choice.who.length && !(kept.licensees & ~AUCTION_ONLY);

/** The scope of new terms. `before` are those that they replace, if they replace any. */
export function scopeOf(choice: Choice, before: Fields | null, recordTier: number): Fields {
  const kept = keptOf(before);
  return {
    purposes: (mask(choice.purposes, PERMISSIONS) | mask(choice.conditions, MODIFIERS) | kept.purposes).toString(),
    diseases: kept.diseases,
    licensees: (mask(choice.who, GROUPS) | kept.licensees).toString(),
    fields: PROFILES[choice.fields]?.digest ?? choice.fields,
    region: String(REGIONS[choice.region]?.[0] ?? choice.region),
    // Which data a consent covers is not in the form either.
    tier: before?.tier ?? String(Math.max(recordTier, 2)),
  };
}

/** For how many days new terms are offered: no longer than the old ones have left. */
export const daysOf = (before: Fields | null, now: number): number =>
  before ? Math.min(Math.max(Math.floor((Number(before.expiry) - now) / DAY), 1), 3650) : 365;

// ---------------------------------------------------------------------------- withdrawals

/** Whether two addresses are one; wallets write them in small letters. */
export const same = (one: string, other: string): boolean => one.toLowerCase() === other.toLowerCase();

/** A withdrawal of all that was told, from the connected account to itself, whomever the service names. */
export const withdrawalOf = (account: string, told: Earnings, nonce: bigint, deadline: number): Fields => ({
  account,
  to: account,
  amount: told.earned,
  nonce: String(nonce),
  deadline: String(deadline),
});
