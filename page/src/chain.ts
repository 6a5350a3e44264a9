// What the page asks the chain itself, through the wallet's node, and sends to it.

import type { Abi } from "viem";
import { decodeFunctionResult, encodeFunctionData } from "viem/utils";
import built from "#built/abi.json";
import { type Provider, Trouble, Unconfirmed, request } from "./wallet.ts";

const abi = built.DataMarket as unknown as Abi;
const passkeyAbi = built.Passkeys as unknown as Abi;

/** What a call of the market is sent as. */
export const call = (name: string, args: unknown[]): `0x${string}` =>
  encodeFunctionData({ abi, functionName: name, args });

/** What a call of the passkeys' contract is sent as. */
export const callPasskeys = (name: string, args: unknown[]): `0x${string}` =>
  encodeFunctionData({ abi: passkeyAbi, functionName: name, args });

/** What the passkeys' contract answers at the newest block that the wallet's node has. */
async function viewPasskeys(provider: Provider, at: string, name: string, ...args: unknown[]): Promise<unknown> {
  const data = await request<`0x${string}`>(provider, "eth_call", { to: at, data: callPasskeys(name, args) }, "latest");
  return decodeFunctionResult({ abi: passkeyAbi, functionName: name, data });
}

/** The nonce that the patient's wallet signs next (`state_word`). */
export const passkeyNonce = async (provider: Provider, at: string, patient: string): Promise<bigint> =>
  ((await viewPasskeys(provider, at, "state_word", patient)) as bigint) >> 72n;

/** Wait until a signature of the patient's wallet with this nonce has reached the passkeys' contract. */
export const passkeyMoved = (provider: Provider, at: string, patient: string, nonce: bigint, tries = 40, pause = 500): Promise<unknown> =>
  awaited(async () => (await passkeyNonce(provider, at, patient)) > nonce, "passkey.not-known", tries, pause);

/** Wait until the chain itself says that an order is approved until then. */
export const approvedOnChain = (provider: Provider, at: string, patient: string, consent: string, licensee: string, order: unknown, deadline: bigint, tries = 40, pause = 500): Promise<unknown> =>
  awaited(async () => ((await viewPasskeys(provider, at, "approved_until", patient, consent, licensee, order)) as bigint) >= deadline, "passkey.not-approved", tries, pause);

/** A view's result at the newest block that the wallet's node has. */
async function view(provider: Provider, market: string, name: string, ...args: unknown[]): Promise<unknown> {
  const data = await request<`0x${string}`>(provider, "eth_call", { to: market, data: call(name, args) }, "latest");
  return decodeFunctionResult({ abi, functionName: name, data });
}

/** What an account has earned and not withdrawn, as the market's own storage says (`earnings_word`). */
export async function earned(provider: Provider, market: string, account: string): Promise<{ amount: bigint; nonce: bigint; block: number }> {
  const block = Number(await request<string>(provider, "eth_blockNumber"));
  const word = (await view(provider, market, "earnings_word", account)) as bigint;
  return { amount: word & ((1n << 128n) - 1n), nonce: (word >> 128n) & ((1n << 64n) - 1n), block };
}

/** When a consent was revoked, unix seconds; zero when it was not (`consent_word`). */
export async function revokedAt(provider: Provider, market: string, consent: string): Promise<number> {
  const word = (await view(provider, market, "consent_word", consent)) as bigint;
  return Number((word >> 200n) & ((1n << 40n) - 1n));
}

/** Ask until there is an answer; `otherwise` says what the chain does not know of. */
async function awaited<T>(ask: () => Promise<T>, otherwise: string, tries: number, pause: number): Promise<T> {
  for (let tried = 0; tried < tries; tried++) {
    const found = await ask();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
  throw new Unconfirmed(otherwise);
}

/** Wait until the market itself knows a consent. */
export const known = (provider: Provider, market: string, consent: string, tries = 40, pause = 500): Promise<unknown> =>
  awaited(() => view(provider, market, "consent_word", consent), "grant.not-known", tries, pause);

/** Wait until the market itself knows of a revocation; when that was, unix seconds. */
export const revocation = (provider: Provider, market: string, consent: string, tries = 40, pause = 500): Promise<number> =>
  awaited(() => revokedAt(provider, market, consent), "consents.not-revoked", tries, pause);

/** Wait until a withdrawal with this nonce is done, as the market's own storage says. */
export const paidOut = (provider: Provider, market: string, account: string, nonce: bigint, tries = 40, pause = 500): Promise<unknown> =>
  awaited(async () => (await earned(provider, market, account)).nonce > nonce, "earnings.not-withdrawn", tries, pause);

/** The time of the newest block that the wallet's node has, unix seconds. */
export async function blockTime(provider: Provider): Promise<number> {
  return Number((await request<{ timestamp: string }>(provider, "eth_getBlockByNumber", "latest", false)).timestamp);
}

/** The reserve levy on top of a price, in bps (`rates_word`). */
export async function levyRate(provider: Provider, market: string): Promise<bigint> {
  return (((await view(provider, market, "rates_word")) as bigint) >> 48n) & 0xffffn;
}

/** Send a transaction from the wallet and wait for its block. What would revert is not sent. */
export async function send(provider: Provider, from: string, to: string, data: string): Promise<number> {
  await request(provider, "eth_call", { from, to, data }, "latest");
  const hash = await request<string>(provider, "eth_sendTransaction", { from, to, data });
  for (let tries = 0; tries < 600; tries++) {
    const receipt = await request<{ status: string; blockNumber: string } | null>(provider, "eth_getTransactionReceipt", hash);
    if (receipt) {
      if (Number(receipt.status) !== 1) throw new Trouble("wallet.failed", { said: hash });
      return Number(receipt.blockNumber);
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  throw new Trouble("wallet.slow");
}
