import { checkInput } from './campaign.js';
import type { FuzzInput } from './inputs.js';

const MOST_ATTEMPTS = 4_000;

/** The smallest input found that still shows the same kind of failure. */
export async function minimise(input: FuzzInput, kind: string): Promise<FuzzInput> {
  let best = input;
  let attempts = 0;
  const shows = async (bytes: Buffer): Promise<boolean> => {
    if (++attempts > MOST_ATTEMPTS) return false;
    const candidate = { ...best, bytes };
    if ((await checkInput(candidate))?.kind !== kind) return false;
    best = candidate;
    return true;
  };
  for (let before = -1; before !== best.bytes.length;) {
    before = best.bytes.length;
    for (let size = best.bytes.length >> 1; size > 0; size >>= 1) {
      for (let at = 0; at + size <= best.bytes.length;) if (!(await removed(best.bytes, at, size, shows))) at += size;
    }
  }
  for (let at = 0; at < best.bytes.length; at++) {
    const zeroed = Buffer.from(best.bytes);
    zeroed[at] = 0;
    if (best.bytes[at] !== 0) await shows(zeroed);
  }
  return best;
}

/** Cuts bytes out, on its own or with a length byte in front of them put right. */
async function removed(
  bytes: Buffer,
  at: number,
  size: number,
  shows: (bytes: Buffer) => Promise<boolean>,
): Promise<boolean> {
  const cut = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + size)]);
  if (await shows(cut)) return true;
  const NEAR = 6;
  for (let length = Math.max(0, at - NEAR); length < at; length++) {
    if (cut[length]! < size) continue;
    const fixed = Buffer.from(cut);
    fixed[length]! -= size;
    if (await shows(fixed)) return true;
  }
  return false;
}
