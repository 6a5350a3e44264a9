// The patient's wallet: any that announces itself (EIP-6963) or is simply there (EIP-1193).

import type { Fields, Kind, Domain } from "./messages.ts";
import { typedData } from "./messages.ts";

export interface Provider {
  request(asked: { method: string; params?: unknown[] }): Promise<unknown>;
  on?(event: string, heard: (value: never) => void): void;
}
interface Announced { info: { uuid: string; name: string; rdns: string }; provider: Provider }

/** Something that a person can do something about; `key` names the sentence in the catalogues. */
export class Trouble extends Error {
  constructor(readonly key: string, readonly more: Record<string, string> = {}) {
    super(key);
  }
}

/** What a service says that it did, and the chain does not know of. */
export class Unconfirmed extends Trouble {}

const found = new Map<string, Announced>();

/** Ask wallets to announce themselves; `heard` is called for each that does. */
export function discover(heard: () => void): void {
  window.addEventListener("eip6963:announceProvider", (event) => {
    const announced = (event as CustomEvent<Announced>).detail;
    if (announced?.info?.uuid && !found.has(announced.info.uuid)) {
      found.set(announced.info.uuid, announced);
      heard();
    }
  });
  window.dispatchEvent(new Event("eip6963:requestProvider"));
}

/** The wallets that are there, by name. */
export function wallets(): { id: string; name: string; provider: Provider }[] {
  const all = [...found.values()].map(({ info, provider }) => ({ id: info.uuid, name: info.name, provider }));
  const plain = (window as { ethereum?: Provider }).ethereum;
  if (!all.length && plain) all.push({ id: "window.ethereum", name: "Ethereum", provider: plain });
  return all;
}

/** One request, with what wallets say in numbers turned into what a person can do. */
export async function request<T>(provider: Provider, method: string, ...params: unknown[]): Promise<T> {
  try {
    return (await provider.request({ method, params })) as T;
  } catch (error) {
    const { code, message } = (error ?? {}) as { code?: number; message?: string };
    const said = String(message ?? error).replace(/^execution reverted:?\s*/i, "").slice(0, 200);
    switch (code) {
      case 4001: throw new Trouble("wallet.rejected");
      case 4100: throw new Trouble("wallet.locked");
      case -32002: throw new Trouble("wallet.pending");
      case 4900:
      case 4901: throw new Trouble("wallet.disconnected");
      case 4902: throw new Trouble("wallet.unknown-chain");
      default: throw new Trouble("wallet.failed", { said });
    }
  }
}

/** Connect; gives the account. */
export async function connect(provider: Provider): Promise<string> {
  const [account] = await request<string[]>(provider, "eth_requestAccounts");
  if (!account) throw new Trouble("wallet.locked");
  return account;
}

/** The chain that the wallet is on. */
export const chainOf = async (provider: Provider): Promise<number> =>
  Number(await request<string>(provider, "eth_chainId"));

/** Ask the wallet to go to another chain. */
export const goTo = (provider: Provider, chainId: number): Promise<unknown> =>
  request(provider, "wallet_switchEthereumChain", { chainId: `0x${chainId.toString(16)}` });

/** Have a message signed. */
export const sign = (provider: Provider, account: string, kind: Kind, message: Fields, domain: Domain): Promise<string> =>
  request<string>(provider, "eth_signTypedData_v4", account, JSON.stringify(typedData(kind, message, domain)));
